"""Noise: its distribution and its gradient."""

import keras
import numpy as np
from keras import ops as kops

from cvzoo import ops
from tests.helpers import gradients


def test_complex_noise_is_circular_and_has_the_given_variance():
    zeros = kops.zeros((200_000,))
    variance = kops.full((200_000,), 3.0)
    seeds = keras.random.SeedGenerator(0)
    real, imag = ops.add_complex_noise((zeros, zeros + 1), variance, seeds)
    z = np.asarray(real) + 1j * (np.asarray(imag) - 1)
    np.testing.assert_allclose(np.mean(z), 0, atol=0.02)
    np.testing.assert_allclose(np.mean(np.abs(z) ** 2), 3, rtol=0.02)
    np.testing.assert_allclose(np.mean(z**2), 0, atol=0.03)


def test_real_noise_has_the_given_variance():
    seeds = keras.random.SeedGenerator(0)
    noisy = ops.add_real_noise(kops.ones(200_000), kops.full((200_000,), 3.0), seeds)
    np.testing.assert_allclose(np.mean(noisy), 1, atol=0.02)
    np.testing.assert_allclose(np.var(noisy), 3, rtol=0.02)


def test_gradient_at_variance_zero_is_finite():
    seeds = keras.random.SeedGenerator(0)

    def noisy(variance):
        return kops.sum(ops.add_real_noise(kops.zeros(1), variance, seeds))

    (found,) = gradients(noisy, np.zeros(1, np.float32))
    assert np.isfinite(found).all()
