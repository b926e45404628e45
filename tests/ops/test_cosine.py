"""Cosine transforms against SciPy."""

import keras
import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops as kops

from cvzoo import ops
from tests.helpers import gradients, jitted


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@settings(max_examples=12)
@given(size=st.integers(1, 33), rows=st.integers(1, 3))
def test_transforms_are_those_of_scipy(size, rows):
    x = normal(0, rows, 2, size)
    tensor = kops.convert_to_tensor(x)
    np.testing.assert_allclose(
        ops.cosine_transform(tensor), scipy.fft.dct(x), atol=1e-4
    )
    found = ops.inverse_cosine_transform(tensor)
    np.testing.assert_allclose(found, scipy.fft.idct(x), atol=1e-5)


def matrix(size):
    """`2 cos(πk(2j + 1) / 2n)`: rows are frequencies."""
    k, j = np.arange(size)[:, None], np.arange(size)[None, :]
    return 2 * np.cos(np.pi * k * (2 * j + 1) / (2 * size))


@pytest.mark.parametrize("size", [1, 2, 7, 8, 31])
def test_products_and_their_gradients_are_those_of_the_matrix(size):
    x, response, upstream = normal(0, 3, size), normal(1, size), normal(2, 3, size)
    forward = matrix(size)
    whole = np.linalg.inv(forward) @ np.diag(response) @ forward
    found = ops.cosine_product(kops.convert_to_tensor(x), response)
    np.testing.assert_allclose(found, x @ whole.T, atol=1e-4)

    def function(x, response):
        return kops.sum(ops.cosine_product(x, response) * upstream)

    to_x, to_response = gradients(function, x, response)
    np.testing.assert_allclose(to_x, upstream @ whole, atol=1e-4)
    expected = np.sum((x @ forward.T) * (upstream @ np.linalg.inv(forward)), axis=0)
    np.testing.assert_allclose(to_response, expected, atol=1e-4)


def test_half_precision_does_not_overflow_between_the_transforms():
    # The first number of the transform is 2 · 1000 · 100, above 65 504.
    x = kops.full((1, 1000), 100.0, dtype="float16")
    found = ops.cosine_product(x, np.ones(1000, "float32"))
    assert keras.backend.standardize_dtype(found.dtype) == "float16"
    np.testing.assert_allclose(kops.cast(found, "float32"), 100, rtol=1e-3)


def test_it_compiles():
    x = normal(0, 2, 9)
    found = jitted(ops.cosine_transform)(x)
    np.testing.assert_allclose(found, scipy.fft.dct(x), atol=1e-4)
