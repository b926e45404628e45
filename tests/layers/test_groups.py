"""Groups of weights: which units and inputs each weight connects, found by trying."""

import keras
import numpy as np
import pytest

from cvzoo import layers, ops
from cvzoo.layers import ARD, sparsifiable

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


def modulus_of_outputs(layer, channel, shape):
    """Of inputs that are one in a channel and zero in the others, without the batch."""
    inputs = np.zeros((1, *shape), np.float32)
    inputs[..., channel] = 1
    pair = (inputs, inputs) if layer.field == "complex" else inputs
    found = [keras.ops.convert_to_numpy(x) for x in keras.tree.flatten(layer(pair))]
    return sum(np.abs(one[0]) for one in found)


@pytest.mark.parametrize("name", LAYERS)
def test_axes_number_what_a_weight_connects(name):
    make, shape = LAYERS[name]
    layer = make()
    modulus_of_outputs(layer, 0, shape)
    kernel_shape = tuple(layer.kernel_parts[0].shape)
    unit_dimensions = 2 if name == "einsum" else 1
    read, written = {}, {}
    for place in np.ndindex(*kernel_shape):
        one = np.zeros(kernel_shape, np.float32)
        one[place] = 1
        for part in layer.kernel_parts:
            part.assign(one)
        by_channel = [
            modulus_of_outputs(layer, channel, shape) for channel in range(shape[-1])
        ]
        units = sum(by_channel)
        units = units.reshape(-1, *units.shape[-unit_dimensions:]).any(axis=0)
        (unit,) = np.argwhere(units)
        (channel,) = np.flatnonzero([one.any() for one in by_channel])
        written.setdefault(_numbers(place, layer.unit_axes), set()).add(tuple(unit))
        read.setdefault(_numbers(place, layer.input_axes), set()).add(channel)
    for groups in (written, read):
        # To each number one unit, or one input, and each under one number.
        assert all(len(connected) == 1 for connected in groups.values())
        assert len(set.union(*groups.values())) == len(groups) > 1


def _numbers(place, axes):
    return tuple(place[axis] for axis in axes)


@pytest.mark.parametrize(
    "layer",
    [
        layers.ComplexConv1D(4, 3, groups=2, sparsifier=ARD(0.1, 50, group="input")),
        layers.ComplexBilinear(3, sparsifier=ARD(0.1, 50, group="input")),
    ],
    ids=["grouped", "bilinear"],
)
def test_layers_whose_weights_share_inputs_are_grouped_by_unit(layer):
    z = np.ones((1, 5, 2), np.float32), np.ones((1, 5, 2), np.float32)
    layer([z, z] if isinstance(layer, layers.ComplexBilinear) else z, training=True)
    expected = ops.group_divergence(layer.kernel_parts, layer.log_sigma2, (-1,))
    np.testing.assert_allclose(layer.penalty, 0.1 / 50 * float(expected), rtol=1e-6)


def test_the_penalty_of_inputs_is_that_of_units_of_the_transposed_kernel():
    layer = layers.ComplexDense(3, sparsifier=ARD(0.1, 50, group="input"))
    z = np.ones((1, 4), np.float32), np.ones((1, 4), np.float32)
    layer(z, training=True)
    log_sigma2 = np.random.default_rng(0).normal(size=(4, 3))
    layer.log_sigma2.assign(log_sigma2)
    real, imag = (np.asarray(part, np.float64) for part in layer.kernel_parts)
    moment = (real**2 + imag**2 + np.exp(log_sigma2)).sum(axis=1)
    total = np.sum(3 * np.log(moment / 3) - log_sigma2.sum(axis=1))
    found = layer.sparsifier.penalty(layer)
    np.testing.assert_allclose(found, 0.1 / 50 * total, rtol=1e-5)
