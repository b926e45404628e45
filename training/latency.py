"""How long networks take for one example."""

import statistics
import time

import keras
import numpy as np
import tensorflow as tf

ROUNDS, CALLS = 15, 20


def one_example(models, seed=0):
    """Milliseconds of a call of each model for one example.

    Compiled graphs take turns, so that a machine whose speed drifts slows all alike;
    the median over rounds.

    Args:
        models: Keras models of the same input.
        seed: Of the random example.
    """
    shape = models[0].inputs[0].shape[1:]
    generator = np.random.default_rng(seed)
    example = tf.constant(generator.random((1, *shape)), keras.config.floatx())
    calls = [_compiled(model, example) for model in models]
    times = [[] for _ in calls]
    for round_number in range(ROUNDS + 1):
        for call, found in zip(calls, times, strict=True):
            start = time.perf_counter()
            for _ in range(CALLS):
                call(example)
            if round_number:  # the first one warms up
                found.append(1000 * (time.perf_counter() - start) / CALLS)
    return [statistics.median(found) for found in times]


def _compiled(model, example):
    function = tf.function(lambda inputs: model(inputs, training=False))
    return function.get_concrete_function(tf.TensorSpec(example.shape, example.dtype))
