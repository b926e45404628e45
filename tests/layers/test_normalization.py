"""Complex batch and layer normalization against float64 formulas by eigenvalues."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops as kops

from cvzoo.layers import (
    ComplexBatchNormalization,
    ComplexLayerNormalization,
)
from tests.helpers import (
    arrays,
    check_layer,
    gradients,
    random_pair,
    tensors,
    weight_gradients,
)

Z = random_pair(4, 5, 3)
LAYERS = {
    "batch full": (ComplexBatchNormalization, Z),
    "batch symmetric": (
        lambda: ComplexBatchNormalization(1, 0.5, 1e-4, "symmetric"),
        Z,
    ),
    "layer": (ComplexLayerNormalization, random_pair(4, 5, 6)),
    "layer space": (
        lambda: ComplexLayerNormalization(-1, "space", affine=None),
        random_pair(3, 4, 5, 2),
    ),
}


def numpy_whitened(rows, epsilon):
    """`(V + ε)^(−1/2) (x − mean)` of an array `(2, n)`, with its mean and V."""
    rows = np.asarray(rows, np.float64)
    covariance = np.cov(rows, bias=True).reshape(2, 2)
    mean = rows.mean(axis=1, keepdims=True)
    return numpy_root(covariance, epsilon) @ (rows - mean), mean[:, 0], covariance


def numpy_root(covariance, epsilon):
    values, vectors = np.linalg.eigh(covariance + epsilon * np.eye(2))
    return vectors @ np.diag(values**-0.5) @ vectors.T


def numpy_normalized(z, axes, epsilon):
    """The same along `axes` of a pair, every other index by itself."""
    stacked = np.stack([np.asarray(part, np.float64) for part in z])
    others = [axis for axis in range(z[0].ndim) if axis not in axes]
    order = [*others, *axes]
    moved = stacked.transpose(0, *(1 + axis for axis in order))
    groups = int(np.prod([z[0].shape[axis] for axis in others]))
    flat = moved.reshape(2, groups, -1)
    white = np.stack(
        [numpy_whitened(flat[:, group], epsilon)[0] for group in range(groups)], axis=1
    )
    back = np.argsort(order)
    return white.reshape(moved.shape).transpose(0, *(1 + axis for axis in back))


def covariances(pair, axes):
    """`(rr, ri, ii)` along `axes`."""
    real, imag = (np.asarray(part, np.float64) for part in pair)
    real, imag = (part - part.mean(axes, keepdims=True) for part in (real, imag))
    return [(a * b).mean(axes) for a, b in ((real, real), (real, imag), (imag, imag))]


def correlated_pair(*shape, seed=0):
    """A pair whose parts are correlated, with mean and scale of their own."""
    real, imag = random_pair(*shape, seed=seed)
    return 2 * real + 1, 0.7 * imag + real - 3


@pytest.mark.parametrize("name", LAYERS)
def test_normalization_does_what_layers_do(name, tmp_path):
    make, inputs = LAYERS[name]
    check_layer(make, inputs, tmp_path)


# Batch normalization.


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.sampled_from(["full", "symmetric", None]),
)
@settings(max_examples=6)
def test_batch_normalization_is_the_formula(space, affine):
    z = correlated_pair(3, *space, 2)
    axes = tuple(range(len(space) + 1))
    layer = ComplexBatchNormalization(affine=affine)
    found = layer(tensors(z), training=True)
    scale = 0.5**0.5 if affine == "symmetric" else 1.0
    expected = scale * numpy_normalized(z, axes, 1e-5)
    np.testing.assert_allclose(arrays(found), expected, atol=5e-4)


@pytest.mark.parametrize(
    "affine, variance", [("full", 1.0), ("symmetric", 0.5), (None, 1.0)]
)
def test_at_first_outputs_have_a_covariance_of(affine, variance):
    z = correlated_pair(64, 8, 3)
    outputs = ComplexBatchNormalization(affine=affine)(tensors(z), training=True)
    rr, ri, ii = covariances(outputs, (0, 1))
    np.testing.assert_allclose(rr, variance, rtol=1e-4)
    np.testing.assert_allclose(ri, 0, atol=1e-4)
    np.testing.assert_allclose(ii, variance, rtol=1e-4)


def set_random_affine(layer, seed=0):
    """Random Γ and β, and Γ as `(2, 2, features)`."""
    generator = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        variable.assign(generator.normal(size=variable.shape))
    gamma = np.asarray(layer.gamma, np.float64)
    if layer.affine == "symmetric":
        gamma = gamma[[0, 1, 1, 2]]
    return gamma.reshape(2, 2, -1), np.float64([layer.beta_real, layer.beta_imag])


@pytest.mark.parametrize("affine", ["full", "symmetric"])
def test_the_affine_map_is_a_matrix_and_a_shift_of_the_whitened_pair(affine):
    z = correlated_pair(7, 3, 2)
    layer = ComplexBatchNormalization(affine=affine)
    layer.build([part.shape for part in z])
    gamma, beta = set_random_affine(layer)
    white = numpy_normalized(z, (0, 1), 1e-5)
    expected = np.einsum("ijc,jnsc->insc", gamma, white) + beta[:, None, None]
    np.testing.assert_allclose(
        arrays(layer(tensors(z), training=True)), expected, atol=1e-4
    )


@pytest.mark.parametrize(
    "affine, trainable, moving", [("full", 6, 5), ("symmetric", 5, 5), (None, 0, 5)]
)
def test_counts_per_feature(affine, trainable, moving):
    layer = ComplexBatchNormalization(affine=affine)
    layer.build(((None, 7),) * 2)

    def count(variables):
        return sum(int(np.prod(variable.shape)) for variable in variables)

    assert count(layer.trainable_variables) == 7 * trainable
    assert count(layer.non_trainable_variables) == 7 * moving


@pytest.mark.parametrize("affine", ["full", "symmetric"])
def test_moving_statistics_follow_the_batches(affine):
    layer = ComplexBatchNormalization(momentum=0.8, affine=affine)
    start = 0.5**0.5 if affine == "symmetric" else 1.0
    mean, covariance = np.zeros(2), start * np.eye(2)
    for seed in range(4):
        z = correlated_pair(5 + seed, 4, 1, seed=seed)
        layer(tensors(z), training=True)
        _, batch_mean, batch_covariance = numpy_whitened([p.ravel() for p in z], 1e-5)
        mean = 0.8 * mean + 0.2 * batch_mean
        covariance = 0.8 * covariance + 0.2 * batch_covariance
    found = np.ravel([layer.moving_mean_real, layer.moving_mean_imag])
    np.testing.assert_allclose(found, mean, rtol=1e-5)
    np.testing.assert_allclose(
        np.ravel(layer.moving_covariance), covariance[[0, 0, 1], [0, 1, 1]], rtol=1e-5
    )


def trained_layer(**arguments):
    layer = ComplexBatchNormalization(momentum=0.0, **arguments)
    layer(tensors(correlated_pair(50, 2)), training=True)
    return layer


@pytest.mark.parametrize("batch", [1, 4])
def test_inference_whitens_by_the_moving_statistics(batch):
    layer = trained_layer()
    gamma, beta = set_random_affine(layer)
    z = correlated_pair(batch, 2, seed=1)
    mean = np.float64([layer.moving_mean_real, layer.moving_mean_imag])
    rr, ri, ii = np.float64(layer.moving_covariance)
    found = arrays(layer(tensors(z)))
    for k in range(2):
        root = numpy_root(np.array([[rr[k], ri[k]], [ri[k], ii[k]]]), 1e-5)
        centred = np.float64(z)[:, :, k] - mean[:, k : k + 1]
        expected = gamma[:, :, k] @ root @ centred + beta[:, k : k + 1]
        np.testing.assert_allclose(np.stack(found)[:, :, k], expected, atol=1e-4)


def test_the_inference_map_is_what_inference_does():
    layer = trained_layer()
    set_random_affine(layer)
    z = random_pair(6, 2)
    matrix, shift = layer.inference_map()
    matrix = np.reshape(arrays(matrix), (2, 2, 2))
    expected = np.einsum("ijc,jnc->inc", matrix, z) + np.stack(arrays(shift))[:, None]
    np.testing.assert_allclose(arrays(layer(tensors(z))), expected, atol=1e-5)


def test_a_frozen_layer_is_in_inference():
    layer = trained_layer()
    z = tensors(random_pair(6, 2))
    expected, before = arrays(layer(z)), arrays(layer.non_trainable_variables)
    layer.trainable = False
    np.testing.assert_array_equal(arrays(layer(z, training=True)), expected)
    kept = [layer.moving_mean_real, layer.moving_mean_imag, layer.moving_covariance]
    for variable, value in zip(kept, before, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), value)


def test_features_along_another_axis_give_the_same():
    z = correlated_pair(6, 3, 5)
    last = ComplexBatchNormalization()
    first = ComplexBatchNormalization(axis=1)
    expected = last(tensors([part.transpose(0, 2, 1) for part in z]), training=True)
    found = first(tensors(z), training=True)
    for left, right in zip(arrays(found), arrays(expected), strict=True):
        np.testing.assert_allclose(left, right.transpose(0, 2, 1), atol=1e-5)


def test_masked_steps_do_not_enter_the_statistics():
    z = correlated_pair(4, 5, 2)
    mask = np.random.default_rng(0).random((4, 5)) < 0.6
    layer, other = ComplexBatchNormalization(), ComplexBatchNormalization()
    found = layer(tensors(z), training=True, mask=(mask, mask))
    kept = tuple(part[mask] for part in z)
    expected = other(tensors(kept), training=True)
    for left, right in zip(arrays(found), arrays(expected), strict=True):
        np.testing.assert_allclose(left[mask], right, atol=1e-5)
    for left, right in zip(layer.variables, other.variables, strict=True):
        np.testing.assert_allclose(np.asarray(left), np.asarray(right), atol=1e-6)


def test_the_mask_of_a_keras_model_reaches_the_statistics_and_goes_on():
    inputs = keras.Input((5, 2))
    masked = keras.layers.Masking()(inputs)
    layer = ComplexBatchNormalization(momentum=0.0)
    real, imag = layer((masked, masked))
    model = keras.Model(inputs, [real, imag])
    signal = random_pair(3, 5, 2)[0]
    signal[:, 3:] = 0
    outputs = model(signal, training=True)
    np.testing.assert_allclose(
        np.asarray(layer.moving_mean_real), signal[:, :3].mean((0, 1)), atol=1e-6
    )
    expected = np.tile([True] * 3 + [False] * 2, (3, 1))
    for part in outputs:
        np.testing.assert_array_equal(np.asarray(part._keras_mask), expected)


def test_one_mask_becomes_that_of_both_parts():
    mask = kops.convert_to_tensor(np.ones((4, 5), bool))
    for part in ComplexBatchNormalization()(tensors(Z), mask=mask):
        assert part._keras_mask is not None


@pytest.mark.parametrize("affine", ["full", "symmetric"])
def test_gradients_are_finite_differences_of_the_formula(affine):
    z = correlated_pair(4, 3, 2)
    layer = ComplexBatchNormalization(affine=affine)
    layer.build([part.shape for part in z])
    gamma, _ = set_random_affine(layer)
    upstream = np.random.default_rng(5).normal(size=(2, 4, 3, 2)).astype(np.float32)

    def ours(real, imag):
        outputs = layer((real, imag), training=True)
        return sum(
            kops.sum(part * one) for part, one in zip(outputs, upstream, strict=True)
        )

    def formula(pair):
        white = numpy_normalized(pair, (0, 1), 1e-5)
        return np.sum(np.einsum("ijc,jnsc->insc", gamma, white) * upstream)

    pair = np.float64(z)
    expected = np.zeros_like(pair)
    for place in np.ndindex(*pair.shape):
        step = np.zeros_like(pair)
        step[place] = 1e-5
        expected[place] = (formula(pair + step) - formula(pair - step)) / 2e-5
    found = gradients(ours, *z)
    np.testing.assert_allclose(found, expected, atol=2e-4 * np.abs(expected).max())


def test_gradients_of_the_affine_weights_are_sums_with_the_whitened_pair():
    z = correlated_pair(4, 3, 2)
    layer = ComplexBatchNormalization()
    layer.build([part.shape for part in z])
    set_random_affine(layer)
    gamma, beta_real, beta_imag = weight_gradients(layer, tensors(z), training=True)
    # The helper's loss is Σ outputs².
    upstream = 2 * np.float64(arrays(layer(tensors(z), training=True)))
    white = numpy_normalized(z, (0, 1), 1e-5)
    expected = np.einsum("insc,jnsc->ijc", upstream, white)
    np.testing.assert_allclose(np.reshape(gamma, (2, 2, -1)), expected, atol=2e-2)
    np.testing.assert_allclose(beta_real, upstream[0].sum((0, 1)), atol=1e-3)
    np.testing.assert_allclose(beta_imag, upstream[1].sum((0, 1)), atol=1e-3)


def test_a_mean_far_from_zero_is_taken_off():
    z = tuple(part + np.float32(1000) for part in random_pair(32, 8, 8, 3))
    outputs = ComplexBatchNormalization()(tensors(z), training=True)
    expected = numpy_normalized(z, (0, 1, 2), 1e-5)
    # One unit in the last place of 1000 is 6e-5.
    np.testing.assert_allclose(arrays(outputs), expected, atol=5e-3)
    np.testing.assert_allclose(covariances(outputs, (0, 1, 2))[0], 1, rtol=1e-4)


DEGENERATE = {
    "imaginary part of 0": (Z[0], 0 * Z[0]),
    "equal parts": (Z[0], Z[0]),
    "batch of one": random_pair(1, 1, 3),
    "constant features": (np.ones((4, 2, 3), np.float32),) * 2,
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_covariances_give_the_formula_and_finite_gradients(name):
    z = DEGENERATE[name]
    layer = ComplexBatchNormalization()
    found = arrays(layer(tensors(z), training=True))
    np.testing.assert_allclose(found, numpy_normalized(z, (0, 1), 1e-5), atol=5e-3)

    def total(real, imag):
        real, imag = layer((real, imag), training=True)
        return kops.sum(real**2 + 3 * imag)

    assert all(np.isfinite(one).all() for one in gradients(total, *z))


def test_an_empty_batch_changes_nothing():
    layer = trained_layer()
    before = arrays(layer.variables)
    outputs = layer(tensors(random_pair(0, 2)), training=True)
    assert [part.shape for part in arrays(outputs)] == [(0, 2)] * 2
    for variable, value in zip(layer.variables, before, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), value)


@pytest.mark.parametrize("policy", ["mixed_float16", "float16"])
def test_large_numbers_of_half_precision_do_not_overflow(policy):
    z = tuple(300 * np.sign(part).astype(np.float16) for part in random_pair(64, 3))
    layer = ComplexBatchNormalization(momentum=0.0, dtype=policy)
    outputs = layer(tensors(z), training=True)
    expected = numpy_normalized(z, (0,), 1e-5)
    for part in outputs:
        assert keras.backend.standardize_dtype(part.dtype) == "float16"
    np.testing.assert_allclose(arrays(outputs), expected, atol=1e-2)
    # 300² is beyond float16; the moving statistics are float32.
    np.testing.assert_allclose(arrays(layer(tensors(z))), expected, atol=1e-2)


# Layer normalization.


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), (2, 3)])
def test_layer_normalization_whitens_each_place_over_its_features(axis):
    z = correlated_pair(2, 3, 4, 5)
    layer = ComplexLayerNormalization(axis)
    axes = [one % 4 for one in (axis if isinstance(axis, tuple) else (axis,))]
    expected = numpy_normalized(z, axes, 1e-4)
    np.testing.assert_allclose(arrays(layer(tensors(z))), expected, atol=1e-3)
    assert layer.beta_real.shape == tuple(z[0].shape[one] for one in axes)


@pytest.mark.parametrize("axis, axes", [(-1, (1, 2)), (1, (2, 3))])
def test_statistics_over_space_are_those_of_each_sample_and_feature(axis, axes):
    z = correlated_pair(2, 4, 5, 3)
    layer = ComplexLayerNormalization(axis, "space", affine="symmetric")
    expected = 0.5**0.5 * numpy_normalized(z, axes, 1e-4)
    np.testing.assert_allclose(arrays(layer(tensors(z))), expected, atol=1e-3)


@pytest.mark.parametrize(
    "affine, variance", [("full", 1.0), ("symmetric", 0.5), (None, 1.0)]
)
def test_layer_normalized_features_have_a_covariance_of(affine, variance):
    outputs = ComplexLayerNormalization(affine=affine)(
        tensors(correlated_pair(3, 2, 64))
    )
    rr, ri, ii = covariances(outputs, 2)
    np.testing.assert_allclose(rr, variance, rtol=1e-3)
    np.testing.assert_allclose(ri, 0, atol=1e-3)
    np.testing.assert_allclose(ii, variance, rtol=1e-3)


def test_layer_normalization_has_an_affine_map_of_each_feature():
    z = correlated_pair(2, 5, 3)
    layer = ComplexLayerNormalization()
    layer.build([part.shape for part in z])
    gamma, beta = set_random_affine(layer)
    white = numpy_normalized(z, (2,), 1e-4)
    expected = np.einsum("ijc,jnsc->insc", gamma, white) + beta[:, None, None]
    np.testing.assert_allclose(arrays(layer(tensors(z))), expected, atol=2e-3)


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("statistics", ["features", "space"])
def test_degenerate_samples_are_finite(name, statistics):
    z, layer = DEGENERATE[name], ComplexLayerNormalization(statistics=statistics)

    def total(real, imag):
        real, imag = layer((real, imag))
        return kops.sum(real**2 + 3 * imag)

    axes = (2,) if statistics == "features" else (1,)
    expected = numpy_normalized(z, axes, 1e-4)
    np.testing.assert_allclose(arrays(layer(tensors(z))), expected, atol=5e-3)
    assert all(np.isfinite(one).all() for one in gradients(total, *z))


def test_masked_steps_do_not_enter_the_statistics_over_space():
    z = correlated_pair(2, 6, 3)
    mask = np.tile([True] * 4 + [False] * 2, (2, 1))
    layer = ComplexLayerNormalization(statistics="space")
    found = arrays(layer(tensors(z), mask=mask))
    expected = numpy_normalized([part[:, :4] for part in z], (1,), 1e-4)
    np.testing.assert_allclose(np.stack(found)[:, :, :4], expected, atol=1e-3)


# Errors.


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="`affine` must be one of"):
        ComplexBatchNormalization(affine="diagonal")
    with pytest.raises(ValueError, match="`epsilon` must be positive"):
        ComplexLayerNormalization(epsilon=0)
    with pytest.raises(ValueError, match="`momentum` must be in"):
        ComplexBatchNormalization(momentum=1.5)
    with pytest.raises(ValueError, match="`axis` must be an integer"):
        ComplexBatchNormalization(axis=(1, 2))
    with pytest.raises(ValueError, match="`statistics` must be one of"):
        ComplexLayerNormalization(statistics="time")


@pytest.mark.parametrize("make", [ComplexBatchNormalization, ComplexLayerNormalization])
def test_what_is_no_pair_is_refused(make):
    real, imag = tensors(Z)
    for wrong in (real, (real,) * 4, (real, imag[:2])):
        with pytest.raises(ValueError, match="works on a pair"):
            make()(wrong)
    signal = kops.convert_to_tensor(np.ones((2, 3), np.complex64))
    with pytest.raises(ValueError, match=r"ToComplex\(\)"):
        make()(signal)


def test_wrong_shapes_are_named():
    for axis in (0, 3, -4):
        with pytest.raises(ValueError, match=f"Received: axis={axis}, parts of shape"):
            ComplexBatchNormalization(axis=axis)(tensors(Z))
    with pytest.raises(ValueError, match="known number of features"):
        ComplexLayerNormalization().build(((None, None),) * 2)
    with pytest.raises(ValueError, match="no axis but the batch and the features"):
        ComplexLayerNormalization(statistics="space")(tensors(random_pair(4, 3)))
    layer = ComplexBatchNormalization()
    layer(tensors(Z))
    with pytest.raises(ValueError, match="incompatible with the layer"):
        layer(tensors(random_pair(4, 5, 7)))
    with pytest.raises(ValueError, match=r"Received a mask of shape \(4,\)"):
        layer(tensors(Z), training=True, mask=np.ones(4, bool))
