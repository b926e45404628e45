"""Noise, and what else must be right under `tf.distribute`."""

import functools
import math
import operator

import keras
from keras import ops

# The released code of paper 2 keeps variances above this, for the gradient of the
# square root.
SMALLEST_VARIANCE = 1e-8


def replica_count():
    """Number of replicas that train together; Keras divides each one's loss by it."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def replica_normal(shape, seed_generator, dtype):
    """Standard normal noise that differs between replicas of `tf.distribute`."""
    size = functools.reduce(operator.mul, shape, 1)
    halves = replica_circular(((size + 1) // 2,), seed_generator)
    flat = ops.concatenate(halves)[:size]
    return ops.cast(ops.reshape(flat, shape) * 2**0.5, dtype)


def replica_circular(shape, seed_generator):
    """Circular complex normal noise ζ with `E|ζ|² = 1`, float32, as a pair.

    By the method of Box and Muller, 1958: with TensorFlow on a CPU a third of the time
    of its normal distribution, as its logarithm and sine are vectorized.
    """
    squared, phase = _polar_draws(shape, seed_generator)
    modulus = ops.sqrt(squared)
    return modulus * ops.cos(phase), modulus * ops.sin(phase)


def _polar_draws(shape, seed_generator):
    """|ζ|² and the phase of ζ in radians."""
    squared = -ops.log1p(-replica_uniform(shape, seed_generator, "float32"))
    return squared, 2 * math.pi * replica_uniform(shape, seed_generator, "float32")


def replica_uniform(shape, seed_generator, dtype):
    """Noise uniform in [0, 1) that differs between replicas of `tf.distribute`.

    A Keras `SeedGenerator` has the same state on every replica. The replica's
    number enters by a hash; added, replica 1 would repeat the next step of
    replica 0.
    """
    if keras.backend.backend() != "tensorflow":
        return keras.random.uniform(shape, dtype=dtype, seed=seed_generator)
    import tensorflow as tf

    seed = seed_generator.next()
    context = tf.distribute.get_replica_context()
    if context is not None and context.num_replicas_in_sync > 1:
        seed = tf.random.experimental.stateless_fold_in(
            tf.cast(seed, tf.int64), context.replica_id_in_sync_group
        )
    return tf.random.stateless_uniform(shape, seed=seed, dtype=dtype)


def add_real_noise(mean, variance, seed_generator):
    """`mean + ε √variance`, ε ~ N(0, 1)."""
    noise = replica_normal(ops.shape(mean), seed_generator, "float32")
    return mean + ops.cast(noise * _deviation(variance), mean.dtype)


def add_complex_noise(mean, variance, seed_generator):
    """`mean + ζ √variance` on pairs, ζ = (ε₁ + i ε₂) / √2 circular.

    Args:
        mean: Pair.
        variance: Real tensor, `E|z - mean|²`, of the shape of one part.
    """
    variance = ops.cast(variance, "float32")
    draws = _polar_draws(ops.shape(mean[0]), seed_generator)

    # Written out, as it takes fewer passes over large tensors: the noise itself gives
    # the gradient.
    @ops.custom_gradient
    def evaluate(variance):
        squared, phase = draws
        bounded = ops.maximum(variance, SMALLEST_VARIANCE)
        modulus = ops.sqrt(squared * bounded)
        noise = modulus * ops.cos(phase), modulus * ops.sin(phase)

        def gradient(*args, upstream=None):
            g, h = keras.tree.flatten(args if upstream is None else upstream)
            slope = (g * noise[0] + h * noise[1]) / (2 * bounded)
            return ops.where(variance > SMALLEST_VARIANCE, slope, 0.0)

        return noise, gradient

    return tuple(
        part + ops.cast(one, part.dtype)
        for part, one in zip(mean, evaluate(variance), strict=True)
    )


def add_correlated_noise(mean, variance, relation, seed_generator):
    """`mean + ζ` on pairs, ζ Gaussian with `E|ζ|² = Γ` and `E ζ² = C`.

    The real covariance of (Re ζ, Im ζ) is ½ [[Γ + Re C, Im C], [Im C, Γ − Re C]]
    (paper 2, eq. 7). Of its two Cholesky factors the one is taken that divides by the
    larger variance, so that purely real and purely imaginary noise are exact.

    Args:
        mean: Pair.
        variance: Γ, real tensor of the shape of one part.
        relation: C, pair.

    Returns:
        Pair.
    """
    real, imag = mean
    gamma, *parts = (ops.cast(one, "float32") for one in (variance, *relation))
    c_real, c_imag = parts
    real_leads = c_real >= 0
    size = ops.where(real_leads, c_real, -c_real)
    noise = [one * 2**0.5 for one in replica_circular(ops.shape(real), seed_generator)]
    deviation = _deviation((gamma + size) / 2)
    slope = c_imag / 2 / deviation
    leading = noise[0] * deviation
    other = noise[0] * slope + noise[1] * _deviation((gamma - size) / 2 - slope**2)
    return (
        real + ops.cast(ops.where(real_leads, leading, other), real.dtype),
        imag + ops.cast(ops.where(real_leads, other, leading), real.dtype),
    )


def _deviation(variance):
    # In float32: half precision holds neither the bound nor its root's gradient.
    return ops.sqrt(ops.maximum(ops.cast(variance, "float32"), SMALLEST_VARIANCE))
