"""Complex dropout under `tf.distribute`."""

import keras
import numpy as np
import pytest

from cvzoo.layers.dropout import ComplexDropout
from tests.helpers import two_replicas

if keras.backend.backend() != "tensorflow":
    pytest.skip("tf.distribute is TensorFlow's", allow_module_level=True)

import tensorflow as tf


def test_replicas_drop_different_numbers_at_each_step():
    strategy = two_replicas()
    with strategy.scope():
        layer = ComplexDropout(0.5, seed=0)
    ones = tf.ones((1, 64)), tf.ones((1, 64))

    @tf.function
    def draw():
        return strategy.run(lambda: layer(ones, training=True)[0])

    steps = [strategy.experimental_local_results(draw()) for _ in range(3)]
    draws = {tuple(np.asarray(value)[0]) for step in steps for value in step}
    assert len(draws) == 6
