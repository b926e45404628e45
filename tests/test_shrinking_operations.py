"""Operations such as `1 - x` between layers, and the units that `shrink` lets go."""

import keras
import numpy as np
import pytest

import cvzoo
from tests.helpers import assert_same_outputs, with_kernels


def assert_units_left(units, operate, x):
    """How many of seven units stay; two are constants, and nothing reads three."""
    y = keras.layers.Dense(7, name="first")(x)
    model = keras.Model(x, keras.layers.Dense(3, name="second")(operate(y)))
    first = np.ones((5, 7), np.float32)
    first[:, :2] = 0  # constants
    second = np.ones((7, 3), np.float32)
    second[4:] = 0
    model.get_layer("first").bias.assign(np.linspace(-1, 1, 7))
    with_kernels(model, first=first, second=second)
    shrunk = cvzoo.shrink(model)
    assert shrunk.get_layer("first").units == units
    assert_same_outputs(model, shrunk)


@pytest.mark.parametrize(
    "operate",
    [
        keras.ops.relu,
        keras.activations.relu,
        keras.ops.silu,
        lambda x: 0.5 * x,
        lambda x: x + 1,
        lambda x: 1 - x,
        lambda x: x / 2 - 1,
        lambda x: 1 / (keras.ops.square(x) + 1),
        lambda x: abs(-x) ** 2,
        lambda x: keras.ops.maximum(x, 0.1),
        lambda x: keras.ops.concatenate([x, x], axis=1),
    ],
)
def test_operations_within_channels_let_units_go(operate):
    assert_units_left(2, operate, keras.Input((4, 5)))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("reduce", [keras.ops.mean, keras.ops.max])
def test_means_and_largest_values_over_space(reduce, keepdims):
    def operate(x):
        return reduce(x, axis=(1, -2), keepdims=keepdims)

    assert_units_left(2, operate, keras.Input((4, 3, 5)))


@pytest.mark.parametrize(
    "operate",
    [
        lambda x: x * keras.ops.mean(x, axis=-1, keepdims=True),
        lambda x: keras.ops.concatenate([x, x], axis=0),
        lambda x: x - keras.ops.mean(x, axis=0, keepdims=True),
        lambda x: x[..., ::-1],  # no rule: channels change places
        lambda x: keras.ops.sum(x, axis=1)[:, 0],  # nor for a slice
        lambda x: x * np.arange(1.0, 8.0, dtype="float32"),  # of seven channels
    ],
)
def test_operations_that_mix_or_are_not_known_keep_units(operate):
    assert_units_left(7, operate, keras.Input((4, 3, 5)))


def test_concatenation_as_an_operation():
    x = keras.Input((5,))
    y = [keras.layers.Dense(4, "relu", name=name)(x) for name in ("left", "right")]
    y = keras.ops.concatenate(y, axis=-1)
    model = keras.Model(x, keras.layers.Dense(3, name="last")(y))
    last = np.ones((8, 3), np.float32)
    last[[0, 5, 6, 7]] = 0
    with_kernels(model, last=last)
    shrunk = cvzoo.shrink(model)
    assert [shrunk.get_layer(name).units for name in ("left", "right")] == [3, 1]
    assert_same_outputs(model, shrunk)


def test_a_unit_that_is_divided_by_zero_stays():
    x = keras.Input((5,))
    y = 1 / keras.layers.Dense(3, name="first")(x)
    model = keras.Model(x, keras.layers.Dense(2, name="second")(y))
    first = np.ones((5, 3), np.float32)
    first[:, 0] = 0
    with_kernels(model, first=first)
    assert cvzoo.shrink(model).get_layer("first").units == 3
