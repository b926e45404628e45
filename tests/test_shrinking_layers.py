"""`shrink` knows layers of many kinds: masks, groups, einsum, LoRA, softmax."""

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import layers, sparsity
from tests.helpers import assert_same_outputs, masked, with_kernels

ACTIVATIONS = ["relu", "tanh", "sigmoid", "softplus"]


def test_units_before_a_softmax_go_and_its_own_stay():
    x = keras.Input((5,))
    y = keras.layers.Dense(7, "relu", name="first")(x)
    y = keras.layers.Dense(6, "softmax", name="second")(y)
    model = keras.Model(x, keras.layers.Dense(3, name="third")(y))
    second = np.ones((7, 6), np.float32)
    second[:4] = 0
    second[4, 1:] = 0  # only for a unit that only the softmax reads
    third = np.ones((6, 3), np.float32)
    third[:2] = 0
    with_kernels(model, second=second, third=third)
    shrunk = cvzoo.shrink(model)
    assert [shrunk.get_layer(name).units for name in ("first", "second")] == [3, 6]
    assert_same_outputs(model, shrunk)


def test_one_activation_for_several_layers_does_not_tie_their_units():
    x = keras.Input((5,))
    activation, y = keras.layers.ReLU(), x
    for name in ("first", "second", "third"):
        y = activation(keras.layers.Dense(7, name=name)(y))
    model = keras.Model(x, keras.layers.Dense(3, name="last")(y))
    third = np.ones((7, 7), np.float32)
    third[2:] = 0
    last = np.ones((7, 3), np.float32)
    last[4:] = 0
    with_kernels(model, third=third, last=last)
    shrunk = cvzoo.shrink(model)
    units = [shrunk.get_layer(name).units for name in ("first", "second", "third")]
    assert units == [7, 2, 4]
    assert_same_outputs(model, shrunk)


def test_masks_of_sequences():
    x = keras.Input((6, 3))
    y = keras.layers.Masking()(x)
    y = keras.layers.BatchNormalization()(keras.layers.Dense(5)(y))
    y = keras.layers.GlobalAveragePooling1D()(y)
    pruned = masked(keras.Model(x, keras.layers.Dense(2)(y)), 0.3, 0)
    shrunk = cvzoo.shrink(pruned)
    inputs = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
    inputs[:, 4:] = 0
    np.testing.assert_allclose(pruned(inputs), shrunk(inputs), atol=1e-5)


@pytest.mark.parametrize("is_folded", [True, False])
def test_units_before_a_masked_batch_norm_go(is_folded):
    x = keras.Input((6, 3))
    y = keras.layers.Dense(5, name="first")(keras.layers.Masking()(x))
    y = y if is_folded else keras.layers.Activation("tanh")(y)
    y = keras.layers.BatchNormalization(name="norm")(y)
    y = keras.layers.Dense(4, "relu", name="second")(y)
    y = keras.layers.GlobalAveragePooling1D()(y)
    model = keras.Model(x, keras.layers.Dense(2, name="last")(y))
    model.get_layer("norm").moving_mean.assign(np.arange(5))
    second, last = np.ones((5, 4), np.float32), np.ones((4, 2), np.float32)
    second[3:], last[1:] = 0, 0
    with_kernels(model, second=second, last=last)
    shrunk = cvzoo.shrink(model)
    assert [shrunk.get_layer(name).units for name in ("first", "second")] == [3, 1]
    inputs = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
    inputs[:, 4:] = 0
    np.testing.assert_allclose(model(inputs), shrunk(inputs), atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*does not support masking")
def test_units_after_a_masked_embedding_and_in_a_masked_nested_model_go():
    x = keras.Input((6, 4))
    y = keras.layers.Dense(5, name="second")(x)
    y = keras.layers.GlobalAveragePooling1D()(y)
    inner = keras.Model(x, y)
    x = keras.Input((6,), dtype="int32")
    y = keras.layers.Embedding(9, 3, mask_zero=True)(x)
    y = inner(keras.layers.Dense(4, name="first")(y))
    model = keras.Model(x, keras.layers.Dense(2, name="last")(y))
    second, last = np.ones((4, 5), np.float32), np.ones((5, 2), np.float32)
    second[2:], last[3:] = 0, 0
    second[:, 0] = 0  # a constant, but where the mask leaves nothing
    with_kernels(inner, second=second)
    with_kernels(model, last=last)
    shrunk = cvzoo.shrink(model)
    assert shrunk.get_layer("first").units == 2
    assert shrunk.get_layer(inner.name).get_layer("second").units == 3
    inputs = np.array([[1, 2, 3, 0, 0, 0], [4, 0, 5, 6, 7, 8], [0] * 6])
    np.testing.assert_allclose(model(inputs), shrunk(inputs), atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*does not support masking")
def test_units_before_a_complex_masked_mean_go():
    x = keras.Input((6, 3))
    y = layers.ToComplex("real")(keras.layers.Masking()(x))
    y = layers.ComplexDense(5, name="first")(y)
    mask = keras.ops.any(keras.ops.not_equal(x, 0), axis=-1)
    y = layers.ComplexGlobalAveragePooling1D()(y, mask=mask)
    y = layers.ComplexDense(2, name="last")(y)
    model = keras.Model(x, layers.FromComplex("real")(y))
    first, last = np.ones((3, 5), np.float32), np.ones((5, 2), np.float32)
    first[:, 0], last[3:] = 0, 0
    with_kernels(model, first=first, last=last)
    for bias in sparsity.bias_variables(model.get_layer("first")):
        bias.assign(np.ones(5))
    shrunk = cvzoo.shrink(model)
    assert shrunk.get_layer("first").units == 3
    inputs = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
    inputs[1:, 4:] = inputs[3] = 0
    np.testing.assert_allclose(model(inputs), shrunk(inputs), atol=1e-5)


def test_units_that_only_dead_channels_of_a_depthwise_convolution_read_go():
    x = keras.Input((6, 6, 2))
    y = keras.layers.Conv2D(4, 3, name="first")(x)
    y = keras.layers.Conv2D(3, 1, name="second")(y)
    y = keras.layers.DepthwiseConv2D(3, padding="same", name="third")(y)
    # The sum keeps the dead channel.
    y = keras.layers.Add()([y, keras.layers.Conv2D(3, 3)(x)])
    model = keras.Model(x, keras.layers.Conv2D(2, 1)(y))
    second = np.ones((1, 1, 4, 3), np.float32)
    second[:, :, :2, 1:] = 0
    third = np.ones((3, 3, 3, 1), np.float32)
    third[:, :, 0] = 0
    with_kernels(model, second=second, third=third)
    shrunk = cvzoo.shrink(model)
    assert [shrunk.get_layer(name).filters for name in ("first", "second")] == [2, 3]
    assert_same_outputs(model, shrunk)


@pytest.mark.parametrize("is_complex", [False, True])
def test_groups_of_a_convolution_go_whole(is_complex):
    kind = layers.ComplexConv1D if is_complex else keras.layers.Conv1D
    x = keras.Input((9, 2))
    y = layers.ToComplex("real")(x) if is_complex else x
    y = kind(3, 1, name="first")(y)
    y = kind(6, 1, name="second")(y)
    y = kind(9, 3, groups=3, padding="same", name="grouped")(y)
    y = kind(2, 3, padding="same", name="last")(y)
    y = layers.FromComplex("real")(y) if is_complex else y
    model = keras.Model(x, y)
    generator = np.random.default_rng(0)
    second, grouped, last = (
        generator.uniform(0.2, 1, shape).astype(np.float32)
        for shape in [(1, 3, 6), (3, 2, 9), (3, 9, 2)]
    )
    second[0, 0, :5] = 0  # only the last channel of `second` is made of this one
    grouped[:, 1, 6:] = 0  # and no filter reads that channel
    last[:, :3] = 0  # nobody reads the first group
    last[:, 4] = 0
    with_kernels(model, second=second, grouped=grouped, last=last)
    shrunk = cvzoo.shrink(model)
    found = shrunk.get_layer("grouped")
    assert (found.groups, found.filters) == (2, 6)
    assert [shrunk.get_layer(name).filters for name in ("first", "second")] == [2, 4]
    assert_same_outputs(model, shrunk)


def test_channels_that_a_batch_norm_multiplies_with_zero_go():
    x = keras.Input((5,))
    y = keras.layers.Add()(
        [keras.layers.Dense(6, name=name)(x) for name in ("left", "right")]
    )
    y = keras.layers.BatchNormalization(name="norm")(y)
    y = keras.layers.Activation("sigmoid")(y)
    model = keras.Model(x, keras.layers.Dense(2)(y))
    model.get_layer("norm").gamma.assign([0, 0, 1, 1, 0, 1])
    shrunk = cvzoo.shrink(model)
    assert [shrunk.get_layer(name).units for name in ("left", "right")] == [3, 3]
    assert_same_outputs(model, shrunk)


@pytest.mark.parametrize("is_normed", [False, True])
def test_units_of_einsum_layers_that_are_dense_go(is_normed):
    x = keras.Input((4, 5))
    y = keras.layers.EinsumDense("abc,cd->abd", (None, 7), name="first")(x)
    y = keras.layers.BatchNormalization()(y) if is_normed else y
    y = keras.layers.EinsumDense("...c,cd->...d", 6, "tanh", "d", name="second")(y)
    model = keras.Model(x, keras.layers.Dense(3, name="third")(y))
    second, third = np.ones((7, 6), np.float32), np.ones((6, 3), np.float32)
    second[4:] = second[:, 0] = 0
    third[2:] = 0
    with_kernels(model, second=second, third=third)
    model.get_layer("second").bias.assign(np.linspace(-1, 1, 6))
    shrunk = cvzoo.shrink(model)
    kernels = [shrunk.get_layer(name).kernel.shape for name in ("first", "second")]
    assert kernels == [(5, 4), (4, 1)]
    assert_same_outputs(model, shrunk)


@pytest.mark.parametrize(
    "equation, shape", [("abc,bcd->abd", (4, 7)), ("abc,dc->abd", (4, 7))]
)
def test_other_einsum_layers_keep_their_units(equation, shape):
    x = keras.Input((4, 5))
    y = keras.layers.EinsumDense(equation, shape, name="first")(x)
    model = keras.Model(x, keras.layers.Dense(3, name="second")(y))
    second = np.ones((7, 3), np.float32)
    second[4:] = 0
    with_kernels(model, second=second)
    shrunk = cvzoo.shrink(model)
    assert shrunk.get_layer("first").compute_output_shape((2, 4, 5)) == (2, 4, 7)
    assert_same_outputs(model, shrunk)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: keras.layers.Dense(7, "tanh"),
        lambda: keras.layers.EinsumDense("abc,cd->abd", (None, 7), bias_axes="d"),
        lambda: keras.layers.Conv1D(7, 3, activation="relu"),
    ],
    ids=["dense", "einsum", "convolution"],
)
def test_lora_is_merged_into_kernels(layer):
    layer = layer()
    x = keras.Input((4, 5))
    model = keras.Model(x, keras.layers.Dense(3, name="last")(layer(x)))
    layer.enable_lora(2, lora_alpha=3)
    generator = np.random.default_rng(0)
    for variable in layer.weights:
        variable.assign(generator.normal(size=variable.shape))
    left, right = layer.lora_kernel_a.numpy(), layer.lora_kernel_b.numpy()
    expected = layer._kernel.numpy() + 3 / 2 * left @ right
    last = np.ones((7, 3), np.float32)
    last[4:] = 0
    shrunk = cvzoo.shrink(with_kernels(model, last=last))
    found = shrunk.get_layer(layer.name)
    assert not found.lora_enabled and len(found.trainable_variables) == 2
    np.testing.assert_allclose(found.kernel, expected[..., :4], atol=1e-5)
    assert_same_outputs(model, shrunk)


def test_quantized_layers_stay_as_they_are():
    layers = [keras.layers.Dense(8, "relu", name="first")]
    layers += [keras.layers.Dense(6, name="second"), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((6,)), *layers])
    model.get_layer("first").quantize("int8")
    kernel = model.get_layer("second").kernel
    kernel.assign(kernel * (np.arange(6) > 2))
    x = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
    small = cvzoo.shrink(model)
    assert small.get_layer("first").quantization_mode == "int8"
    assert small.get_layer("second").units == 3  # what comes after shrinks
    np.testing.assert_allclose(
        small.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6
    )
    sparse = cvzoo.sparsify(model, cvzoo.ARD(0.1), n_train=9)
    assert sparse.get_layer("first").quantization_mode == "int8"
    np.testing.assert_allclose(
        sparse.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6
    )
