"""What each worker of a cluster of tests does; its results go to a file.

python -m training.launch --local 2 --module tests.training.cluster_worker FOLDER
"""

import functools
import json
import sys
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

import cvzoo
from cvzoo import ops
from training import agreement, distribution, keras_gaps, scoring, sharing, train
from training import config as configs

BATCH_SIZE, EPOCHS = 25, 10
# Five batches an epoch, the last of one example: fewer than replicas.
EXAMPLES = 101


def dense():
    x = keras.Input((8, 2))
    y = keras.layers.Dense(8, "relu")(keras.layers.Flatten()(x))
    return keras.Model(x, keras.layers.Dense(3)(y))


def diagonal_circulant():
    x = keras.Input((8, 2))
    y = cvzoo.layers.DiagonalCirculant(16, activation="relu")(keras.layers.Flatten()(x))
    return keras.Model(x, cvzoo.layers.DiagonalCirculant(3)(y))


def complex_variational():
    x = keras.Input((8, 2))
    z = cvzoo.layers.ToComplex("trailing")(x)
    # No bias: batch norm takes it away again, so its gradient is rounding alone, which
    # Adam makes into steps. One layer: its divergence takes seconds to compile.
    z = cvzoo.layers.ComplexDense(3, use_bias=False)(z)
    z = cvzoo.layers.ComplexBatchNormalization(synchronized=True)(z)
    model = keras.Model(x, cvzoo.layers.FromComplex("modulus")(z))
    return cvzoo.sparsify(model, cvzoo.VariationalDropout(0.1), n_train=EXAMPLES)


MODELS = {
    "dense": dense,
    "diagonal circulant": diagonal_circulant,
    "complex, variational": complex_variational,
}


def examples():
    """The same on all workers: inputs and labels that go together."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(EXAMPLES, 8, 2)).astype(np.float32)
    return inputs, inputs.sum(1).argmax(1).astype(np.int64)


def compiled(strategy, name, optimizer=keras_gaps.Adam):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = MODELS[name]()
        model.compile(
            optimizer(3e-3, global_clipnorm=0.05),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
    return model


def learn(strategy, name):
    """Trains a model without noise for 50 steps, and evaluates it.

    Returns:
        Dictionary of arrays: weights by number, and what was logged by name.
    """
    inputs, labels = examples()
    model = compiled(strategy, name)
    batches = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(BATCH_SIZE)
    quiet = mock.patch(
        "cvzoo.ops.noise._polar_draws", lambda shape, _: (tf.zeros(shape),) * 2
    )
    with quiet, keras_gaps.filled():
        history = model.fit(
            sharing.training_batches(batches.repeat(EPOCHS), strategy, BATCH_SIZE),
            epochs=EPOCHS,
            steps_per_epoch=len(batches),
            shuffle=False,
            verbose=0,
        ).history
        held_out, steps = sharing.evaluation_batches(batches, strategy)
        scores = model.evaluate(held_out, steps=steps, return_dict=True, verbose=0)
    results = {f"weight {i}": value for i, value in enumerate(model.get_weights())}
    results.update({key: np.asarray(value) for key, value in scores.items()})
    if "kl" in history:
        results["training kl"] = np.asarray(history["kl"])
    return results


def noise(strategy, steps=3, size=20000):
    """Draws of all replicas, `(replicas, steps, size)`."""
    with strategy.scope():
        generator = keras.random.SeedGenerator(0)

    @tf.function
    def draw():
        return ops.replica_normal((1, size), generator, "float32")

    rows = [strategy.gather(strategy.run(draw), axis=0) for _ in range(steps)]
    return np.stack([row.numpy() for row in rows], axis=1)


def pooled(strategy, shares):
    """Result and scores of a metric that each worker gave its share of scores."""
    metric = cvzoo.PooledAveragePrecision()
    labels, scores = shares[strategy.cluster_resolver.task_id]
    metric.update_state(labels, scores)
    scoring.gather(metric, strategy)
    state = metric.get_state()
    return np.concatenate([[metric.result()], state["positives"], state["negatives"]])


def shares_of_scores(case):
    """Labels and scores of each of two workers."""
    generator = np.random.default_rng(0)
    first, second = (
        (generator.random(size) < 0.1, generator.normal(size=size).astype(np.float32))
        for size in (300, 500)
    )
    if case == "one has none":
        second = (second[0][:0], second[1][:0])
    elif case == "one is wider":
        second = (second[0], second[1] + 1e-12)
    elif case == "tiny":
        first[1][:4] = [0.0, -0.0, 1e-45, -3e-39]
    return first, second


CASES_OF_SCORES = ("plain", "one has none", "one is wider", "tiny")


def ranked(strategy, shares):
    """Results of metrics of videos, of which each worker has its share."""
    labels, scores = shares[strategy.cluster_resolver.task_id]
    found = []
    for kind in RANKED:
        metric = kind()
        if len(labels):
            metric.update_state(labels.reshape(-1, 5), scores.reshape(-1, 5))
        scoring.gather(metric, strategy)
        found.append(metric.result())
    return np.array(found)


RANKED = (
    cvzoo.GlobalAveragePrecision,
    cvzoo.HitAtOne,
    cvzoo.PrecisionAtEqualRecallRate,
    cvzoo.MeanAveragePrecision,
    functools.partial(cvzoo.MeanAveragePrecision, 3),
)


def evaluated(strategy):
    """Average precisions of a network, as a callback evaluates them, by epoch."""
    inputs, labels = examples()
    batches = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(BATCH_SIZE)
    hot = batches.map(lambda x, y: (x, tf.one_hot(y, 3)))
    evaluation = cvzoo.PooledAveragePrecisionEvaluation(
        sharing.evaluation_batches(hot, strategy), accumulate=scoring.Scoring(strategy)
    )
    model = compiled(strategy, "dense")
    with keras_gaps.filled_for(strategy):
        model.fit(
            sharing.training_batches(batches.repeat(3), strategy, BATCH_SIZE),
            epochs=3,
            steps_per_epoch=len(batches),
            shuffle=False,
            verbose=0,
            callbacks=[evaluation],
        )
    return np.array(evaluation.history)


def whole_run(strategy, folder):
    """All stages of a recipe without noise; gives scores and the last weights."""
    config = train.quick(configs.get("two_layer_dense_complex_magnitude_digits"))
    for stage in config["stages"].values():
        stage["epochs"] = 2
    train.run(config, folder, quiet=True, strategy=strategy)
    scores = json.loads((folder / "scores.json").read_text())
    model = keras.models.load_model(folder / "finetune.keras", compile=False)
    return scores, model.get_weights()


def files_of(strategy):
    """The share of files that a worker's batch is of, as its rows, and their number."""

    def batches_of(size, share):
        row = tf.data.Dataset.from_tensors((tf.constant(share), tf.constant(0)))
        return row.repeat(2 * size).batch(size)

    batches = iter(sharing.shards_batches(batches_of, strategy, 4))
    rows, _ = next(batches)
    (rows,) = strategy.experimental_local_results(rows)
    return rows.numpy().tolist()


def message_of(function, *arguments):
    """The error that a function raises, as text; empty if it does not."""
    try:
        function(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    return ""


def stock_fit(strategy):
    """Keras by itself."""
    inputs, labels = examples()
    compiled(strategy, "dense").fit(inputs, labels, batch_size=50, verbose=0)


def main(folder):
    strategy = distribution.make_strategy(distribution.Settings())
    index = strategy.cluster_resolver.task_id
    agreement.check_workers_agree(strategy, recipe={"seed": 0})
    whole_run(strategy, Path(folder) / "run")
    results = {
        "is chief": distribution.is_chief(strategy),
        "files": files_of(strategy),
        "unequal": message_of(sharing.shards_batches, None, strategy, 3),
        "disagreement": message_of(
            lambda: agreement.check_workers_agree(
                strategy, recipe={"seed": index, "epochs": 3}
            )
        ),
        "stock": message_of(stock_fit, strategy),
        "noise": noise(strategy),
        "average precisions": evaluated(strategy),
    }
    for case in CASES_OF_SCORES:
        shares = shares_of_scores(case)
        results[f"pooled, {case}"] = pooled(strategy, shares)
        results[f"ranked, {case}"] = ranked(strategy, shares)
    for name in MODELS:
        found = learn(strategy, name)
        results.update({f"{name}/{key}": value for key, value in found.items()})
    np.savez(Path(folder) / f"worker{index}.npz", **results)


if __name__ == "__main__":
    main(sys.argv[1])
