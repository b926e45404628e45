"""Timing of things that take turns, so that a machine whose speed drifts slows all."""

import statistics
import time

import keras
import tensorflow as tf

ROUNDS = 15


def alternate(functions, repeats=1, rounds=ROUNDS):
    """Name → milliseconds a call of each round, after a round that is not counted."""
    times = {name: [] for name in functions}
    for round_number in range(rounds + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            for _ in range(repeats):
                function()
            if round_number:
                elapsed = time.perf_counter() - start
                times[name].append(1000 * elapsed / repeats)
    return times


def show(title, functions, bound=None, repeats=1):
    """Prints each function's median and its ratio to the first one's.

    Args:
        title: What is measured.
        functions: Name → function without arguments.
        bound: What a ratio should not exceed, as text.
        repeats: Calls in a row that are measured as one.

    Returns:
        Name → median of the milliseconds.
    """
    times = alternate(functions, repeats)
    first = next(iter(times.values()))
    print(title + (f" (bound {bound})" if bound else ""))
    for name, values in times.items():
        ratios = [mine / other for mine, other in zip(values, first, strict=True)]
        print(
            f"  {name:42} {statistics.median(values):8.2f} ms   "
            f"×{statistics.median(ratios):.2f}"
        )
    return {name: statistics.median(values) for name, values in times.items()}


def geometric_mean(values):
    """Geometric mean of some ratios."""
    return statistics.geometric_mean(values)


def layer_step(layer, inputs, squared_error=False):
    """One training step of a layer: forward, gradients to inputs and weights.

    What the layer adds to the loss has its gradient too. The outputs' gradient is
    given, or that of a squared error, which waits for the outputs as training does.

    Returns:
        A function without arguments that runs it as one TensorFlow graph.
    """
    outputs = layer(inputs)
    upstream = keras.tree.map_structure(lambda x: tf.random.normal(x.shape), outputs)

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=True)
            losses = layer.losses
        ones = [tf.ones(()) for _ in losses]
        given = upstream
        if squared_error:
            given = tf.nest.map_structure(tf.subtract, outputs, upstream)
        values = [variable.value for variable in layer.trainable_variables]
        targets, seeds = [outputs, losses], [given, ones]
        gradients = tape.gradient(
            tf.nest.flatten(targets), [inputs, values], tf.nest.flatten(seeds)
        )
        # Sums, so that the functions return little and nothing is left out.
        return [tf.reduce_sum(one) for one in tf.nest.flatten(gradients)]

    return lambda: [one.numpy() for one in run()]
