"""Each structured layer against a matrix made of its numbers by NumPy and SciPy."""

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from cvzoo.layers.structured import (
    ACDC,
    DiagonalToeplitz,
    Fastfood,
    HashedDense,
    LowRank,
    Toeplitz,
)

SIZES = {"inputs": st.integers(1, 13), "units": st.integers(1, 13)}
PADDING = st.sampled_from(["left", "right"])
NORMAL = "random_normal"


def check(layer, inputs, make_matrix):
    """Outputs and `to_dense` are those of a matrix `(inputs, units)`."""
    x = np.random.default_rng(0).normal(size=(2, 3, inputs)).astype("float32")
    found = layer(x)
    matrix = make_matrix()
    assert matrix.shape == (inputs, layer.units)
    np.testing.assert_allclose(found, x @ matrix + np.asarray(layer.bias), atol=1e-4)
    np.testing.assert_allclose(layer.to_dense(), matrix, atol=1e-5)


def cut(square, layer, inputs):
    """Of a square matrix on columns, what the layer uses, as a kernel."""
    first = len(square) - inputs if layer.padding == "left" else 0
    return square[: layer.units, first : first + inputs].T


def toeplitz(layer):
    kernel = np.asarray(layer.toeplitz, np.float64)
    size = len(kernel) // 2
    row = np.concatenate([kernel[:1], kernel[: size - 2 * size : -1]])
    return scipy.linalg.toeplitz(kernel[:size], row)


@settings(max_examples=15)
@given(**SIZES, padding=PADDING)
def test_toeplitz(inputs, units, padding):
    layer = Toeplitz(units, padding=padding)
    check(layer, inputs, lambda: cut(toeplitz(layer), layer, inputs))
    assert layer.toeplitz.shape == (2 * max(inputs, units),)


@settings(max_examples=15)
@given(**SIZES, padding=PADDING)
def test_diagonal_toeplitz(inputs, units, padding):
    layer = DiagonalToeplitz(units, padding=padding, diagonal_initializer=NORMAL)
    check(
        layer,
        inputs,
        lambda: cut(toeplitz(layer), layer, inputs) * np.asarray(layer.diagonal),
    )


def test_the_stored_number_that_toeplitz_does_not_use():
    layer = Toeplitz(6)
    layer.build((None, 6))
    before = np.asarray(layer.to_dense())
    kernel = np.asarray(layer.toeplitz).copy()
    kernel[6] += 100
    layer.toeplitz.assign(kernel)
    np.testing.assert_allclose(layer.to_dense(), before, atol=1e-4)


@settings(max_examples=20)
@given(
    **SIZES,
    padding=PADDING,
    diagonal_at=st.sampled_from(["inputs", "outputs", "both"]),
    permute=st.booleans(),
)
def test_acdc(inputs, units, padding, diagonal_at, permute):
    inputs = units if diagonal_at == "both" else inputs
    layer = ACDC(
        units,
        diagonal_at=diagonal_at,
        permute=permute,
        padding=padding,
        diagonal_initializer=NORMAL,
        kernel_initializer=NORMAL,
    )

    def matrix():
        a, d = (np.asarray(one, np.float64) for one in (layer.diagonal, layer.response))
        identity = np.eye(max(inputs, units))
        # Orthonormal here; in the layer not.
        forward = scipy.fft.dct(identity, norm="ortho", axis=0)
        square = scipy.fft.idct(d[:, None] * forward, norm="ortho", axis=0)
        kernel = cut(square, layer, inputs)
        if diagonal_at != "outputs":
            kernel = a[:, None] * kernel
        if diagonal_at != "inputs":
            kernel = kernel * a
        if not permute:
            return kernel
        permutation = np.eye(inputs)[layer.order]
        assert sorted(layer.order) == list(range(inputs))
        return permutation.T @ kernel

    check(layer, inputs, matrix)


def test_acdc_begins_near_the_identity():
    layer = ACDC(50)
    layer.build((None, 50))
    np.testing.assert_allclose(layer.to_dense(), np.eye(50), atol=0.03)
    assert np.abs(np.asarray(layer.to_dense()) - np.eye(50)).max() > 1e-3


@settings(max_examples=10)
@given(**SIZES, rank=st.integers(1, 13))
def test_low_rank(inputs, units, rank):
    rank = min(rank, inputs, units)
    layer = LowRank(units, rank)
    check(layer, inputs, lambda: np.asarray(layer.left) @ np.asarray(layer.right))
    assert np.linalg.matrix_rank(np.asarray(layer.to_dense()), tol=1e-5) == rank
    assert layer.count_params() == rank * (inputs + units) + units


def test_factors_of_one_shape_begin_with_numbers_of_their_own():
    layer = LowRank(4, 4, kernel_initializer=NORMAL)
    layer.build((None, 4))
    assert not np.array_equal(layer.left, layer.right)


@settings(max_examples=15)
@given(**SIZES, padding=PADDING)
def test_fastfood(inputs, units, padding):
    layer = Fastfood(units, padding=padding)

    def matrix():
        size = layer.signs.shape[0]
        assert size / 2 < max(inputs, units) <= size
        b, g, s = (
            np.diag(np.asarray(one, np.float64))
            for one in (layer.signs, layer.gaussian, layer.scale)
        )
        h = scipy.linalg.hadamard(size) / size**0.5
        return cut(s @ h @ g @ np.eye(size)[layer.order] @ h @ b, layer, inputs)

    check(layer, inputs, matrix)


def test_fastfood_begins_like_a_normal_matrix():
    """Entries of variance 1/n, and outputs as if of independent rows."""
    size = 1024
    layer = Fastfood(size, use_bias=False)
    layer.build((None, size))
    assert set(np.unique(np.asarray(layer.signs))) == {-1.0, 1.0}
    matrix = np.asarray(layer.to_dense()).T
    np.testing.assert_allclose(np.var(matrix), 1 / size, rtol=0.1)
    norms = np.linalg.norm(matrix, axis=1)
    np.testing.assert_allclose(np.mean(norms), 1, rtol=0.1)
    np.testing.assert_allclose(np.std(norms), (2 * size) ** -0.5, rtol=0.2)


@settings(max_examples=10)
@given(**SIZES, buckets=st.integers(1, 20), seed=st.integers(0, 2**32 - 1))
def test_hashed_dense(inputs, units, buckets, seed):
    hash_of = pytest.importorskip("sklearn.utils").murmurhash3_32
    buckets = min(buckets, inputs * units)
    layer = HashedDense(units, buckets=buckets, seed=seed)

    def entry(i, j, values):
        hashed = hash_of(i * units + j, seed, positive=True)
        return values[(hashed >> 1) % buckets] * (1 if hashed & 1 else -1)

    def matrix():
        values = np.asarray(layer.values)
        rows = [[entry(i, j, values) for j in range(units)] for i in range(inputs)]
        return np.array(rows)

    check(layer, inputs, matrix)


@pytest.mark.parametrize(("compression", "count"), [(1, 70), (8, 9), (3.5, 20)])
def test_compression_says_how_many_numbers_there_are(compression, count):
    layer = HashedDense(10, compression=compression)
    layer.build((None, 7))
    assert layer.values.shape == (count,)


def test_hashed_dense_begins_like_a_dense_layer():
    """Every number is used about as often, with both signs, and 2/n is the variance."""
    layer = HashedDense(300, buckets=500, seed=1)
    layer.build((None, 200))
    matrix = np.asarray(layer.to_dense())
    np.testing.assert_allclose(np.var(matrix), 2 / 200, rtol=0.2)
    values, counts = np.unique(np.abs(matrix), return_counts=True)
    assert len(values) == 500
    # Poisson with mean 120.
    np.testing.assert_allclose(np.std(counts), 120**0.5, rtol=0.2)
    # Signs are fair for each number: sums over places are random walks.
    sums = [matrix[np.abs(matrix) == one].sum() / one for one in values]
    np.testing.assert_allclose(np.std(sums), 120**0.5, rtol=0.2)


@pytest.mark.parametrize("kind", [Toeplitz, DiagonalToeplitz, LowRank])
def test_initial_values_are_those_of_the_paper_s_code(kind):
    layer = kind(20_000, 1) if kind is LowRank else kind(20_000)
    layer.build((None, 20_000))
    first = layer.left if kind is LowRank else layer.toeplitz
    np.testing.assert_allclose(np.var(np.asarray(first)), 2 / 20_000, rtol=0.05)
    np.testing.assert_allclose(np.std(np.asarray(layer.bias)), 0.01, rtol=0.05)
    if kind is DiagonalToeplitz:
        assert set(np.unique(np.asarray(layer.diagonal))) == {-1.0, 1.0}
