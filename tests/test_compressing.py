"""`compress`: the stages in one call, and the search for the pressure."""

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import compressing, sparsity
from cvzoo.examples import Data
from cvzoo.methods import METHODS
from cvzoo.searching import (
    Diverged,
    Result,
    Search,
    Trial,
    Watched,
    choose_metric,
)

EXAMPLES = 192


def data(seed=0):
    """Three classes that one of twenty inputs tells apart."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(3, size=EXAMPLES)
    inputs = generator.normal(size=(EXAMPLES, 20)).astype(np.float32)
    inputs[:, 3] += 6 * labels
    return inputs, labels


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(40, "relu", name="hidden"), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((20,)), *layers], name="blobs")
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(*data(), epochs=15, verbose=0)
    return model


@pytest.mark.parametrize("method", METHODS)
def test_a_target_compression_is_met(trained, method):
    before = trained.get_weights()
    compact, report = cvzoo.compress(
        trained,
        data(),
        data(1),
        method=method,
        target_compression=6,
        epochs=(0, 30, 5),
        verbose=0,
    )
    numbers = trained.count_params()
    left = sum(np.count_nonzero(weight) for weight in compact.get_weights())
    assert report.is_met and report.method == method
    assert numbers / left >= 6 * 0.99  # a bias may happen to be zero
    assert report.compression == report.sizes.baseline_parameters / report.sizes.nonzero
    assert sparsity.sparse_layers(compact) == []
    assert compact.evaluate(*data(1), verbose=0)[1] == pytest.approx(report.after)
    assert report.after > 0.7
    assert trained.evaluate(*data(1), verbose=0)[1] == pytest.approx(report.before)
    for left, right in zip(before, trained.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_metric_loss_is_kept_to_on_a_dataset(trained):
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensor_slices(data()).batch(32)
    compact, report = cvzoo.compress(
        trained,
        batches,
        tf.data.Dataset.from_tensor_slices(data(1)).batch(64),
        max_metric_loss=0.1,
        epochs=(1, 10, 3),
        values="posterior",
        trials=2,
        verbose=1,
    )
    assert report.is_met and report.before - report.after <= 0.1
    assert report.metric == "accuracy" and len(report.trials) == 2
    assert f"×{report.compression:.1f}" in str(report)
    assert compact.compiled


def test_a_target_that_was_missed_is_reported(trained):
    with pytest.warns(UserWarning, match="missed its target.*of 1 trials"):
        compact, report = cvzoo.compress(
            trained,
            data(),
            data(1),
            method="ard",
            target_compression=1e6,
            epochs=(0, 1, 0),
            trials=1,
            verbose=0,
        )
    assert not report.is_met and compact.input_shape == (None, 20)


def failing(failing_stage, trials):
    """`_Stages._fit` that leaves NaN behind in some trials, counted from 1."""
    fit, fits = compressing._Stages._fit, []

    def fit_or_diverge(self, model, epochs, bar, stage):
        if stage == failing_stage:
            fits.append(stage)
            if len(fits) in trials:
                model.trainable_variables[0].assign(
                    model.trainable_variables[0] * np.nan
                )
                epochs = 1
        fit(self, model, epochs, bar, stage)

    return fit_or_diverge


@pytest.mark.parametrize("stage", ["sparsification", "fine-tuning"])
@pytest.mark.parametrize("target", ["max_metric_loss", "target_compression"])
def test_a_trial_that_diverges_costs_only_itself(trained, stage, target, monkeypatch):
    monkeypatch.setattr(compressing._Stages, "_fit", failing(stage, {1}))
    compact, report = cvzoo.compress(
        trained,
        data(),
        data(1),
        epochs=(0, 20, 3),
        trials=2,
        verbose=0,
        **{target: 0.5 if target == "max_metric_loss" else 2},
    )
    first, second = report.trials
    assert first.failure == f"{stage} diverged, a weight is NaN or infinite"
    assert not second.failure and report.after == second.metric
    assert f"failed: {stage} diverged" in str(report)
    assert compact.evaluate(*data(1), verbose=0)[1] == pytest.approx(report.after)


def test_it_is_an_error_when_all_trials_diverge(trained, monkeypatch):
    monkeypatch.setattr(
        compressing._Stages, "_fit", failing("sparsification", range(9))
    )
    with pytest.raises(ValueError, match="No trial of 2 gave a model: sparsification"):
        cvzoo.compress(
            trained,
            data(),
            data(1),
            target_compression=3,
            epochs=(0, 1, 0),
            trials=2,
            verbose=0,
        )


def test_the_search_goes_below_a_pressure_that_failed():
    def run(pressure):
        if pressure > 12:
            raise Diverged("too much")
        return Result(Trial(pressure, 2 * pressure, 0.9 - pressure / 100), None)

    watched = Watched("accuracy", True)
    found = Search(run, watched, 0.9, 12)
    best, is_met = found.for_compression(20.0, METHODS["ard"]._replace(start=50.0))
    assert is_met and 20 <= best.trial.compression <= 24
    assert found.results[0].trial.failure == "too much"
    best, is_met = Search(run, watched, 0.9, 12).for_compression(500, METHODS["ard"])
    assert not is_met and 20 <= best.trial.compression <= 24
    best, is_met = Search(run, watched, 0.9, 12).for_metric(0.5, 50.0)
    assert is_met and 10 <= best.trial.pressure <= 12


def search(trials=8):
    """Over a network whose metric falls by a hundredth for each unit of pressure."""

    def run(pressure):
        return Result(Trial(pressure, 2 * pressure, 0.9 - pressure / 100), None)

    return Search(run, Watched("accuracy", True), 0.9, trials)


@pytest.mark.parametrize("start", [0.2, 5.0, 300.0])
def test_the_search_for_a_metric_ends_near_its_bound(start):
    best, is_met = search(12).for_metric(0.1, start)
    assert is_met and 8 <= best.trial.pressure <= 10 + 1e-9


def test_the_search_says_when_nothing_is_good_enough():
    found = search(3)
    best, is_met = found.for_metric(0.0001, 100.0)
    assert not is_met and best.trial.pressure == min(
        one.trial.pressure for one in found.results
    )


@pytest.mark.parametrize("method", ["magnitude", "ard"])
@pytest.mark.parametrize("target", [3.0, 40.0, 500.0])
def test_the_search_for_a_compression_ends_near_it(method, target):
    best, is_met = search(12).for_compression(target, METHODS[method])
    assert is_met and target <= best.trial.compression <= 1.3 * target


@pytest.mark.parametrize(
    ("name", "mode", "loss"),
    [
        ("accuracy", "auto", 0.1),
        ("val_auc", "auto", 0.1),
        ("mean_absolute_error", "auto", -0.1),
        ("loss", "auto", -0.1),
        ("mean_io_u_1", "auto", 0.1),
        ("dice_loss", "auto", -0.1),
        ("false_accept_rate", "auto", -0.1),
        ("own", "max", 0.1),
        ("accuracy", "min", -0.1),
    ],
)
def test_worse_is_more_or_less(name, mode, loss):
    watched = choose_metric({"loss": 1.0, name: 0.9}, name, mode)
    assert watched.loss(0.9, 0.8) == pytest.approx(loss)
    assert watched.loss(0.9, float("nan")) == float("inf")


def test_a_name_that_does_not_tell_what_is_better_needs_a_mode():
    with pytest.raises(ValueError, match="'score' does not tell.*Give `mode='max'`"):
        choose_metric({"loss": 1.0, "score": 0.9})
    with pytest.raises(ValueError, match="`mode` must be 'auto', 'max' or 'min'"):
        choose_metric({"loss": 1.0}, mode="maximum")


def test_the_first_compiled_metric_that_is_one_number_is_watched():
    inputs = keras.Input((20,))
    outputs = [keras.layers.Dense(3, "softmax", name=name)(inputs) for name in "ab"]
    model = keras.Model(inputs, outputs)
    features, labels = data()
    one_hot = keras.utils.to_categorical(labels, 3)
    examples = (features, [one_hot, one_hot])
    model.compile(
        loss=["categorical_crossentropy"] * 2,
        metrics=[None, [keras.metrics.F1Score(), "recall", "accuracy"]],
    )
    scores = Data(examples, examples).evaluate(model)
    assert list(scores) == ["loss", "b_recall", "b_accuracy", "a_loss", "b_loss"]
    assert choose_metric(scores) == Watched("b_recall", True)
    losses = {name: scores[name] for name in ("a_loss", "loss")}
    assert choose_metric(losses) == Watched("loss", False)
    with pytest.raises(ValueError, match="no metric 'b_f1_score' that is one number"):
        choose_metric(scores, "b_f1_score")


def test_examples_and_steps_are_counted():
    import tensorflow as tf

    found = Data(data(), data(), batch_size=50)
    assert (found.n_train, found.steps_per_epoch) == (EXAMPLES, 4)
    batches = tf.data.Dataset.from_tensor_slices(data()).batch(64)
    found = Data(batches, data())
    assert (found.n_train, found.steps_per_epoch) == (EXAMPLES, 3)
    unknown = batches.filter(lambda x, y: True)
    found = Data(unknown, data(), n_train=130)
    assert (found.n_train, found.steps_per_epoch) == (130, 3)
    with pytest.raises(ValueError, match="Give it as `n_train`"):
        Data(unknown, data())
    found = Data(data(), data(), n_train=10_000)
    assert (found.n_train, found.steps_per_epoch) == (10_000, 6)


class Endless(keras.utils.PyDataset):
    num_batches = None

    def __getitem__(self, index):
        return data()


class Once(Endless):
    num_batches = 1


def test_data_that_cannot_be_gone_through_again_and_again():
    import tensorflow as tf

    assert Data(Once(), Once()).n_train == EXAMPLES
    batches = tf.data.Dataset.from_tensor_slices(data()).batch(64)
    for endless in (batches.repeat(), Endless()):
        with pytest.raises(ValueError, match="training data are without end"):
            Data(endless, data())
        with pytest.raises(ValueError, match="validation data are without end"):
            Data(data(), endless)
    with pytest.raises(ValueError, match="at least one batch"):
        Data(batches.take(0), data())
    generator = (batch for batch in [data()])
    for wrong in (generator, list(data()), data()[0], data()[:1], None):
        with pytest.raises(ValueError, match="Data must be a"):
            Data(wrong, data(), n_train=EXAMPLES)
        with pytest.raises(ValueError, match="Data must be a"):
            Data(data(), wrong)
    for wrong in (0, 2.5, "100", float("nan")):
        with pytest.raises(ValueError, match="`n_train` must be positive"):
            Data(data(), data(), n_train=wrong)
        with pytest.raises(ValueError, match="`batch_size` must be positive"):
            Data(data(), data(), batch_size=wrong)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Give one target"),
        ({"max_metric_loss": 0.1, "target_compression": 2}, "Give one target"),
        ({"target_compression": 1}, "must be above 1"),
        ({"target_compression": "10"}, "must be above 1"),
        ({"target_compression": float("inf")}, "must be above 1"),
        ({"max_metric_loss": -0.1}, "must not be negative"),
        ({"max_metric_loss": "1 %"}, "must not be negative"),
        ({"target_compression": 2, "epochs": 75}, "`epochs` must be three"),
        ({"target_compression": 2, "epochs": (0, 2.5, 1)}, "`epochs` must be three"),
        ({"target_compression": 2, "epochs": "abc"}, "`epochs` must be three"),
        ({"target_compression": 2, "threshold": float("nan")}, "`threshold` must be"),
        ({"target_compression": 2, "values": "int8"}, "`values` must be one of"),
        ({"target_compression": 2, "method": ["ard"]}, "`method` must be one of"),
        ({"target_compression": 2, "method": "magic"}, "`method` must be one of"),
        ({"target_compression": 2, "epochs": (0, 0, 1)}, "`epochs` must be"),
        ({"target_compression": 2, "trials": 0}, "`trials` must be"),
        ({"target_compression": 2, "trials": 1.5}, "`trials` must be"),
        (
            {"target_compression": 2, "metric": "auc"},
            "no metric 'auc' that is one number. It has: loss, accuracy",
        ),
        (
            {"target_compression": 2, "method": "magnitude", "values": "posterior"},
            "needs a method with a posterior",
        ),
    ],
)
def test_bad_arguments(trained, arguments, message):
    with pytest.raises(ValueError, match=message):
        cvzoo.compress(trained, data(), data(1), **arguments, verbose=0)


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def test_models_whose_graph_cannot_be_read():
    unbuilt = keras.Sequential([keras.layers.Dense(3)], name="unbuilt")
    unbuilt.compile(loss="mse")
    with pytest.raises(ValueError, match="'unbuilt' has no shapes yet. Begin it with"):
        cvzoo.compress(unbuilt, data(), data(1), target_compression=2)
    subclassed = Subclassed()
    subclassed.compile(loss="mse")
    with pytest.raises(ValueError, match="Functional or Sequential Keras model"):
        cvzoo.compress(subclassed, data(), data(1), target_compression=2)
    with pytest.raises(ValueError, match="Sequential Keras model.*Received: 'model'"):
        cvzoo.compress("model", data(), data(1), target_compression=2)


def test_a_model_without_kernels():
    model = keras.Sequential([keras.Input((20,)), keras.layers.ReLU()], name="bare")
    model.compile(loss="mse")
    with pytest.raises(ValueError, match="'bare' has no dense or convolutional layer"):
        cvzoo.compress(model, data(), data(1), target_compression=2)


def test_a_model_that_is_not_compiled():
    model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match=r"call `model.compile\(...\)` first"):
        cvzoo.compress(model, data(), data(1), target_compression=2)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    layers = [
        keras.layers.Dense(40, "relu", dtype=policy),
        keras.layers.Dense(3, dtype="float32"),
    ]
    model = keras.Sequential([keras.Input((20,)), *layers])
    # As Keras does where the policy is global.
    optimizer = keras.optimizers.Adam(0.01)
    if policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    model.fit(*data(), epochs=10, verbose=0)
    compact, report = cvzoo.compress(
        model,
        data(),
        data(1),
        target_compression=3,
        epochs=(0, 10, 2),
        trials=3,
        values="posterior",
        verbose=0,
    )
    assert report.is_met and report.after > 0.6
    assert compact.layers[1].dtype_policy.name == policy


def test_a_learning_rate_falls_once_unless_it_has_a_schedule(trained):
    rates = []
    model = sparsity.without_sparsifiers(trained)
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(
            float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
        )
    )
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    model.fit(*data(), epochs=5, callbacks=[compressing._RateDrop(5), watch], verbose=0)
    np.testing.assert_allclose(rates, [0.5, 0.5, 0.5, 0.05, 0.05])
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 1000, 0.9)
    model.compile(keras.optimizers.SGD(schedule), "sparse_categorical_crossentropy")
    model.fit(*data(), epochs=2, callbacks=[compressing._RateDrop(2)], verbose=0)
    assert model.optimizer.get_config()["learning_rate"]["class_name"]
