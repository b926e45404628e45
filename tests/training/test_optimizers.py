"""Adam in one pass, against the formula in numpy."""

import keras
import numpy as np
import pytest

from training.optimizers import FusedAdam


@pytest.mark.parametrize("clip", [None, 0.5])
def test_steps_are_those_of_the_formula(clip):
    # Kingma and Ba, 2015, the efficient form at the end of section 2.
    rng = np.random.default_rng(0)
    inputs, start = rng.normal(size=(8, 3)), rng.normal(size=(3, 2))
    layer = keras.layers.Dense(2, use_bias=False)
    model = keras.Sequential([keras.Input((3,)), layer])
    layer.kernel.assign(start)
    model.compile(FusedAdam(0.1, epsilon=1e-8, global_clipnorm=clip), "mse")
    targets = rng.normal(size=(8, 2))
    model.fit(inputs, targets, batch_size=8, epochs=5, verbose=0)
    kernel, m, v = start.copy(), 0, 0
    for step in range(1, 6):
        gradient = 2 * inputs.T @ (inputs @ kernel - targets) / targets.size
        if clip is not None:
            gradient *= clip / max(np.linalg.norm(gradient), clip)
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        rate = 0.1 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        kernel -= rate * m / (np.sqrt(v) + 1e-8)
    np.testing.assert_allclose(layer.kernel, kernel, atol=2e-5)


def test_it_is_kept_and_loaded_with_its_moments(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(FusedAdam(0.1), "mse")
    inputs, targets = np.ones((4, 3)), np.zeros((4, 2))
    model.fit(inputs, targets, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is FusedAdam
    for one in (model, loaded):
        one.fit(inputs, targets, verbose=0)
    for left, right in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_amsgrad_is_refused():
    with pytest.raises(ValueError, match="has no `amsgrad`"):
        FusedAdam(amsgrad=True)


@pytest.mark.parametrize(
    "arguments",
    [{"use_ema": True}, {"gradient_accumulation_steps": 2}, {"weight_decay": 0.1}],
    ids=lambda arguments: next(iter(arguments)),
)
def test_what_else_keras_does_with_steps_is_done(arguments):
    places = np.arange(24).reshape(8, 3) % 5
    kernel = np.random.default_rng(0).normal(size=(9, 4))

    def trained(first, inputs, adam):
        x = keras.Input(inputs.shape[1:], dtype=inputs.dtype.name)
        y = keras.layers.Dense(
            2, kernel_initializer=keras.initializers.GlorotUniform(0)
        )(keras.layers.Flatten()(first(x)))
        model = keras.Model(x, y)
        first.set_weights([kernel])
        model.compile(adam(0.01, **arguments), "mse")
        targets = np.ones((8, 2))
        model.fit(inputs, targets, batch_size=4, epochs=3, shuffle=False, verbose=0)
        return model.get_weights()

    # A table, whose gradient names rows, some twice; and the same as a product.
    table = keras.layers.Embedding(9, 4)
    product = keras.layers.Dense(4, use_bias=False)
    pairs = zip(
        trained(table, places, FusedAdam),
        trained(product, np.eye(9, dtype=np.float32)[places], keras.optimizers.Adam),
        strict=True,
    )
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, atol=1e-5)
