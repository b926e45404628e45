"""Functions compiled by XLA, whatever compiles the graph around them."""

import functools

import keras


def compiler():
    """A decorator that compiles a function of tensors, with the TensorFlow backend."""
    if keras.backend.backend() != "tensorflow":
        return lambda function: function
    import tensorflow as tf

    return functools.partial(tf.function, jit_compile=True, autograph=False)
