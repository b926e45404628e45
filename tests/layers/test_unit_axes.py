"""`unit_axes`: which unit each weight goes to, found by trying."""

import keras
import numpy as np
import pytest

from cvzoo import layers
from cvzoo.layers import sparsifiable

LAYERS = {
    "dense": (lambda: sparsifiable.SparsifiableDense(3), (2,)),
    "convolution": (lambda: sparsifiable.SparsifiableConv1D(2, 2), (5, 3)),
    "transposed": (lambda: sparsifiable.SparsifiableConv2DTranspose(2, 2), (3, 4, 3)),
    "depthwise": (
        lambda: sparsifiable.SparsifiableDepthwiseConv2D(2, depth_multiplier=2),
        (3, 4, 3),
    ),
    "einsum": (
        lambda: sparsifiable.SparsifiableEinsumDense("abc,cde->abde", (None, 2, 3)),
        (4, 3),
    ),
    "complex dense": (lambda: layers.ComplexDense(3, use_bias=False), (2,)),
    "complex convolution": (
        lambda: layers.ComplexConv2D(2, 2, use_bias=False),
        (3, 4, 3),
    ),
    "complex transposed": (
        lambda: layers.ComplexConv1DTranspose(2, 2, use_bias=False),
        (5, 3),
    ),
    "complex depthwise": (
        lambda: layers.ComplexDepthwiseConv2D(2, 2, use_bias=False),
        (3, 4, 3),
    ),
}


def modulus_of_outputs(layer, shape):
    """Of inputs that are one, without the batch."""
    inputs = np.ones((1, *shape), np.float32)
    pair = (inputs, inputs) if layer.field == "complex" else inputs
    found = [keras.ops.convert_to_numpy(x) for x in keras.tree.flatten(layer(pair))]
    return sum(np.abs(one[0]) for one in found)


@pytest.mark.parametrize("name", LAYERS)
def test_they_number_the_unit_that_a_weight_goes_to(name):
    make, shape = LAYERS[name]
    layer = make()
    modulus_of_outputs(layer, shape)
    kernel_shape = tuple(layer.kernel_parts[0].shape)
    unit_dimensions = 2 if name == "einsum" else 1
    written = {}
    for place in np.ndindex(*kernel_shape):
        one = np.zeros(kernel_shape, np.float32)
        one[place] = 1
        for part in layer.kernel_parts:
            part.assign(one)
        units = modulus_of_outputs(layer, shape)
        units = units.reshape(-1, *units.shape[-unit_dimensions:]).any(axis=0)
        (unit,) = np.argwhere(units)
        numbers = tuple(place[axis] for axis in layer.unit_axes)
        written.setdefault(numbers, set()).add(tuple(unit))
    # To each number one unit, and each under one number.
    assert all(len(units) == 1 for units in written.values())
    assert len(set.union(*written.values())) == len(written) > 1
