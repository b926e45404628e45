"""Moments of noisy outputs against weights drawn one by one, for every layer.

The oracle perturbs one weight at a time in the noiseless layer: an output is linear in
its kernel, so its noise has variance `Σ σ² |∂y/∂w|²` and relation `Σ ξ (∂y/∂w)²`.
"""

import keras
import numpy as np
import pytest

from cvzoo import layers
from cvzoo.layers import VariationalDropout, sparsifiable
from cvzoo.ops import add_correlated_noise, twice_the_phase
from tests.helpers import as_complex, gradients

S = sparsifiable
DRAWS = 30_000

REAL = {
    "dense": (S.SparsifiableDense, (3,), {}, (4,)),
    "einsum": (S.SparsifiableEinsumDense, ("abc,cde->abde", (None, 2, 2)), {}, (2, 3)),
    "einsum, batched": (
        S.SparsifiableEinsumDense,
        ("abc,bcd->abd", (2, 3)),
        {},
        (2, 3),
    ),
    "einsum, summed": (S.SparsifiableEinsumDense, ("abc,cd->ad", 3), {}, (2, 3)),
    "einsum, ellipsis": (
        S.SparsifiableEinsumDense,
        ("...c,cd->...d", 3),
        {"bias_axes": "d"},
        (2, 3),
    ),
    "conv 1": (
        S.SparsifiableConv1D,
        (4, 2),
        {"groups": 2, "padding": "same", "dilation_rate": 2},
        (5, 2),
    ),
    "conv 1, causal": (S.SparsifiableConv1D, (2, 2), {"padding": "causal"}, (4, 2)),
    "conv 2": (S.SparsifiableConv2D, (2, 2), {"strides": 2}, (4, 5, 2)),
    "conv 3": (S.SparsifiableConv3D, (2, 2), {"padding": "same"}, (2, 2, 3, 1)),
    "depthwise 1": (
        S.SparsifiableDepthwiseConv1D,
        (2,),
        {"strides": 2, "depth_multiplier": 2},
        (5, 2),
    ),
    "depthwise 2": (
        S.SparsifiableDepthwiseConv2D,
        (2,),
        {"padding": "same", "dilation_rate": 2},
        (3, 4, 2),
    ),
    "transposed 1": (
        S.SparsifiableConv1DTranspose,
        (2, 3),
        {"strides": 2, "output_padding": 1},
        (3, 2),
    ),
    "transposed 2": (
        S.SparsifiableConv2DTranspose,
        (2, 2),
        {"strides": 2, "padding": "same"},
        (2, 3, 2),
    ),
    "transposed 3": (
        S.SparsifiableConv3DTranspose,
        (1, 2),
        {"strides": 2},
        (1, 2, 2, 2),
    ),
    "bilinear": (layers.Bilinear, (2,), {}, [(3,), (2,)]),
}
COMPLEX = {
    "dense": (layers.ComplexDense, (3,), {}, (4,)),
    "conv 1": (
        layers.ComplexConv1D,
        (4, 2),
        {"groups": 2, "padding": "causal", "dilation_rate": 2},
        (5, 2),
    ),
    "conv 2": (
        layers.ComplexConv2D,
        (2, 2),
        {"strides": 2, "padding": "same"},
        (3, 4, 2),
    ),
    "conv 2, circular": (
        layers.ComplexConv2D,
        (2, 2),
        {"padding": "circular"},
        (3, 3, 1),
    ),
    "conv 3": (layers.ComplexConv3D, (2, 2), {}, (2, 2, 3, 1)),
    "depthwise": (
        layers.ComplexDepthwiseConv2D,
        (2,),
        {"depth_multiplier": 2, "dilation_rate": 2},
        (4, 4, 2),
    ),
    "transposed 1": (
        layers.ComplexConv1DTranspose,
        (2, 3),
        {"strides": 2, "output_padding": 1},
        (3, 2),
    ),
    "transposed 2": (layers.ComplexConv2DTranspose, (2, 2), {"strides": 2}, (2, 2, 2)),
    "bilinear": (layers.ComplexBilinear, (2,), {"conjugate": True}, [(3,), (2,)]),
    "bilinear, plain": (
        layers.ComplexBilinear,
        (2,),
        {"conjugate": False},
        [(3,), (2,)],
    ),
}


def random_inputs(shape, field, generator):
    if isinstance(shape, list):
        return [random_inputs(one, field, generator) for one in shape]
    draw = generator.normal(size=(2, 1, *shape)).astype(np.float32)
    return tuple(draw) if field == "complex" else draw[0]


def output(layer, inputs, training=False):
    found = layer(
        keras.tree.map_structure(keras.ops.convert_to_tensor, inputs), training=training
    )
    return as_complex(found) if layer.field == "complex" else np.asarray(found)


def prepared(case, sparsifier):
    kind, arguments, keywords, shape = case
    generator = np.random.default_rng(0)
    layer = kind(*arguments, sparsifier=sparsifier, **keywords)
    inputs = random_inputs(shape, layer.field, generator)
    mean = output(layer, inputs)
    log_sigma2 = generator.uniform(-3, 0, layer.log_sigma2.shape)
    layer.log_sigma2.assign(log_sigma2)
    return layer, inputs, mean[0], np.exp(log_sigma2)


def derivatives(layer, inputs, mean):
    """∂y/∂w of each weight: `(weights, *outputs)`."""
    part, found = layer.kernel_parts[0], []
    value = np.asarray(part)
    for place in np.ndindex(value.shape):
        moved = value.copy()
        moved[place] += 1
        part.assign(moved)
        found.append(output(layer, inputs)[0] - mean)
    part.assign(value)
    return np.stack(found)


def noise(layer, inputs, mean):
    many = keras.tree.map_structure(lambda one: np.repeat(one, DRAWS, 0), inputs)
    return output(layer, many, training=True) - mean


def assert_moments(found, gamma, relation):
    floor = gamma.max() * 0.02
    assert np.abs(found.mean(0)).max() < 5 * np.sqrt(gamma.max() / DRAWS)
    np.testing.assert_allclose(
        (np.abs(found) ** 2).mean(0), gamma, rtol=0.06, atol=floor
    )
    if relation is not None:
        error = np.abs((found**2).mean(0) - relation)
        assert (error < 0.06 * gamma + floor).all()


@pytest.mark.parametrize("name", REAL)
def test_real_noise_has_the_moments_of_independent_weights(name):
    layer, inputs, mean, sigma2 = prepared(REAL[name], VariationalDropout(1.0, 10))
    slopes = derivatives(layer, inputs, mean)
    gamma = np.einsum("w,w...->...", sigma2.ravel(), slopes**2)
    assert_moments(noise(layer, inputs, mean), gamma, None)


@pytest.mark.parametrize("posterior", ["circular", "scaling"])
@pytest.mark.parametrize("name", COMPLEX)
def test_complex_noise_has_the_moments_of_independent_weights(name, posterior):
    sparsifier = VariationalDropout(1.0, 10, posterior=posterior)
    layer, inputs, mean, sigma2 = prepared(COMPLEX[name], sparsifier)
    slopes = derivatives(layer, inputs, mean)
    mu = as_complex([np.asarray(part) for part in layer.kernel_parts]).ravel()
    xi = sigma2.ravel() * np.exp(2j * np.angle(mu))
    gamma = np.einsum("w,w...->...", sigma2.ravel(), np.abs(slopes) ** 2)
    relation = np.einsum("w,w...->...", xi, slopes**2)
    if posterior == "circular":
        relation = 0 * relation
    assert_moments(noise(layer, inputs, mean), gamma, relation)


def test_scaling_noise_of_a_dense_layer_is_that_of_drawn_weights():
    sparsifier = VariationalDropout(1.0, 10, posterior="scaling")
    layer, inputs, mean, sigma2 = prepared(COMPLEX["dense"], sparsifier)
    mu = as_complex([np.asarray(part) for part in layer.kernel_parts])
    epsilon = np.random.default_rng(1).normal(size=(DRAWS, *mu.shape))
    drawn = np.einsum(
        "i,dij->dj", as_complex(inputs)[0], np.sqrt(sigma2) * mu / np.abs(mu) * epsilon
    )
    gamma, relation = (np.abs(drawn) ** 2).mean(0), (drawn**2).mean(0)
    assert_moments(noise(layer, inputs, mean), gamma, relation)


@pytest.mark.parametrize("relation", [2.0, -2.0, 2j, 1 - 1.2j, 0])
def test_correlated_noise_has_the_given_covariance(relation):
    zeros, ones = keras.ops.zeros(200_000), keras.ops.ones(200_000)
    seeds = keras.random.SeedGenerator(0)
    c = (relation.real * ones, relation.imag * ones)
    found = as_complex(add_correlated_noise((zeros, zeros), 2 * ones, c, seeds))
    np.testing.assert_allclose(found.mean(), 0, atol=0.02)
    np.testing.assert_allclose((np.abs(found) ** 2).mean(), 2, rtol=0.02)
    np.testing.assert_allclose((found**2).mean(), relation, atol=0.03)


def test_gradients_of_correlated_noise_are_finite_at_zero():
    def noisy(gamma, real, imag):
        seeds = keras.random.SeedGenerator(0)
        zeros = keras.ops.zeros(3)
        pair = add_correlated_noise((zeros, zeros), gamma, (real, imag), seeds)
        return keras.ops.sum(pair[0] + 2 * pair[1])

    gamma = np.float32([0, 1, 1])
    for found in gradients(noisy, gamma, np.float32([0, -1, 0]), np.float32([0, 0, 1])):
        assert np.isfinite(found).all()


def test_direction_is_safe_at_zero():
    def total(real, imag):
        return sum(map(keras.ops.sum, twice_the_phase((real, imag))))

    real, imag = np.float32([0, 1e-20, 3]), np.float32([0, 1e-9, 4])
    for found in gradients(total, real, imag):
        assert np.isfinite(found).all()
    z = as_complex(twice_the_phase((real, imag)))
    np.testing.assert_allclose(z[2], np.exp(2j * np.angle(3 + 4j)), rtol=1e-6)
    assert z[0] == 0
