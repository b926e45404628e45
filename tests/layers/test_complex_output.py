"""A model with complex output, trained against complex targets."""

import keras
import numpy as np

from cvzoo.layers import ComplexDense, FromComplex, ToComplex
from tests.helpers import as_complex, random_pair


def test_a_complex_linear_map_is_learned_from_complex_targets(tmp_path):
    kernel = as_complex(random_pair(4, 3))
    bias = as_complex(random_pair(3, seed=1))
    signals = as_complex(random_pair(512, 4, seed=2)).astype(np.complex64)
    targets = signals @ kernel + bias
    # Losses drop imaginary parts silently: the last axis has both.
    targets = np.stack([targets.real, targets.imag], axis=-1).astype(np.float32)

    inputs = keras.Input((4,), dtype="complex64")
    dense = ComplexDense(3)
    outputs = FromComplex("trailing")(dense(ToComplex()(inputs)))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.03), "mse")
    model.fit(signals, targets, batch_size=64, epochs=60, verbose=0)
    assert model.evaluate(signals, targets, verbose=0) < 1e-4
    found = as_complex((dense.kernel_real, dense.kernel_imag))
    np.testing.assert_allclose(found, kernel, atol=1e-2)
    found = as_complex((dense.bias_real, dense.bias_imag))
    np.testing.assert_allclose(found, bias, atol=1e-2)

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(signals, verbose=0), model.predict(signals, verbose=0), atol=1e-6
    )
