"""Noise under `tf.distribute`: replicas draw different numbers."""

import keras
import numpy as np
import pytest

from cvzoo import ops
from tests.helpers import two_replicas

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute is TensorFlow's"
)


def test_replicas_draw_different_numbers_and_do_not_repeat_each_other():
    import tensorflow as tf

    strategy = two_replicas()
    with strategy.scope():
        seeds = keras.random.SeedGenerator(0)

    @tf.function
    def draw():
        return strategy.run(lambda: ops.replica_normal((4,), seeds, "float32"))

    steps = [strategy.experimental_local_results(draw()) for _ in range(3)]
    draws = [tuple(np.asarray(value)) for step in steps for value in step]
    assert len(set(draws)) == len(draws) == 6
