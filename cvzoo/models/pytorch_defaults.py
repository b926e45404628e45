"""Real layers as PyTorch begins them, as in the real networks of paper 2.

Weights and biases are uniform on ±1/√fan_in.
"""

import math

import keras


def real_dense(inputs, units, name, **arguments):
    """Applies a new `Dense`; arguments may say how its weights begin."""
    start = {**_uniform(inputs.shape[-1]), **arguments}
    return keras.layers.Dense(units, **start, name=name)(inputs)


def real_conv(inputs, filters, kernel_size, name, **arguments):
    """Applies a new `Conv1D`, or a `Conv2D` with a square window."""
    dimensions = len(inputs.shape) - 2
    convolution = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D}[dimensions]
    start = _uniform(inputs.shape[-1] * kernel_size**dimensions)
    layer = convolution(filters, kernel_size, **start, **arguments, name=name)
    return layer(inputs)


def _uniform(fan_in):
    limit = 1 / math.sqrt(fan_in)
    uniform = keras.initializers.RandomUniform
    return {
        "kernel_initializer": uniform(-limit, limit),
        "bias_initializer": uniform(-limit, limit),
    }
