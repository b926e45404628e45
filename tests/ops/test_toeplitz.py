"""Toeplitz products against the matrices of SciPy and TensorFlow."""

import keras
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops as kops

from cvzoo import ops
from tests.helpers import gradients


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def explicit(kernel):
    """First column t₀ … tₙ₋₁, first row t₀, t₋₁, …, from the order of storage."""
    size = len(kernel) // 2
    row = np.concatenate([kernel[:1], kernel[: size - len(kernel) : -1]])
    return scipy.linalg.toeplitz(kernel[:size], row)


def test_a_small_matrix_by_hand():
    kernel = np.array([1, 2, 3, 99, 5, 4], "float32")  # 99 is the unused one
    np.testing.assert_array_equal(explicit(kernel), [[1, 4, 5], [2, 1, 4], [3, 2, 1]])
    x = np.array([1, 10, 100], "float32")
    found = ops.toeplitz_product(kops.convert_to_tensor(x), kernel)
    np.testing.assert_allclose(found, [541, 412, 123], rtol=1e-5)


@settings(max_examples=15)
@given(size=st.integers(1, 17), rows=st.integers(1, 3))
def test_products_are_the_matrix_product(size, rows):
    x, kernel = normal(0, rows, 2, size), normal(1, 2 * size)
    found = ops.toeplitz_product(kops.convert_to_tensor(x), kernel)
    np.testing.assert_allclose(found, x @ explicit(kernel).T, atol=1e-4)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow")
@pytest.mark.parametrize("size", [1, 6, 7])
def test_products_are_those_of_tensorflow(size):
    import tensorflow as tf

    x, kernel = normal(0, 3, size), normal(1, 2 * size)
    row = np.concatenate([kernel[:1], kernel[: size - 2 * size : -1]])
    operator = tf.linalg.LinearOperatorToeplitz(kernel[:size], row)
    found = ops.toeplitz_product(tf.constant(x), kernel)
    np.testing.assert_allclose(found, operator.matvec(x), atol=1e-5)


@pytest.mark.parametrize("size", [1, 6, 7])
def test_gradients_are_those_of_the_matrix_product(size):
    x, kernel, upstream = normal(0, 3, size), normal(1, 2 * size), normal(2, 3, size)

    def function(x, kernel):
        return kops.sum(ops.toeplitz_product(x, kernel) * upstream)

    to_x, to_kernel = gradients(function, x, kernel)
    np.testing.assert_allclose(to_x, upstream @ explicit(kernel), atol=1e-5)
    outer = upstream.T @ x  # of the entries of T
    sums = [np.trace(outer, offset=-shift) for shift in range(size)]
    below = [np.trace(outer, offset=shift) for shift in range(size - 1, 0, -1)]
    np.testing.assert_allclose(to_kernel, [*sums, 0, *below], atol=1e-5)
