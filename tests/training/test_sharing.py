"""Each replica's share of every batch."""

import keras
import numpy as np
import pytest

from tests.helpers import two_replicas

if keras.backend.backend() != "tensorflow":
    pytest.skip("tf.distribute is TensorFlow's", allow_module_level=True)

import tensorflow as tf

from training import keras_gaps, sharing
from training.cluster import DistributionError


def rows_of(shares, steps):
    """All replicas' parts of each step, as lists of arrays."""
    strategy = two_replicas()
    for _, step in zip(range(steps), shares, strict=False):
        yield [
            [np.asarray(one) for one in strategy.experimental_local_results(part)]
            for part in step
        ]


def test_shares_make_up_the_batches_of_one_device():
    x = np.arange(12, dtype=np.float32)
    batches = tf.data.Dataset.from_tensor_slices((x, 10 * x)).batch(5)
    shares = sharing.training_batches(batches, two_replicas(), 5)
    steps = list(rows_of(shares, 3))
    for start, (inputs, labels, weights) in zip((0, 5, 10), steps, strict=True):
        batch = x[start : start + 5]
        np.testing.assert_array_equal(np.concatenate(inputs), batch)
        np.testing.assert_array_equal(np.concatenate(labels), 10 * batch)
        # As Keras computes it: the mean over replicas of means over shares.
        means = [np.mean(w * v) for w, v in zip(weights, inputs, strict=True)]
        np.testing.assert_allclose(np.mean(means), batch.mean(), rtol=1e-6)


def test_evaluation_counts_each_example_once():
    x = np.arange(11, dtype=np.float32)
    batches = tf.data.Dataset.from_tensor_slices((x, x)).batch(5)
    shares, steps = sharing.evaluation_batches(batches, two_replicas())
    parts = [part for step in rows_of(shares, steps) for part in step[0]]
    assert steps == 2
    assert min(len(part) for part in parts) > 0
    np.testing.assert_array_equal(np.concatenate(parts), x)


def test_metrics_are_those_of_all_examples():
    strategy = two_replicas()
    generator = np.random.default_rng(0)
    x = generator.normal(size=(41, 3)).astype(np.float32)
    y = generator.integers(0, 3, 41)
    with strategy.scope():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
        model.compile(
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(10)
    shares, steps = sharing.evaluation_batches(batches, strategy)
    with keras_gaps.filled():
        found = model.evaluate(shares, steps=steps, return_dict=True, verbose=0)
    kernel, bias = model.get_weights()
    logits = np.float64(x @ kernel + bias)
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(41), y]
    np.testing.assert_allclose(found["loss"], losses.mean(), rtol=1e-6)
    np.testing.assert_allclose(
        found["accuracy"], (logits.argmax(1) == y).mean(), rtol=1e-6
    )


def test_a_batch_must_hold_an_example_for_each_replica():
    batches = tf.data.Dataset.from_tensors((tf.ones((1, 2)), tf.ones((1, 1))))
    with pytest.raises(DistributionError, match="batch size 1, 2 replicas"):
        sharing.training_batches(batches, two_replicas(), 1)
    with pytest.raises(DistributionError, match="known length"):
        sharing.evaluation_batches(batches.filter(lambda *_: True), two_replicas())
