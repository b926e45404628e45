"""Pairs against numpy's complex numbers."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops as kops

from cvzoo import ops
from tests.helpers import as_complex, gradients, random_pair

sizes = st.integers(1, 7)


@given(shape=st.lists(sizes, min_size=1, max_size=3), seed=st.integers(0, 99))
def test_modulus_and_phase_are_numpys(shape, seed):
    z = random_pair(*shape, seed=seed)
    np.testing.assert_allclose(ops.modulus(z), np.abs(as_complex(z)), atol=1e-6)
    np.testing.assert_allclose(ops.phase(z), np.angle(as_complex(z)), atol=1e-6)
    squared = np.abs(as_complex(z)) ** 2
    np.testing.assert_allclose(ops.squared_modulus(z), squared, rtol=1e-5)


@pytest.mark.parametrize("function", [ops.modulus, ops.phase])
def test_gradient_at_zero_is_zero(function):
    zero = np.zeros(1, np.float32)

    def summed(real, imag):
        return kops.sum(function((real, imag)))

    for gradient in gradients(summed, zero, zero):
        np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("norm", ["ortho", "backward"])
@pytest.mark.parametrize("shape", [(2, 4, 6, 3), (2, 5, 7, 1), (1, 1, 3, 2)])
def test_fourier_is_numpys(norm, shape):
    z = random_pair(*shape)
    found = as_complex(ops.fourier(z, (1, 2), norm))
    expected = np.fft.fft2(as_complex(z), axes=(1, 2), norm=norm)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    found = as_complex(ops.fourier(z, (2,), norm))
    expected = np.fft.fft(as_complex(z), axis=2, norm=norm)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_pair_is_returned_as_a_tuple():
    z = random_pair(2, 3)
    assert ops.check_pair(list(z), "a layer") == z


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_one_tensor_is_refused_also_when_its_batch_is_two(batch):
    with pytest.raises(ValueError, match=r"a layer works on a pair.*ToComplex\(layout"):
        ops.check_pair(kops.zeros((batch, 4)), "a layer")


def test_a_complex_tensor_is_sent_to_to_complex():
    with pytest.raises(ValueError, match=r"complex64.*ToComplex\(\)"):
        ops.check_pair(kops.zeros((2, 4), "complex64"), "a layer")
    with pytest.raises(ValueError, match="pair of real tensors"):
        ops.check_pair((kops.zeros(2, "complex64"),) * 2, "a layer")


def test_two_pairs_joined_by_plus_are_refused():
    z = random_pair(2, 3)
    with pytest.raises(ValueError, match="Received 4"):
        ops.check_pair(z + z, "a layer")


def test_parts_of_unequal_shape_or_dtype_are_refused():
    with pytest.raises(ValueError, match="one shape and one dtype"):
        ops.check_pair((kops.zeros((2, 3)), kops.zeros((2, 4))), "a layer")
    with pytest.raises(ValueError, match="one shape and one dtype"):
        ops.check_pair((kops.zeros(2), kops.zeros(2, "float16")), "a layer")


def test_symbolic_tensors_are_checked_too():
    with pytest.raises(ValueError, match="works on a pair"):
        ops.check_pair(keras.Input((3,)), "a layer")


def test_modulus_of_large_and_small_half_precision_numbers():
    for size in (300.0, 1e-4):
        part = kops.full((1,), size, "float16")
        expected = np.sqrt(2) * float(part[0])
        np.testing.assert_allclose(ops.modulus((part, part)), [expected], rtol=2e-3)
