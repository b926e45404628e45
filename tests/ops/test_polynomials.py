"""Sums of products of polynomials against NumPy's convolution."""

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops as kops

from cvzoo.ops.polynomials import (
    fast_length,
    polynomial_products,
    transposed_products,
)
from tests.helpers import gradients

SIZES = [(3, 1, 1, 1), (2, 3, 1, 5), (2, 1, 3, 4), (3, 2, 4, 7)]


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def operands(batch, rank, terms, size):
    """Left, right and product of the form."""
    shapes = (batch, terms, size), (rank, terms, size), (batch, rank, 2 * size - 1)
    return [normal(seed, *shape) for seed, shape in enumerate(shapes)]


def products(left, right):
    return np.array(
        [
            [sum(map(np.convolve, row, other)) for other in right.astype("float64")]
            for row in left.astype("float64")
        ]
    )


def transposed(product, right):
    """By the entry: Σ product[b, r, i + j] right[r, q, j]."""
    size = right.shape[-1]
    windows = np.stack([product[..., i : i + size] for i in range(size)], axis=-2)
    return np.einsum("brij,rqj->bqi", windows.astype("float64"), right)


@pytest.mark.parametrize("sizes", SIZES)
def test_products_are_numpys(sizes):
    left, right, product = operands(*sizes)
    tensors = [kops.convert_to_tensor(one) for one in (left, right, product)]
    found = polynomial_products(tensors[0], tensors[1])
    np.testing.assert_allclose(found, products(left, right), atol=1e-5)
    found = transposed_products(tensors[2], tensors[1])
    np.testing.assert_allclose(found, transposed(product, right), atol=1e-5)


@pytest.mark.parametrize("sizes", SIZES)
def test_gradients_are_those_of_the_trilinear_form(sizes):
    left, right, product = operands(*sizes)
    to_left = transposed(product, right)
    windows = np.stack(
        [left @ np.eye(left.shape[-1], product.shape[-1], k) for k in range(sizes[-1])]
    )
    to_right = np.einsum("jbqf,brf->rqj", windows, product)
    to_product = products(left, right)

    def of_products(left, right):
        return kops.sum(polynomial_products(left, right) * product)

    def of_transposed(product, right):
        return kops.sum(transposed_products(product, right) * left)

    found = gradients(of_products, left, right)
    for one, expected in zip(found, (to_left, to_right), strict=True):
        np.testing.assert_allclose(one, expected, atol=1e-5)
    found = gradients(of_transposed, product, right)
    for one, expected in zip(found, (to_product, to_right), strict=True):
        np.testing.assert_allclose(one, expected, atol=1e-5)


@settings(max_examples=100)
@given(size=st.integers(1, 5000))
def test_fast_lengths_are_scipys(size):
    # Those of real transforms there have no prime factor above 5.
    assert fast_length(size) == scipy.fft.next_fast_len(size, real=True)
