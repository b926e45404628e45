"""Whitening against numpy's covariances and eigenvalue decompositions in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops as kops

from cvzoo.ops import whitening
from tests.helpers import arrays, gradients, random_pair, tensors

EPSILON = 1e-5


def numpy_root(covariance, epsilon=0.0):
    """`(V + ε)^(−1/2)` of one `(rr, ri, ii)`, by eigenvalues."""
    rr, ri, ii = (float(one) for one in covariance)
    values, vectors = np.linalg.eigh([[rr + epsilon, ri], [ri, ii + epsilon]])
    return vectors @ np.diag(values**-0.5) @ vectors.T


def root_of(covariance, epsilon=EPSILON):
    values = tensors([np.asarray(one, np.float32) for one in covariance])
    rr, ri, ii = arrays(whitening.inverse_root(values, epsilon))
    return np.array([[rr, ri], [ri, ii]])


@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    axis=st.integers(0, 3),
)
@settings(max_examples=10)
def test_moments_are_numpys(shape, axis):
    z = random_pair(*shape)
    feature = axis % len(shape)
    axes = [one for one in range(len(shape)) if one != feature]
    mean, covariance, centred, count = whitening.moments(tensors(z), axes)
    rows = [np.moveaxis(part, feature, 0).reshape(shape[feature], -1) for part in z]
    for number, (real, imag) in enumerate(zip(*rows, strict=True)):
        expected = np.cov(np.float64([real, imag]), bias=True)
        found = [np.ravel(one)[number] for one in arrays(covariance)]
        np.testing.assert_allclose(found, expected[[0, 0, 1], [0, 1, 1]], atol=1e-6)
        found = [np.ravel(one)[number] for one in arrays(mean)]
        np.testing.assert_allclose(found, [real.mean(), imag.mean()], atol=1e-6)
    for part, found, shift in zip(z, arrays(centred), arrays(mean), strict=True):
        np.testing.assert_allclose(found, part - shift, atol=1e-6)
    assert np.all(np.asarray(count) == rows[0].shape[1])


def test_a_mean_far_from_zero_does_not_spoil_the_covariance():
    z = tuple(part + np.float32(1000) for part in random_pair(4096, 3))
    expected = [np.cov(np.float64([z[0][:, k], z[1][:, k]]), bias=True) for k in (0, 1)]
    _, covariance, _, _ = whitening.moments(tensors(z), [0])
    rr, ri, ii = arrays(covariance)
    for k in (0, 1):
        found = [[rr[0, k], ri[0, k]], [ri[0, k], ii[0, k]]]
        np.testing.assert_allclose(found, expected[k], atol=3e-5)


def test_masked_moments_are_those_of_what_is_left():
    z = random_pair(6, 5, 2)
    mask = np.random.default_rng(1).random((6, 5, 1)) < 0.5
    kept = tuple(part[mask[..., 0]] for part in z)
    expected = whitening.moments(tensors(kept), [0])
    with_nan = tuple(np.where(mask, part, np.float32(np.nan)) for part in z)
    found = whitening.moments(tensors(with_nan), [0, 1], kops.convert_to_tensor(mask))
    for left, right in zip(arrays(found[:2]), arrays(expected[:2]), strict=True):
        np.testing.assert_allclose(np.ravel(left), np.ravel(right), atol=1e-6)


@pytest.mark.parametrize("is_empty", [True, False])
def test_moments_of_nothing_are_zero(is_empty):
    z = random_pair(0 if is_empty else 4, 3)
    mask = None if is_empty else kops.zeros((4, 1), "bool")
    mean, covariance, _, count = whitening.moments(tensors(z), [0], mask)
    assert np.all(np.asarray(count) == 0)
    for one in arrays([mean, covariance]):
        np.testing.assert_array_equal(one, np.zeros((1, 3)))


def test_inverse_root_of_the_published_example():
    # Vrr = 2, Vri = 0.5, Vii = 1.
    expected = [[0.739003, -0.159071], [-0.159071, 1.057144]]
    np.testing.assert_allclose(root_of((2, 0.5, 1), 0.0), expected, atol=1e-6)


@given(
    st.floats(-3, 3), st.floats(-3, 3), st.floats(-0.99, 0.99), st.floats(1e-6, 1e-3)
)
@settings(max_examples=20)
def test_inverse_root_is_that_of_the_eigenvalues(
    log_real, log_imag, correlation, epsilon
):
    rr, ii = 10**log_real, 10**log_imag
    covariance = rr, correlation * (rr * ii) ** 0.5, ii
    expected = numpy_root(covariance, epsilon)
    tolerance = 1e-3 * np.abs(expected).max()
    np.testing.assert_allclose(
        root_of(covariance, epsilon), expected, atol=tolerance, rtol=1e-3
    )


@pytest.mark.parametrize(
    "covariance", [(1, 0, 0), (0, 0, 0), (0, 0, 3), (1, 1, 1), (0.5, -1, 2)]
)
def test_inverse_root_of_a_singular_covariance_is_regularized(covariance):
    expected = numpy_root(covariance, EPSILON)
    found = root_of(covariance)
    # Rounding of the covariance itself, 1e-7, is 1 % of ε.
    np.testing.assert_allclose(found, expected, rtol=0.01, atol=1e-3)


def test_inverse_root_is_finite_where_rounding_makes_the_determinant_negative():
    rr = np.float32(1234.567)
    for ri in np.float32([1234.567, 1234.5675, -1234.568]):
        assert np.isfinite(root_of((rr, ri, rr))).all()


@pytest.mark.parametrize("scale", [1e-15, 1e25])
def test_inverse_root_holds_over_the_range_of_float32(scale):
    covariance = np.array([2, 0.5, 1]) * scale
    expected = numpy_root(covariance, 1e-20)
    np.testing.assert_allclose(root_of(covariance, 1e-20), expected, rtol=1e-4)
    expected = 1e10 * np.eye(2)
    np.testing.assert_allclose(root_of((0, 0, 0), 1e-20), expected, rtol=1e-4)


@pytest.mark.parametrize(
    "covariance", [(0, 0, 0), (1, 0, 0), (1, 1, 1), (1000, 1000.0001, 1000)]
)
def test_inverse_root_has_finite_gradients(covariance):
    def total(*covariance):
        return sum(kops.sum(one) for one in whitening.inverse_root(covariance, EPSILON))

    found = gradients(total, *(np.float32([one]) for one in covariance))
    assert np.isfinite(found).all()


def test_gradients_of_the_inverse_root_are_finite_differences():
    covariance, step = np.array([2.0, 0.5, 1.0]), 1e-6

    def total(covariance):
        (rr, ri), (_, ii) = numpy_root(covariance, EPSILON)
        return rr + 2 * ri + 3 * ii

    def ours(*covariance):
        rr, ri, ii = whitening.inverse_root(covariance, EPSILON)
        return kops.sum(rr + 2 * ri + 3 * ii)

    expected = [
        (total(covariance + step * unit) - total(covariance - step * unit)) / (2 * step)
        for unit in np.eye(3)
    ]
    found = gradients(ours, *(np.float32([one]) for one in covariance))
    np.testing.assert_allclose(np.ravel(found), expected, rtol=1e-4)


def test_linear_map_and_matrix_product_are_numpys():
    generator = np.random.default_rng(0)
    left, right = generator.normal(size=(2, 4))
    real, imag = generator.normal(size=(2, 5))
    product = whitening.matrix_product(left, right)
    expected = left.reshape(2, 2) @ right.reshape(2, 2)
    np.testing.assert_allclose(np.reshape(product, (2, 2)), expected)
    found = whitening.linear_map((real, imag), left, (1.0, 2.0))
    expected = left.reshape(2, 2) @ [real, imag] + [[1.0], [2.0]]
    np.testing.assert_allclose(found, expected)
    found = whitening.linear_map((real, imag), left)
    np.testing.assert_allclose(found, left.reshape(2, 2) @ [real, imag])
