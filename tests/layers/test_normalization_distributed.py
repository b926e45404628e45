"""Complex batch normalization on two replicas of a `tf.distribute` strategy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvzoo.layers import ComplexBatchNormalization
from tests.helpers import random_pair, two_replicas

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute needs TensorFlow"
)


def run_on_two_replicas(synchronized, batches):
    """Outputs, input gradients and layer after one training step.

    Args:
        synchronized: That of the layer.
        batches: One pair for each replica.
    """
    strategy = two_replicas()
    with strategy.scope():
        layer = ComplexBatchNormalization(momentum=0.0, synchronized=synchronized)
        layer.build([part.shape for part in batches[0]])

    def on_each(position):
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(
                batches[context.replica_id_in_sync_group][position]
            )
        )

    @tf.function
    def step(real, imag):
        def replica(real, imag):
            with tf.GradientTape() as tape:
                tape.watch([real, imag])
                outputs = layer((real, imag), training=True)
                total = tf.reduce_sum(outputs[0] ** 3 + outputs[0] * outputs[1])
            return (*outputs, *tape.gradient(total, [real, imag]))

        return strategy.run(replica, args=(real, imag))

    results = step(on_each(0), on_each(1))
    local = [strategy.experimental_local_results(one) for one in results]
    return [np.concatenate(values) for values in local], layer


def run_on_one(batch):
    layer = ComplexBatchNormalization(momentum=0.0)
    real, imag = (tf.constant(part) for part in batch)
    with tf.GradientTape() as tape:
        tape.watch([real, imag])
        outputs = layer((real, imag), training=True)
        total = tf.reduce_sum(outputs[0] ** 3 + outputs[0] * outputs[1])
    return [np.asarray(x) for x in (*outputs, *tape.gradient(total, [real, imag]))], (
        layer
    )


def batches_of(*sizes):
    """Pairs with means far apart, so that replicas differ."""
    return [
        tuple(part + 10 * number for part in random_pair(size, 3, 2, seed=number))
        for number, size in enumerate(sizes)
    ]


def moving(layer):
    return [np.asarray(variable) for variable in layer.non_trainable_variables]


def test_synchronized_replicas_do_what_one_does_with_the_whole_batch():
    batches = batches_of(6, 2)
    whole = tuple(np.concatenate(parts) for parts in zip(*batches, strict=True))
    found, layer = run_on_two_replicas(True, batches)
    expected, single = run_on_one(whole)
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, right, atol=2e-4)
    for left, right in zip(moving(layer), moving(single), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-4)


def test_other_replicas_normalize_by_themselves_and_average_moving_statistics():
    batches = batches_of(4, 4)
    found, layer = run_on_two_replicas(False, batches)
    each = [run_on_one(batch) for batch in batches]
    for position, left in enumerate(found):
        right = np.concatenate([results[position] for results, _ in each])
        np.testing.assert_allclose(left, right, atol=1e-4)
    averages = [
        np.mean(values, axis=0)
        for values in zip(*(moving(single) for _, single in each), strict=True)
    ]
    for left, right in zip(moving(layer), averages, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5)


def test_fit_trains_on_two_replicas():
    with two_replicas().scope():
        real, imag = keras.Input((4,)), keras.Input((4,))
        z = ComplexBatchNormalization(synchronized=True)((real, imag))
        model = keras.Model([real, imag], keras.layers.Add()(list(z)))
        model.compile("sgd", "mse")
    inputs = random_pair(8, 4)
    history = model.fit(list(inputs), inputs[0], batch_size=4, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_without_a_strategy_synchronized_is_no_different():
    z = tuple(tf.constant(part) for part in random_pair(5, 3))
    left = ComplexBatchNormalization(synchronized=True)(z, training=True)
    right = ComplexBatchNormalization()(z, training=True)
    np.testing.assert_allclose(left, right, atol=1e-6)
