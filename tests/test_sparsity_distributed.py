"""The sparsify stage under `tf.distribute`."""

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import sparsity
from tests.helpers import two_replicas

if keras.backend.backend() != "tensorflow":
    pytest.skip("tf.distribute is TensorFlow's", allow_module_level=True)

import tensorflow as tf


def sparse_model(synchronized=False):
    x = keras.Input((6,))
    y = keras.layers.Dense(8, "relu")(x)
    if synchronized:
        y = keras.layers.BatchNormalization(synchronized=True)(y)
    model = keras.Model(x, keras.layers.Dense(3)(y))
    return cvzoo.sparsify(model, cvzoo.VariationalDropout(0.1), n_train=16)


def test_the_divergence_counts_once_on_two_replicas():
    strategy = two_replicas()
    with strategy.scope():
        sparse = sparse_model()
        sparse.compile(keras.optimizers.SGD(0.0), "mse")
    inputs, targets = np.ones((16, 6), np.float32), np.zeros((16, 3), np.float32)
    warm_up = cvzoo.KLWarmUp(1)
    sparse.fit(inputs, targets, batch_size=16, verbose=0, callbacks=[warm_up])
    data_loss = np.mean(sparse.predict(inputs, verbose=0) ** 2)
    logs = sparse.fit(inputs, targets, batch_size=16, verbose=0).history
    expected = sum(
        float(layer.sparsifier.penalty(layer))
        for layer in sparsity.sparse_layers(sparse)
    )
    np.testing.assert_allclose(logs["kl"][0], expected, rtol=1e-5)
    np.testing.assert_allclose(logs["loss"][0], logs["nll"][0] + expected, rtol=1e-5)
    # But for noise of the initial σ² = e⁻¹⁰.
    np.testing.assert_allclose(logs["nll"][0], data_loss, rtol=0.05)


# Where replicas wait for each other within a step, the other one's layers come between.
@pytest.mark.parametrize("synchronized", [False, True])
def test_the_divergence_moves_weights_as_on_one_device(synchronized):
    def trained(scope):
        keras.utils.set_random_seed(0)
        with scope:
            sparse = sparse_model(synchronized)
            # No data loss: what moves the weights is the divergence alone.
            sparse.compile(keras.optimizers.SGD(0.1), lambda y, p: 0.0 * p[:, 0])
        sparse.fit(np.ones((16, 6)), np.zeros((16, 3)), batch_size=16, verbose=0)
        return [np.asarray(one.log_sigma2) for one in sparsity.sparse_layers(sparse)]

    two = two_replicas().scope()
    one = tf.distribute.OneDeviceStrategy("CPU:0").scope()
    for left, right in zip(trained(one), trained(two), strict=True):
        assert np.abs(left + 10).min() > 1e-6
        np.testing.assert_allclose(left, right, rtol=1e-6)


def test_noise_differs_between_replicas_and_steps():
    strategy = two_replicas()
    with strategy.scope():
        sparse = sparse_model()
    ones = tf.ones((1, 6))

    @tf.function
    def draw():
        return strategy.run(lambda: sparse(ones, training=True))

    steps = [strategy.experimental_local_results(draw()) for _ in range(3)]
    draws = {tuple(np.asarray(value)[0]) for step in steps for value in step}
    assert len(draws) == 6


def test_schedules_and_divergences_go_together_on_two_replicas():
    # An assignment in a replica lets the other one run: their layers are the same.
    strategy = two_replicas()
    x = keras.Input((6,))
    model = keras.Model(x, keras.layers.Dense(3)(keras.layers.Dense(8, "relu")(x)))
    both = cvzoo.VariationalDropout(0.1) + cvzoo.MagnitudePruning(0.5, 4, frequency=1)
    with strategy.scope():
        sparse = cvzoo.sparsify(model, both, n_train=16)
        sparse.compile(keras.optimizers.SGD(0.0), "mse")
    inputs, targets = np.ones((32, 6), np.float32), np.zeros((32, 3), np.float32)
    logs = sparse.fit(inputs, targets, batch_size=16, verbose=0).history
    layers = sparsity.sparse_layers(sparse)
    assert [int(np.asarray(layer.pruning_step)) for layer in layers] == [2, 2]
    expected = sum(float(layer.sparsifier.penalty(layer)) for layer in layers)
    np.testing.assert_allclose(logs["kl"][0], expected, rtol=1e-5)
    np.testing.assert_allclose(logs["loss"][0], logs["nll"][0] + expected, rtol=1e-5)
