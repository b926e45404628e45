"""A training step of ComplexBatchNormalization against Keras' over twice the channels.

A step is forward and gradients to inputs and weights, without an optimizer.
"""

import keras
import tensorflow as tf

from cvzoo.layers import ComplexBatchNormalization
from tests.benchmarks.timing import layer_step, show

SHAPES = ((64, 32, 32, 64), (64, 8, 8, 256))


def steps(shape):
    """Name → step, for parts of a shape: Keras' batch normalization, and ours."""
    *leading, channels = shape
    both = tf.random.normal((*leading, 2 * channels))
    pair = tf.random.normal(shape), tf.random.normal(shape)
    return {
        "keras BatchNormalization, 2C": layer_step(
            keras.layers.BatchNormalization(), both
        ),
        "cvzoo, full": layer_step(ComplexBatchNormalization(), pair),
        "cvzoo, symmetric": layer_step(
            ComplexBatchNormalization(affine="symmetric"), pair
        ),
    }


def main():
    """All shapes."""
    for shape in SHAPES:
        title = f"Training step of batch normalization, parts of shape {shape}"
        show(title, steps(shape), bound="×1.6")
