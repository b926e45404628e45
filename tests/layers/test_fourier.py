"""Fourier features of images and signals."""

import numpy as np
import pytest
from keras import ops as kops

from cvzoo.layers import FourierFeatures
from tests.helpers import as_complex, check_layer, random_pair


@pytest.mark.parametrize("norm", ["ortho", "backward"])
@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("size", [(8, 8), (5, 6)])
def test_fourier_features_are_numpys(norm, shift, size):
    images = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    expected = np.fft.fft2(images, axes=(1, 2), norm=norm)
    if shift:
        expected = np.fft.fftshift(expected, axes=(1, 2))
    found = FourierFeatures(norm=norm, shift=shift)(images)
    np.testing.assert_allclose(as_complex(found), expected, atol=1e-4)


def test_fourier_features_of_a_signal_pair():
    z = random_pair(2, 9, 1)
    found = FourierFeatures(axes=1)(z)
    expected = np.fft.fftshift(np.fft.fft(as_complex(z), axis=1, norm="ortho"), axes=1)
    np.testing.assert_allclose(as_complex(found), expected, atol=1e-5)


def test_fourier_features_do_what_layers_do(tmp_path):
    images = np.random.default_rng(0).normal(size=(2, 4, 5, 1)).astype(np.float32)
    check_layer(lambda: FourierFeatures(), images, tmp_path)


def test_fourier_features_refuse_what_they_cannot_transform():
    with pytest.raises(ValueError, match="one or two different axes"):
        FourierFeatures(axes=(0, 1))
    with pytest.raises(ValueError, match="`norm` must be"):
        FourierFeatures(norm="forward")
    with pytest.raises(
        ValueError, match=r"axes \(1, 2\), which input of shape \(3, 4\)"
    ):
        FourierFeatures()(kops.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"ToComplex\(\)"):
        FourierFeatures()(kops.zeros((2, 4, 4, 1), "complex64"))
