"""Real layers as PyTorch begins them, as in the real networks of paper 2.

Weights and biases are uniform on ±1/√fan_in.
"""

import math

import keras


def real_dense(inputs, units, name):
    """Applies a new `Dense`."""
    start = _uniform(inputs.shape[-1])
    return keras.layers.Dense(units, **start, name=name)(inputs)


def real_conv(inputs, filters, kernel_size, name, **arguments):
    """Applies a new `Conv2D` with a square window."""
    start = _uniform(inputs.shape[-1] * kernel_size**2)
    layer = keras.layers.Conv2D(filters, kernel_size, **start, **arguments, name=name)
    return layer(inputs)


def _uniform(fan_in):
    limit = 1 / math.sqrt(fan_in)
    uniform = keras.initializers.RandomUniform
    return {
        "kernel_initializer": uniform(-limit, limit),
        "bias_initializer": uniform(-limit, limit),
    }
