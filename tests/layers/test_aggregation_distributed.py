"""Aggregations of frames on two replicas of a `tf.distribute` strategy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvzoo.layers import DBoF, FrameSampler
from tests.helpers import two_replicas
from tests.layers import video_oracle

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute needs TensorFlow"
)
FRAMES = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
# The first replica has six frames that count, the second one.
NUMBER = np.array([5, 1, 0, 1], np.int32)


def on_two_replicas(make, frames, number):
    """Outputs of a layer in training, of two videos on each replica; and the layer."""
    strategy = two_replicas()
    with strategy.scope():
        layer = make()
        layer.build([(None, None, frames.shape[-1]), (None,)])

    def halves(array):
        def half(context):
            at = 2 * context.replica_id_in_sync_group
            return tf.constant(array[at : at + 2])

        return strategy.experimental_distribute_values_from_function(half)

    @tf.function
    def step(frames, number):
        def replica(frames, number):
            return layer([frames, number], training=True)

        return strategy.run(replica, args=(frames, number))

    local = strategy.experimental_local_results(step(halves(frames), halves(number)))
    return np.concatenate(local), layer


def test_statistics_are_those_of_the_frames_that_count_on_all_replicas():
    def make():
        layer = DBoF(4)
        layer.norm.momentum = 0.0
        layer.norm.synchronized = True
        return layer

    found, layer = on_two_replicas(make, FRAMES, NUMBER)
    videos = [one[:n] for one, n in zip(FRAMES, NUMBER, strict=True)]
    together = np.concatenate(videos).astype(np.float64)
    expected = [video_oracle.dbof(layer, videos[at], together) for at in (0, 1, 3)]
    np.testing.assert_allclose(found[[0, 1, 3]], expected, atol=1e-5)
    np.testing.assert_array_equal(found[2], 0)
    projected = video_oracle.linear(layer.projected, together)
    mean, variance = layer.norm.non_trainable_weights
    np.testing.assert_allclose(mean, projected.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(variance, projected.var(axis=0), rtol=1e-4, atol=1e-6)


def test_replicas_draw_other_frames():
    frames = np.tile(np.arange(100.0, dtype=np.float32)[:, None], (4, 1, 1))
    number = np.full(4, 100, np.int32)
    found, _ = on_two_replicas(lambda: FrameSampler(2, 10), frames, number)
    assert not np.array_equal(found[:2], found[2:])
