"""`compress`: the stages in one call."""

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import compressing, sparsity
from cvzoo.methods import METHODS
from cvzoo.training_data import Data

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


IN_EVERY_RUN = ("variational_dropout",)


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=() if name in IN_EVERY_RUN else pytest.mark.slow)
        for name in METHODS
    ],
)
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


@pytest.mark.parametrize(
    ("target", "stage"),
    [
        ("max_metric_loss", "sparsification"),
        ("target_compression", "fine-tuning"),
    ],
)
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


@pytest.mark.filterwarnings("ignore:cvzoo.compress missed its target")
@pytest.mark.parametrize(
    ("target", "value"),
    [
        ({"max_metric_loss": 0.9}, float("nan")),
        pytest.param({"target_compression": 6}, float("inf"), marks=pytest.mark.slow),
    ],
)
def test_a_trial_whose_metric_is_no_number_has_failed(
    trained, target, value, monkeypatch
):
    evaluate, evaluations = Data.evaluate, []

    def evaluate_or_not(self, model):
        evaluations.append(model)
        is_first_trial = len(evaluations) == 2  # after the model given
        return evaluate(self, model) | ({"accuracy": value} if is_first_trial else {})

    monkeypatch.setattr(Data, "evaluate", evaluate_or_not)
    compact, report = cvzoo.compress(
        trained,
        data(),
        data(1),
        method="magnitude",
        epochs=(0, 2, 1),
        trials=2,
        verbose=0,
        **target,
    )
    first, second = report.trials
    assert first.failure == f"validation accuracy of the compact model is {value}"
    assert np.isnan(first.metric) and np.isnan(first.compression)
    assert first.pressure > second.pressure  # as if it had pressed too hard
    assert not second.failure and report.after == second.metric
    assert compact is evaluations[2]


def test_a_model_whose_metric_is_no_number_is_refused(trained, monkeypatch):
    # Not by inputs of NaN: oneDNN, on some processors, makes numbers of them.
    monkeypatch.setattr(Data, "evaluate", lambda self, model: {"loss": float("nan")})
    losses = {"metric": "loss", "target_compression": 2, "verbose": 0}
    with pytest.raises(ValueError, match="validation loss must be a number.*It is nan"):
        cvzoo.compress(trained, data(), data(1), **losses)


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


@pytest.mark.parametrize(
    "policy",
    ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)],
)
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
