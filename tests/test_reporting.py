"""Counts of `compression_report`, against counts by hand."""

import keras
import numpy as np

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
