"""A training step of ComplexBatchNormalization against Keras' over twice the channels.

A step is forward and gradients to inputs and weights, without an optimizer.
"""

import keras
import tensorflow as tf

from cvzoo.layers.normalization import ComplexBatchNormalization
from tests.benchmarks.timing import show

SHAPES = ((64, 32, 32, 64), (64, 8, 8, 256))


def step(layer, inputs):
    """One training step of a layer, as a function without arguments."""
    layer.build(keras.tree.map_structure(lambda tensor: tuple(tensor.shape), inputs))
    upstream = keras.tree.map_structure(lambda x: tf.random.normal(x.shape), inputs)

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=True)
        values = [variable.value for variable in layer.trainable_variables]
        gradients = tape.gradient(outputs, [inputs, values], upstream)
        return [tf.reduce_sum(one) for one in tf.nest.flatten(gradients)]

    return lambda: [one.numpy() for one in run()]


def steps(shape):
    """Name → step, for parts of a shape: Keras' batch normalization, and ours."""
    *leading, channels = shape
    both = tf.random.normal((*leading, 2 * channels))
    pair = tf.random.normal(shape), tf.random.normal(shape)
    return {
        "keras BatchNormalization, 2C": step(keras.layers.BatchNormalization(), both),
        "cvzoo, full": step(ComplexBatchNormalization(), pair),
        "cvzoo, symmetric": step(ComplexBatchNormalization(affine="symmetric"), pair),
    }


def main():
    """All shapes."""
    for shape in SHAPES:
        title = f"Training step of batch normalization, parts of shape {shape}"
        show(title, steps(shape), bound="×1.6")
