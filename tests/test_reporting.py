"""Counts of `compression_report`, against counts by hand."""

import builtins
import time

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import packing, sparsity
from tests.helpers import small_model


def test_counts_of_a_pruned_model():
    model = small_model(hidden=12, classes=3, inputs=6)
    mask = np.zeros((6, 12), np.float32)
    mask[:2, :5] = 1
    pruned = sparsity.with_masks(
        model, lambda layer: mask if layer.name == "hidden" else None
    )
    report = cvzoo.compression_report(pruned, baseline=model)
    parameters = 2 * (6 * 12 + 12 + 12 * 3 + 3)
    assert report.parameters == report.baseline_parameters == parameters
    assert report.nonzero == parameters - 2 * (6 * 12 - 10)
    assert report.compression == parameters / report.nonzero
    hidden, output = report.layers
    assert (hidden.name, hidden.nonzero) == ("hidden", 2 * (10 + 12))
    assert (output.name, output.nonzero) == ("output", 2 * (12 * 3 + 3))
    assert "all" in str(report)


def test_log_sigma2_does_not_count():
    model = small_model()
    sparse = cvzoo.sparsify(model, cvzoo.VariationalDropout(0.1), n_train=9)
    left, right = map(cvzoo.compression_report, (model, sparse))
    assert left.parameters == right.parameters == model.count_params()


def test_a_complex_zero_needs_both_parts():
    tensors = {"a/kernel": (np.float32([0, 0, 1]), np.float32([0, 2, 0]))}
    assert len(packing.pack(tensors)) > 0
    model = small_model()
    layer = model.get_layer("output")
    layer.kernel_real.assign(np.zeros((12, 3)))
    assert cvzoo.compression_report(model).nonzero == model.count_params()


def test_bytes_are_those_of_the_weights_file(tmp_path):
    model = small_model()
    folder = cvzoo.save_preset(model, tmp_path / "preset")
    size = (folder / "weights.safetensors").stat().st_size
    assert cvzoo.compression_report(model).bytes == size


def test_layers_of_nested_models_count_each():
    def block(inputs, units):
        x = keras.Input((inputs,))
        return keras.Model(x, keras.layers.Dense(units, name="dense")(x))

    x = keras.Input((6,))
    y = keras.layers.Bidirectional(keras.layers.LSTM(3))(
        keras.layers.Reshape((3, 2))(x)
    )
    model = keras.Model(x, block(8, 3)(block(6, 8)(y)))
    report = cvzoo.compression_report(model)
    assert report.parameters == model.count_params()
    names = [row.name for row in report.layers]
    assert len(set(names)) == len(names) == 3


def test_a_network_of_zeros_has_a_report():
    x = keras.Input((2,))
    dense = keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros")
    report = cvzoo.compression_report(keras.Model(x, dense(x)))
    assert report.nonzero == 0
    assert report.compression == 4


def normalized_model():
    x = keras.Input((4,))
    y = keras.layers.Dense(5, name="dense")(x)
    y = keras.layers.BatchNormalization(name="norm")(y)
    return keras.Model(x, keras.layers.Dense(2, name="output")(y))


def test_moving_statistics_count_unless_told_otherwise():
    model = normalized_model()
    with_buffers = cvzoo.compression_report(model)
    without = cvzoo.compression_report(model, buffers=False)
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert with_buffers.parameters == model.count_params() == trainable + 2 * 5
    assert without.parameters == without.baseline_parameters == trainable
    assert without.bytes == with_buffers.bytes
    model.trainable = False
    assert cvzoo.compression_report(model, buffers=False).parameters == trainable


def test_rows_are_dictionaries_for_each_layer_and_all():
    model = normalized_model()
    model.get_layer("dense").kernel.assign(np.eye(4, 5))
    rows = cvzoo.compression_report(model).rows()
    assert [row["name"] for row in rows] == ["dense", "norm", "output", "all"]
    assert rows[0]["parameters"] == 25 and rows[0]["nonzero"] == 9
    assert rows[0]["sparsity"] == 1 - 9 / 25
    for key in ("parameters", "nonzero"):
        assert rows[-1][key] == sum(row[key] for row in rows[:-1])
    # The rest is the header's fixed part.
    assert 0 < rows[-1]["bytes"] - sum(row["bytes"] for row in rows[:-1]) < 250


def test_a_change_of_outputs_is_measured():
    model = normalized_model()
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    bias = other.get_layer("output").bias
    bias.assign(bias + [0.5, 0])
    inputs = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    report = cvzoo.compression_report(other, reference=model, inputs=inputs)
    size = np.sqrt(np.mean(np.square(model(inputs))))
    assert report.change.largest == pytest.approx(0.5, rel=1e-5)
    assert report.change.relative == pytest.approx(0.5 / np.sqrt(2) / size, rel=1e-5)
    assert "outputs differ by at most 0.5" in str(report)
    assert cvzoo.compression_report(model, inputs=inputs).change.largest == 0
    with pytest.raises(ValueError, match="`inputs`, which are missing"):
        cvzoo.compression_report(other, reference=model)


def test_values_are_rounded_before_they_are_counted():
    model = normalized_model()
    inputs = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    exact = cvzoo.compression_report(model)
    rounded = cvzoo.compression_report(model, values="float16", inputs=inputs)
    assert rounded.bytes < exact.bytes
    assert 0 < rounded.change.largest < 0.01


@pytest.mark.parametrize("layers", [1, 3, 50])
def test_a_picture_is_drawn(tmp_path, layers):
    x = y = keras.Input((4,))
    for _ in range(layers):
        y = keras.layers.Dense(4)(y)
    report = cvzoo.compression_report(keras.Model(x, y))
    path = report.draw(tmp_path / "new" / "sparsity.png")
    assert path.stat().st_size > 5000


def test_drawing_without_matplotlib_says_what_to_install(tmp_path, monkeypatch):
    report = cvzoo.compression_report(normalized_model())
    real_import = builtins.__import__

    def without_matplotlib(name, *arguments, **options):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(ImportError, match=r'pip install "cvzoo\[plots\]"'):
        report.draw(tmp_path / "picture.png")


def test_a_large_dense_model_is_measured_fast():
    x = keras.Input((1500,))
    model = keras.Model(x, keras.layers.Dense(4000)(x))
    start = time.process_time()
    report = cvzoo.compression_report(model)
    assert time.process_time() - start < 3
    kernel = 4 * 1500 * 4000  # the bias is zero
    assert kernel < report.bytes < kernel + 500


@pytest.mark.parametrize("argument", ["model", "baseline", "reference"])
def test_what_is_no_model_is_refused(argument):
    with pytest.raises(ValueError, match=f"`{argument}` must be a Keras model. Rec"):
        cvzoo.compression_report(**{"model": small_model(), argument: "small"})
