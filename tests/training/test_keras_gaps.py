"""What Keras lacks on several replicas, and when it no longer does."""

import contextlib
from unittest import mock

import keras
import numpy as np
import pytest

from tests.helpers import two_replicas

if keras.backend.backend() != "tensorflow":
    pytest.skip("tf.distribute is TensorFlow's", allow_module_level=True)

import tensorflow as tf

from training import keras_gaps, sharing

NO_LONGER_NEEDED = (
    "Keras does this by itself now: take the part out of training/keras_gaps.py."
)


def trained(scope, kind):
    """Weights after ten steps whose gradients are clipped a lot, as one array."""
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(32, 6)).astype(np.float32)
    with scope:
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
        model.compile(kind(0.1, global_clipnorm=0.05), "mse")
    targets = inputs[:, :3] ** 2
    model.fit(inputs, targets, batch_size=16, epochs=5, shuffle=False, verbose=0)
    return np.concatenate([np.ravel(weight) for weight in model.get_weights()])


def test_clipping_on_two_replicas_is_that_of_one_device():
    one = trained(contextlib.nullcontext(), keras.optimizers.Adam)
    two = trained(two_replicas().scope(), keras_gaps.Adam)
    np.testing.assert_allclose(two, one, atol=1e-6)
    clipped_before = trained(two_replicas().scope(), keras.optimizers.Adam)
    assert np.abs(clipped_before - one).max() > 1e-4, NO_LONGER_NEEDED


def uneven_fit():
    strategy = two_replicas()
    with strategy.scope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    batches = tf.data.Dataset.from_tensors((tf.ones((5, 2)), tf.ones((5, 1))))
    shares = sharing.training_batches(batches, strategy, 5)
    model.fit(shares, steps_per_epoch=1, shuffle=False, verbose=0)


def test_keras_itself_still_fails_where_shares_are_uneven():
    with keras_gaps.filled():
        uneven_fit()
    try:
        uneven_fit()
    except Exception as error:
        assert "AddN" in str(error) or "Shapes" in str(error), error
        return
    pytest.fail(NO_LONGER_NEEDED)


def test_an_optimizer_comes_back_from_a_file(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras_gaps.Adam(0.1, global_clipnorm=0.5), "mse")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").optimizer
    assert type(loaded) is keras_gaps.Adam
    assert loaded.global_clipnorm == 0.5


def test_an_unknown_keras_is_one_plain_message():
    with (
        mock.patch.object(keras, "__version__", "9.0.0"),
        pytest.raises(keras_gaps.KerasVersionError, match="tested with Keras .*9.0.0"),
        keras_gaps.filled(),
    ):
        pass
    with (
        mock.patch.object(keras, "__version__", "9.0.0"),
        pytest.raises(keras_gaps.KerasVersionError, match="pip install keras=="),
    ):
        keras_gaps.Adam()
