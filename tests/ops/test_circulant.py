"""Circulant products against explicit matrices of SciPy."""

import keras
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops as kops

from cvzoo import ops
from tests.helpers import as_complex

SIZES = [1, 2, 3, 7, 8, 13, 30]


def normal(seed, *shape, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def test_the_check_vectors_of_both_codes():
    # Facts of paper 1's two code bases: c = x = (1, 2, 3, 4).
    c = np.array([1, 2, 3, 4], "float32")
    np.testing.assert_allclose(ops.circulant_product(c, c), [26, 28, 26, 20], rtol=1e-6)
    found = ops.circulant_product(c, c, transpose=True)
    np.testing.assert_allclose(found, [30, 24, 22, 24], rtol=1e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("transpose", [False, True])
def test_real_products_are_the_matrix_product(size, transpose):
    x, c = normal(0, 3, 2, size), normal(1, size)
    matrix = scipy.linalg.circulant(c)
    matrix = matrix.T if transpose else matrix
    found = ops.circulant_product(kops.convert_to_tensor(x), c, transpose)
    np.testing.assert_allclose(found, x @ matrix.T, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("transpose", [False, True])
def test_complex_products_are_the_matrix_product(size, transpose):
    z, c = (normal(seed, *shape) for seed, shape in ((0, (3, size)), (1, (size,))))
    y, d = (normal(seed, *shape) for seed, shape in ((2, (3, size)), (3, (size,))))
    matrix = scipy.linalg.circulant(c + 1j * d)
    matrix = matrix.T if transpose else matrix
    pair = tuple(kops.convert_to_tensor(part) for part in (z, y))
    found = ops.complex_circulant_product(pair, (c, d), transpose)
    np.testing.assert_allclose(as_complex(found), (z + 1j * y) @ matrix.T, atol=1e-5)


def test_a_kernel_may_have_a_matrix_for_each_place():
    x, c = normal(0, 5, 3, 8), normal(1, 3, 8)
    found = ops.circulant_product(kops.convert_to_tensor(x), c)
    for place in range(3):
        expected = x[:, place] @ scipy.linalg.circulant(c[place]).T
        np.testing.assert_allclose(found[:, place], expected, atol=1e-5)


@settings(max_examples=15)
@given(rows=st.integers(1, 3), columns=st.integers(1, 3), size=st.integers(1, 9))
def test_block_products_are_the_matrix_product(rows, columns, size):
    x, c = normal(0, 2, 3, columns * size), normal(1, rows, columns, size)
    matrix = np.block([[scipy.linalg.circulant(one) for one in row] for row in c])
    found = ops.block_circulant_product(kops.convert_to_tensor(x), c)
    np.testing.assert_allclose(found, x @ matrix.T, atol=1e-4)


@pytest.mark.parametrize("size", [1, 6, 7])
def test_the_explicit_matrix_is_scipys(size):
    c = normal(0, 2, size)
    expected = [scipy.linalg.circulant(one) for one in c]
    np.testing.assert_array_equal(ops.circulant_matrix(c), expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    x = kops.cast(normal(0, 4, 12), dtype)
    c = kops.cast(normal(1, 12), "float32")
    found = ops.circulant_product(x, c)
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    wide = kops.convert_to_numpy(kops.cast(x, "float32"))
    expected = wide @ scipy.linalg.circulant(np.asarray(c)).T
    np.testing.assert_allclose(kops.cast(found, "float32"), expected, atol=0.1)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.GradientTape")
@pytest.mark.parametrize("size", [1, 6, 7])
@pytest.mark.parametrize("transpose", [False, True])
def test_gradients_are_those_of_the_matrix_product(size, transpose):
    import tensorflow as tf

    x, c, upstream = normal(0, 3, 2, size), normal(1, size), normal(2, 3, 2, size)
    x, c, upstream = (tf.constant(one, tf.float64) for one in (x, c, upstream))

    def explicit(x, c):
        matrix = ops.circulant_matrix(c)
        return x @ (matrix if transpose else tf.transpose(matrix))

    found, expected = [], []
    for product, gradients in (
        (lambda x, c: ops.circulant_product(x, c, transpose), found),
        (explicit, expected),
    ):
        with tf.GradientTape() as outer:
            outer.watch([x, c])
            with tf.GradientTape() as inner:
                inner.watch([x, c])
                total = tf.reduce_sum(product(x, c) ** 2 * upstream)
            first = inner.gradient(total, [x, c])
            mixed = tf.reduce_sum(first[0] * upstream) + tf.reduce_sum(first[1] ** 2)
        gradients += [*first, *outer.gradient(mixed, [x, c])]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)
