"""A model whose output is complex, trained against complex targets."""

import keras
import numpy as np
import pytest

from cvzoo.layers import ComplexDense, FromComplex, ToComplex

UNITS, INPUTS, EXAMPLES = 3, 4, 256


def complex_normal(*shape, seed):
    generator = np.random.default_rng(seed)
    z = generator.normal(size=shape) + 1j * generator.normal(size=shape)
    return (z / np.sqrt(2)).astype(np.complex64)


WANTED = complex_normal(INPUTS, UNITS, seed=0)
BIAS = complex_normal(UNITS, seed=1)
SIGNALS = complex_normal(EXAMPLES, INPUTS, seed=2)
TARGETS = SIGNALS @ WANTED + BIAS


@pytest.fixture(scope="module")
def trained():
    """Input complex64; output and targets hold the two parts on a last axis."""
    inputs = keras.Input((INPUTS,), dtype="complex64")
    z = ComplexDense(UNITS, name="linear")(ToComplex()(inputs))
    model = keras.Model(inputs, FromComplex("trailing")(z))
    model.compile(keras.optimizers.Adam(0.05), "mse")
    targets = np.asarray(keras.ops.view_as_real(TARGETS))
    model.fit(SIGNALS, targets, batch_size=64, epochs=60, verbose=0)
    return model


def outputs(model):
    found = model.predict(SIGNALS, verbose=0)
    return np.asarray(keras.ops.view_as_complex(found))


def test_the_kernel_of_a_known_complex_map_is_found(trained):
    layer = trained.get_layer("linear")
    kernel = np.asarray(layer.kernel_real) + 1j * np.asarray(layer.kernel_imag)
    bias = np.asarray(layer.bias_real) + 1j * np.asarray(layer.bias_imag)
    # Both parts: a model blind to the imaginary one would miss by about 1.
    np.testing.assert_allclose(kernel, WANTED, atol=1e-2)
    np.testing.assert_allclose(bias, BIAS, atol=1e-2)


def test_outputs_are_numpys_complex_product(trained):
    assert np.abs(outputs(trained) - TARGETS).max() < 1e-2


def test_a_reloaded_model_gives_the_same_complex_outputs(trained, tmp_path):
    trained.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(outputs(loaded), outputs(trained), atol=1e-6)
