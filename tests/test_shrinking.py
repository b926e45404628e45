"""`shrink` removes what makes no difference, and nothing else."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cvzoo
from cvzoo import sparsity
from cvzoo.layers.sparsifiable import SparsifiableDense
from tests.helpers import assert_same_outputs, masked, small_model, with_kernels

ACTIVATIONS = ["relu", "tanh", "sigmoid", "softplus"]


def real_chain(activation="relu", use_bias=True):
    x = keras.Input((5,))
    y = keras.layers.Dense(7, activation, use_bias=use_bias, name="first")(x)
    y = keras.layers.Dense(6, use_bias=use_bias, name="second")(y)
    y = keras.layers.Activation(activation)(y)
    y = keras.layers.Dropout(0.5)(y)
    return keras.Model(x, keras.layers.Dense(3, use_bias=use_bias, name="third")(y))


@settings(max_examples=15)
@given(
    density=st.floats(0, 1),
    seed=st.integers(0, 999),
    activation=st.sampled_from(ACTIVATIONS),
    use_bias=st.booleans(),
)
def test_real_chains_give_the_same_outputs(density, seed, activation, use_bias):
    pruned = masked(real_chain(activation, use_bias), density, seed)
    assert_same_outputs(pruned, cvzoo.shrink(pruned))


@settings(max_examples=15)
@given(density=st.floats(0, 1), seed=st.integers(0, 999))
def test_complex_chains_give_the_same_outputs(density, seed):
    pruned = masked(small_model(), density, seed)
    assert_same_outputs(pruned, cvzoo.shrink(pruned))


def test_units_without_outputs_go():
    kernel = np.ones((12, 3), np.float32)
    kernel[[1, 5, 7]] = 0
    shrunk = cvzoo.shrink(with_kernels(small_model(), output=kernel))
    assert shrunk.get_layer("hidden").units == 9


def test_units_without_inputs_become_part_of_the_next_bias():
    kernel = np.ones((6, 12), np.float32)
    kernel[:, [0, 3]] = 0
    model = with_kernels(small_model(), hidden=kernel)
    shrunk = cvzoo.shrink(model)
    assert shrunk.get_layer("hidden").units == 10
    assert_same_outputs(model, shrunk)


def test_removal_spreads_along_the_chain():
    # Unit 0 of `second` is unused, and it alone uses units 4–6 of `first`.
    second = np.zeros((7, 6), np.float32)
    second[4:, 0] = 1
    second[:4, 1:] = 1
    third = np.ones((6, 3), np.float32)
    third[0] = 0
    model = with_kernels(real_chain(), second=second, third=third)
    shrunk = cvzoo.shrink(model)
    assert shrunk.get_layer("second").units == 5
    assert shrunk.get_layer("first").units == 4
    assert_same_outputs(model, shrunk)


def test_a_layer_without_bias_gets_one_for_constants():
    kernel = np.ones((7, 6), np.float32)
    kernel[:, 2] = 0
    model = with_kernels(real_chain("sigmoid", use_bias=False), second=kernel)
    shrunk = cvzoo.shrink(model)
    assert shrunk.get_layer("second").units == 5
    assert shrunk.get_layer("third").use_bias
    assert_same_outputs(model, shrunk)


def test_a_network_of_zeros_keeps_one_unit():
    model = with_kernels(small_model(), hidden=np.zeros((6, 12), np.float32))
    shrunk = cvzoo.shrink(model)
    assert shrunk.get_layer("hidden").units == 1
    assert_same_outputs(model, shrunk)


@pytest.mark.parametrize(
    "layer",
    [keras.layers.Softmax(), keras.layers.Activation("softmax")],
    ids=["layer", "activation"],
)
def test_units_that_meet_before_the_next_layer_stay(layer):
    x = keras.Input((5,))
    y = layer(keras.layers.Dense(7, name="first")(x))
    model = keras.Model(x, keras.layers.Dense(3, name="second")(y))
    kernel = np.ones((7, 3), np.float32)
    kernel[2:] = 0
    with_kernels(model, second=kernel)
    assert cvzoo.shrink(model).get_layer("first").units == 7


def test_units_that_are_outputs_or_used_twice_stay():
    x = keras.Input((5,))
    y = keras.layers.Dense(7, "relu", name="first")(x)
    second = keras.layers.Dense(3, name="second")(y)
    kernel = np.zeros((7, 3), np.float32)
    as_output = with_kernels(keras.Model(x, [y, second]), second=kernel)
    assert cvzoo.shrink(as_output).get_layer("first").units == 7
    summed = keras.layers.Add()([keras.layers.Dense(3)(y), second])
    used_twice = with_kernels(keras.Model(x, summed), second=kernel)
    assert cvzoo.shrink(used_twice).get_layer("first").units == 7


def test_the_result_has_plain_layers():
    pruned = masked(real_chain(), 0.5, 0)
    assert any(isinstance(layer, SparsifiableDense) for layer in pruned.layers)
    shrunk = cvzoo.shrink(pruned)
    kinds = {type(layer) for layer in sparsity.linear_layers(shrunk)}
    assert kinds == {keras.layers.Dense}
    shrunk = cvzoo.shrink(masked(small_model(), 0.5, 0))
    assert sparsity.sparse_layers(shrunk) == []


def test_layers_of_nested_models_become_plain_too():
    x = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model = keras.Model(x, keras.layers.Dense(2)(inner(x)))
    pruned = masked(model, 0.5, 0)
    shrunk = cvzoo.shrink(pruned)
    assert len(sparsity.sparse_layers(pruned)) == 2
    assert sparsity.sparse_layers(shrunk) == []
    assert_same_outputs(pruned, shrunk)


def test_nested_models_may_take_and_give_dictionaries():
    left, right = (keras.Input((4,), name=name) for name in ("left", "right"))
    inner = keras.Model(
        {"right": right, "left": left},
        {
            "wide": keras.layers.Dense(5)(left),
            "both": keras.layers.Dense(5)(keras.layers.Concatenate()([left, right])),
        },
    )
    x = keras.Input((4,))
    inputs = {key: keras.layers.Dense(4, "relu")(x) for key in ("left", "right")}
    found = inner(inputs)
    joined = keras.layers.Concatenate()([found["wide"], found["both"]])
    model = keras.Model(x, keras.layers.Dense(2)(joined))
    for seed in range(3):
        pruned = masked(model, 0.3, seed)
        assert_same_outputs(pruned, cvzoo.shrink(pruned))


def fully_convolutional():
    x = keras.Input((None, None, 3))
    y = keras.layers.Conv2D(5, 3, activation="sigmoid", name="first")(x)
    y = keras.layers.MaxPooling2D(3, strides=1)(keras.layers.Cropping2D(1)(y))
    y = keras.layers.Conv2D(5, 3, padding="same", activation="tanh", name="second")(y)
    return keras.Model(x, keras.layers.Conv2D(2, 1, name="third")(y))


def assert_same_images(left, right):
    for size in (8, 11):
        images = np.random.default_rng(0).normal(size=(2, size, size, 3))
        np.testing.assert_allclose(left(images), right(images), atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_images_of_any_size(seed):
    pruned = masked(fully_convolutional(), 0.1, seed)
    shrunk = cvzoo.shrink(pruned)
    assert shrunk.get_layer("second").filters < 5
    assert_same_images(pruned, shrunk)


def test_in_images_of_any_size_padding_shows_a_constant_at_the_border():
    model = fully_convolutional()
    first = np.ones((3, 3, 3, 5), np.float32)
    first[..., 0] = 0
    second = np.ones((3, 3, 5, 5), np.float32)
    second[:, :, 1:, 0] = 0  # reads a constant only
    with_kernels(model, first=first, second=second)
    shrunk = cvzoo.shrink(model)
    assert shrunk.get_layer("second").filters == 5
    assert_same_images(model, shrunk)
