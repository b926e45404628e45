"""The warm-up of the divergence in `fit`."""

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import sparsity


def model(sparsifier=None):
    inner_input = keras.Input((6,))
    inner = keras.Model(inner_input, keras.layers.Dense(5)(inner_input))
    x = keras.Input((6,))
    plain = keras.Model(x, keras.layers.Dense(3)(inner(x)))
    sparsifier = sparsifier or cvzoo.VariationalDropout(0.1)
    sparse = cvzoo.sparsify(plain, sparsifier, n_train=12)
    sparse.compile(keras.optimizers.SGD(0.0), "mse")
    return sparse


def scales(model):
    return [float(one.penalty_scale) for one in sparsity.sparse_layers(model)]


class Recorder(keras.callbacks.Callback):
    """Comes after the warm-up, so sees what a step will use."""

    def __init__(self):
        super().__init__()
        self.seen, self.between = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.seen.append(scales(self.model))

    def on_epoch_end(self, epoch, logs=None):
        self.between.append(scales(self.model))


def fit(model, *callbacks, epochs=4):
    inputs, targets = np.ones((12, 6), np.float32), np.ones((12, 3), np.float32)
    return model.fit(
        inputs,
        targets,
        batch_size=4,
        epochs=epochs,
        verbose=0,
        callbacks=list(callbacks),
    ).history


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="epoch by epoch")
def test_a_linear_warm_up_rises_step_by_step_in_all_layers():
    sparse, recorder = model(), Recorder()
    fit(sparse, cvzoo.KLWarmUp(2), recorder)
    expected = np.minimum(np.arange(12) / 6, 1) / 12
    np.testing.assert_allclose(recorder.seen, np.stack([expected] * 2, 1), rtol=1e-6)
    # Checkpoints hold the full value.
    np.testing.assert_allclose(recorder.between, 1 / 12, rtol=1e-6)


def test_a_constant_warm_up_trains_without_divergence_first():
    sparse = model()
    kl = fit(sparse, cvzoo.KLWarmUp(2, shape="constant"))["kl"]
    assert kl[0] == kl[1] == 0
    full = sum(
        float(layer.sparsifier.penalty(layer))
        for layer in sparsity.sparse_layers(sparse)
    )
    np.testing.assert_allclose(kl[2:], full, rtol=1e-5)
    np.testing.assert_allclose(scales(sparse), 1 / 12, rtol=1e-6)


def test_the_full_value_is_back_when_training_ends_in_the_warm_up():
    sparse = model()
    first = fit(sparse, cvzoo.KLWarmUp(10), epochs=1)["kl"][0]
    np.testing.assert_allclose(scales(sparse), 1 / 12, rtol=1e-6)
    assert fit(sparse, epochs=1)["kl"][0] > 2 * first


def test_the_full_value_is_back_after_an_exception():
    sparse = model()
    fit(sparse, epochs=1)

    def broken(*arguments):
        raise KeyboardInterrupt

    step, sparse.train_function = sparse.train_function, broken
    with pytest.raises(KeyboardInterrupt):
        fit(sparse, cvzoo.KLWarmUp(2))
    assert sparse.train_function is broken
    sparse.train_function = step
    np.testing.assert_allclose(scales(sparse), 1 / 12, rtol=1e-6)


def test_the_step_is_not_traced_again():
    sparse, traces = model(), []

    def loss(targets, outputs):
        traces.append(1)
        return keras.ops.mean(outputs - targets)

    sparse.compile("sgd", loss)
    fit(sparse, epochs=1)
    once = len(traces)
    fit(sparse, cvzoo.KLWarmUp(2))
    assert len(traces) == once


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"epochs": 2, "shape": "cosine"}])
def test_impossible_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        cvzoo.KLWarmUp(**wrong)


def test_a_model_without_divergences_is_refused():
    pruning = model(cvzoo.MagnitudePruning(0.5, end_step=3))
    with pytest.raises(ValueError, match="layers have a divergence"):
        fit(pruning, cvzoo.KLWarmUp(2))
