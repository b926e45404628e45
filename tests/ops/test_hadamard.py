"""The Walsh–Hadamard transform against SciPy's matrix."""

import keras
import numpy as np
import pytest
import scipy.linalg
from keras import ops as kops

from cvzoo import ops
from tests.helpers import gradients


@pytest.mark.parametrize("size", [1, 2, 4, 32, 128])
def test_transforms_are_products_with_the_matrix(size):
    x = np.random.default_rng(0).normal(size=(3, 2, size)).astype("float32")
    matrix = scipy.linalg.hadamard(size) / size**0.5
    found = ops.hadamard_transform(kops.convert_to_tensor(x))
    np.testing.assert_allclose(found, x @ matrix, atol=1e-5)
    upstream = x[::-1].copy()
    (gradient,) = gradients(lambda x: kops.sum(ops.hadamard_transform(x) * upstream), x)
    np.testing.assert_allclose(gradient, upstream @ matrix, atol=1e-5)


def test_half_precision_stays_it():
    x = kops.ones((2, 64), dtype="float16")
    found = ops.hadamard_transform(x)
    assert keras.backend.standardize_dtype(found.dtype) == "float16"
    np.testing.assert_allclose(found, [[8.0] + [0.0] * 63] * 2)


@pytest.mark.parametrize("size", [3, 6, 0])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match="must be a power of two"):
        ops.hadamard_transform(kops.ones((2, size)))
