"""`threshold_curve` against pruning and evaluating at each threshold."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import cvzoo
from cvzoo import sparsity
from tests.helpers import small_model

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def data_for(model, examples=40):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(examples, *model.input_shape[1:]))
    return inputs.astype(np.float32), generator.integers(0, 3, size=examples)


def bayesian_model(sparsifier=None, compiled=True):
    sparsifier = sparsifier or cvzoo.VariationalDropout(0.1)
    model = cvzoo.sparsify(small_model(), sparsifier, n_train=9)
    for layer in sparsity.sparse_layers(model):
        values = np.random.default_rng(0).normal(-3, 2, size=layer.log_sigma2.shape)
        layer.log_sigma2.assign(values)
    if compiled:
        model.compile("adam", LOSS, metrics=["accuracy"])
    return model


@pytest.mark.parametrize("as_dataset", [False, True])
@pytest.mark.parametrize(
    "sparsifier",
    [None, cvzoo.ARD(0.1, group="unit") + cvzoo.MagnitudePruning(0.5, 10)],
)
def test_each_row_is_that_of_a_pruned_model(sparsifier, as_dataset):
    bayesian = bayesian_model(sparsifier)
    data = data_for(bayesian)
    passed = tf.data.Dataset.from_tensor_slices(data).batch(16) if as_dataset else data
    before = bayesian.get_weights()
    curve = cvzoo.threshold_curve(bayesian, passed, [2, -np.inf, -0.5, np.inf])
    assert [row.threshold for row in curve.rows] == [-np.inf, -0.5, 2, np.inf]
    for row in curve.rows:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of layers without any weight
            pruned = cvzoo.prune(bayesian, row.threshold)
        report = cvzoo.compression_report(pruned, bayesian)
        assert row.nonzero == report.nonzero
        assert row.compression == report.compression
        pruned.compile("adam", LOSS, metrics=["accuracy"])
        expected = pruned.evaluate(*data, verbose=0, return_dict=True)
        assert set(row.metrics) == {"loss", "accuracy"}
        for name, value in row.metrics.items():
            assert value == pytest.approx(expected[name], rel=1e-4)
    for left, right in zip(before, bayesian.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_all_thresholds_share_one_trace():
    traces = []

    def counting(y_true, y_pred):
        traces.append(1)
        return keras.ops.mean(y_pred)

    bayesian = bayesian_model(compiled=False)
    options = {"loss": LOSS, "metrics": [counting]}
    data = data_for(bayesian, 32)
    cvzoo.threshold_curve(bayesian, data, [0], **options)
    once = len(traces)
    curve = cvzoo.threshold_curve(bayesian, data, **options)
    assert len(curve.rows) > 10 and len(traces) == 2 * once
    assert -0.5 in [row.threshold for row in curve.rows]


def test_a_baseline_is_what_compression_is_against():
    bayesian = bayesian_model()
    large = small_model(hidden=30)
    (row,) = cvzoo.threshold_curve(bayesian, data_for(bayesian), 0, large).rows
    assert row.compression == large.count_params() / row.nonzero


@pytest.mark.parametrize("metric", [None, "loss"])
def test_a_curve_is_drawn_and_printed(tmp_path, metric):
    bayesian = bayesian_model()
    curve = cvzoo.threshold_curve(bayesian, data_for(bayesian), [-1, 0, 1])
    assert curve.draw(tmp_path / "curve.png", metric).stat().st_size > 5000
    lines = str(curve).splitlines()
    assert len(lines) == 4 and len({len(line) for line in lines}) == 1
    with pytest.raises(ValueError, match=r"one of .*'loss'.*Received: 'f1'"):
        curve.draw(tmp_path / "curve.png", "f1")


@pytest.mark.parametrize("thresholds", [[], [0, np.nan]])
def test_thresholds_must_be_numbers(thresholds):
    bayesian = bayesian_model()
    with pytest.raises(ValueError, match="one number or more, none of them NaN"):
        cvzoo.threshold_curve(bayesian, data_for(bayesian), thresholds)


def test_what_cannot_be_evaluated_is_refused():
    bayesian = bayesian_model(compiled=False)
    data = data_for(bayesian)
    with pytest.raises(ValueError, match="not compiled.*pass `loss` and `metrics`"):
        cvzoo.threshold_curve(bayesian, data)
    with pytest.raises(ValueError, match="iterator, which can be read once"):
        cvzoo.threshold_curve(bayesian, iter([data]))
    for model in (small_model(), cvzoo.prune(bayesian)):
        with pytest.raises(ValueError, match="holds a Bayesian sparsifier"):
            cvzoo.threshold_curve(model, data)
    bayesian.compile("adam", lambda y_true, y_pred: keras.ops.mean(y_pred))
    with pytest.raises(ValueError, match="cannot be copied. Pass `loss`"):
        cvzoo.threshold_curve(bayesian, data)


def test_a_network_that_diverged_is_refused():
    bayesian = bayesian_model()
    layer = bayesian.get_layer("hidden")
    layer.log_sigma2.assign(np.full(layer.log_sigma2.shape, np.nan))
    with pytest.raises(ValueError, match="layer 'hidden' must be finite"):
        cvzoo.threshold_curve(bayesian, data_for(bayesian))


@pytest.mark.parametrize("argument", ["bayesian", "baseline"])
def test_what_is_no_model_is_refused(argument):
    arguments = {"bayesian": keras.Sequential(), argument: "model"}
    with pytest.raises(ValueError, match=f"`{argument}` must be a Keras model"):
        cvzoo.threshold_curve(data=np.zeros((2, 3)), **arguments)
