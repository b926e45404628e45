"""Noise: its distribution, and that replicas draw different numbers."""

import keras
import numpy as np
import tensorflow as tf

from cvzoo import ops


def test_complex_noise_is_circular_and_has_the_given_variance():
    zeros = tf.zeros((200_000,))
    variance = tf.fill((200_000,), 3.0)
    seeds = keras.random.SeedGenerator(0)
    real, imag = ops.add_complex_noise((zeros, zeros + 1), variance, seeds)
    z = np.asarray(real) + 1j * (np.asarray(imag) - 1)
    np.testing.assert_allclose(np.mean(z), 0, atol=0.02)
    np.testing.assert_allclose(np.mean(np.abs(z) ** 2), 3, rtol=0.02)
    np.testing.assert_allclose(np.mean(z**2), 0, atol=0.03)


def test_real_noise_has_the_given_variance():
    seeds = keras.random.SeedGenerator(0)
    noisy = ops.add_real_noise(tf.ones(200_000), tf.fill((200_000,), 3.0), seeds)
    np.testing.assert_allclose(np.mean(noisy), 1, atol=0.02)
    np.testing.assert_allclose(np.var(noisy), 3, rtol=0.02)


def test_gradient_at_variance_zero_is_finite():
    variance = tf.Variable([0.0])
    with tf.GradientTape() as tape:
        noisy = ops.add_real_noise(tf.zeros(1), variance, keras.random.SeedGenerator(0))
    assert np.isfinite(np.asarray(tape.gradient(noisy, variance))).all()


def test_replicas_draw_different_numbers_and_do_not_repeat_each_other():
    two_replicas = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with two_replicas.scope():
        seeds = keras.random.SeedGenerator(0)

    @tf.function
    def draw():
        return two_replicas.run(lambda: ops.replica_normal((4,), seeds, "float32"))

    steps = [two_replicas.experimental_local_results(draw()) for _ in range(3)]
    draws = [tuple(np.asarray(value)) for step in steps for value in step]
    assert len(set(draws)) == len(draws) == 6
