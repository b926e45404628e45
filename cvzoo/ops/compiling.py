"""Functions compiled by XLA, whatever compiles the graph around them."""

import functools

import keras

from cvzoo.ops import targets


def compiler():
    """A decorator that compiles a function of tensors, with the TensorFlow backend.

    Exports are left as they are: servers need not have XLA.
    """
    if keras.backend.backend() != "tensorflow" or not targets.needs_gradients():
        return lambda function: function
    import tensorflow as tf

    return functools.partial(tf.function, jit_compile=True, autograph=False)
