"""`load_weights_from`: what matches is loaded, what does not is told of."""

import json

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import packing, preset_files, sparsity, weights
from cvzoo.preset_files import PresetError
from tests.helpers import small_model, sparse_model

ALL = ("hidden/kernel", "hidden/bias", "output/kernel", "output/bias")


def state_of(model):
    return [variable.numpy() for variable in model.variables]


def assert_untouched(model, before):
    for left, right in zip(state_of(model), before, strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_model_of_the_same_layers_gets_all_weights(saved):
    folder, source = saved
    model = small_model()
    report = cvzoo.load_weights_from(model, folder, strict=True)
    assert report.loaded == ALL
    assert report.missing == report.unused == report.mismatched == ()
    expected = weights.named_tensors(source)
    for name, value in weights.named_tensors(model).items():
        np.testing.assert_array_equal(value, expected[name])


def test_what_does_not_match_is_told_and_left_as_it_was(saved):
    model = small_model(classes=5)
    x = keras.layers.Dense(2, name="more")(model.output)
    model = keras.Model(model.input, x)
    before = model.get_layer("output").kernel_real.numpy()
    report = cvzoo.load_weights_from(model, saved[0])
    assert report.loaded == ALL[:2]
    assert report.missing == ("more/kernel", "more/bias")
    assert report.unused == ()
    assert [tuple(one) for one in report.mismatched] == [
        ("output/kernel", ((12, 5), 2), ((12, 3), 2)),
        ("output/bias", ((5,), 2), ((3,), 2)),
    ]
    np.testing.assert_array_equal(model.get_layer("output").kernel_real, before)
    assert str(report) == (
        "2 weights loaded\n"
        "2 of the model that the preset does not have\n"
        "  more/kernel\n"
        "  more/bias\n"
        "2 that do not fit\n"
        "  output/kernel: (12, 5) complex in the model, (12, 3) complex in the preset\n"
        "  output/bias: (5,) complex in the model, (3,) complex in the preset"
    )


def test_a_real_layer_does_not_get_complex_weights(saved):
    x = keras.Input((6, 2))
    z = cvzoo.layers.ToComplex("trailing")(x)
    y = cvzoo.layers.FromComplex("real")(
        cvzoo.layers.ComplexDense(12, name="hidden")(z)
    )
    y = keras.layers.Dense(3, name="output", use_bias=False)(y)
    report = cvzoo.load_weights_from(keras.Model(x, y), saved[0])
    assert report.loaded == ALL[:2] and report.unused == ("output/bias",)
    assert report.mismatched == (("output/kernel", ((12, 3), 1), ((12, 3), 2)),)
    assert "(12, 3) real in the model, (12, 3) complex in the preset" in str(report)


@pytest.mark.parametrize("strict", [True, False])
def test_an_error_leaves_the_model_as_it_was(saved, strict):
    model = small_model(classes=5)
    if not strict:
        x = keras.Input((6,))
        model = keras.Model(x, keras.layers.Dense(3)(x))
    before = state_of(model)
    message = "nothing was loaded: 2 weights.*do not fit" if strict else "0 weights"
    with pytest.raises(PresetError, match=f"(?s){message}"):
        cvzoo.load_weights_from(model, saved[0], strict=strict)
    assert_untouched(model, before)


def test_weights_that_are_damaged_at_the_end_leave_the_model_as_it_was(preset):
    tensors = weights.named_tensors(small_model())
    data = bytearray(packing.pack(tensors))
    # The streams of the last tensor: they end too early, with the hash of that.
    data[-8:] = b"\xff" * 8
    (preset / preset_files.WEIGHTS).write_bytes(data)
    manifest = json.loads((preset / preset_files.MANIFEST).read_text())
    manifest["files"][preset_files.WEIGHTS] = preset_files.describe_bytes(bytes(data))
    (preset / preset_files.MANIFEST).write_text(json.dumps(manifest))
    model = small_model()
    before = state_of(model)
    with pytest.raises(PresetError, match="'output/kernel' of the weights file"):
        cvzoo.load_weights_from(model, preset)
    assert_untouched(model, before)


def test_masks_become_those_of_the_zeros_that_are_loaded(saved):
    folder, source = saved
    pattern = np.random.default_rng(5).random((6, 12)) < 0.5
    model = sparsity.with_masks(
        small_model(), lambda layer: pattern if layer.name == "hidden" else None
    )
    cvzoo.load_weights_from(model, folder)
    expected = weights.named_tensors(source)["hidden/kernel"]
    stored = (expected[0] != 0) | (expected[1] != 0)
    layer = model.get_layer("hidden")
    np.testing.assert_array_equal(layer.mask, stored)
    for found, value in zip(layer.kernel_parts, expected, strict=True):
        np.testing.assert_array_equal(found, value)
    assert not sparsity.has_mask(model.get_layer("output"))


def test_a_mask_stays_where_its_kernel_is_not_loaded(saved):
    model = sparsity.with_masks(
        small_model(classes=5), lambda layer: np.eye(*layer.kernel_shape)
    )
    report = cvzoo.load_weights_from(model, saved[0])
    assert "output/kernel" not in report.loaded
    np.testing.assert_array_equal(model.get_layer("output").mask, np.eye(12, 5))


def test_a_sparsified_model_keeps_its_variances(saved):
    model = cvzoo.sparsify(small_model(), cvzoo.VariationalDropout(), n_train=10)
    layer = model.get_layer("hidden")
    layer.log_sigma2.assign(np.full((6, 12), -3.0))
    report = cvzoo.load_weights_from(model, saved[0], strict=True)
    assert report.loaded == ALL
    np.testing.assert_array_equal(layer.log_sigma2, np.full((6, 12), -3.0))
    kernel = weights.named_tensors(saved[1])["hidden/kernel"]
    np.testing.assert_array_equal(layer.kernel_real, kernel[0])


def test_statistics_of_batch_norm_and_normalization_are_loaded(tmp_path):
    def make():
        x = keras.Input((4,))
        y = keras.layers.Normalization(name="scaled")(x)
        y = keras.layers.BatchNormalization(name="norm")(y)
        return keras.Model(x, keras.layers.Dense(2, name="dense")(y))

    source, generator = make(), np.random.default_rng(0)
    data = generator.normal(3, 2, (50, 4)).astype(np.float32)
    source.get_layer("scaled").adapt(data)
    norm = source.get_layer("norm")
    for variable in norm.weights:
        variable.assign(generator.uniform(1, 2, 4))
    cvzoo.save_preset(source, tmp_path / "preset")
    model = make()
    report = cvzoo.load_weights_from(model, tmp_path / "preset", strict=True)
    assert "norm/moving_variance" in report.loaded
    gamma, beta, mean, variance = (one.numpy() for one in norm.weights)
    scaled = (data - data.mean(axis=0)) / data.std(axis=0)
    normed = (scaled - mean) / np.sqrt(variance + norm.epsilon) * gamma + beta
    kernel, bias = source.get_layer("dense").get_weights()
    np.testing.assert_allclose(model(data), normed @ kernel + bias, atol=1e-4)


def test_the_model_inside_another_is_given_itself(saved):
    inner = small_model()
    x = keras.Input((6, 2))
    outer = keras.Model(x, keras.layers.Dense(4)(inner(x)))
    with pytest.raises(PresetError, match=f"  {inner.name}/hidden/kernel\n"):
        cvzoo.load_weights_from(outer, saved[0])
    cvzoo.load_weights_from(inner, saved[0], strict=True)


def test_quantized_layers_are_left_alone(saved, tmp_path):
    def make():
        x = keras.Input((4,))
        y = keras.layers.Dense(4, name="first")(x)
        return keras.Model(x, keras.layers.Dense(2, name="second")(y))

    folder, model = cvzoo.save_preset(make(), tmp_path / "preset"), make()
    model.get_layer("first").quantize("int8")
    before = model.get_layer("first").get_weights()
    report = cvzoo.load_weights_from(model, folder)
    assert report.loaded == ("second/kernel", "second/bias")
    assert report.unused == ("first/kernel", "first/bias")
    for left, right in zip(model.get_layer("first").get_weights(), before, strict=True):
        np.testing.assert_array_equal(left, right)


def test_what_cannot_be_loaded_into_is_refused(saved):
    with pytest.raises(ValueError, match="`model` must be a Keras model"):
        cvzoo.load_weights_from(saved[0], small_model())
    with pytest.raises(ValueError, match="has no weights yet"):
        cvzoo.load_weights_from(keras.Sequential([keras.layers.Dense(3)]), saved[0])
    with pytest.raises(ValueError, match="`strict` must be True or False"):
        cvzoo.load_weights_from(small_model(), saved[0], strict="yes")
    with pytest.raises(PresetError, match="No preset is called 'nobody'"):
        cvzoo.load_weights_from(small_model(), "nobody")


def test_the_sparse_model_trains_on_with_the_zeros_that_were_loaded(saved):
    model = sparse_model()
    cvzoo.load_weights_from(model, saved[0])
    zero = model.get_layer("hidden").mask.numpy() == 0
    model.compile("adam", "mse")
    inputs = np.random.default_rng(0).normal(size=(8, 6, 2))
    model.fit(inputs, np.ones((8, 3)), verbose=0)
    kernel, _ = sparsity.linear_values(model.get_layer("hidden"))
    assert zero.any() and not kernel[0][zero].any() and not kernel[1][zero].any()
