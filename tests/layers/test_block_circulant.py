"""Layers of circulant blocks against explicit matrices."""

import keras
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from cvzoo.layers import BlockCirculant


@settings(max_examples=25)
@given(inputs=st.integers(1, 9), units=st.integers(1, 9), block_size=st.integers(1, 10))
def test_outputs_and_matrix_are_those_of_the_blocks(inputs, units, block_size):
    layer = BlockCirculant(units, block_size, bias_initializer="random_normal")
    x = np.random.default_rng(0).normal(size=(2, 3, inputs)).astype("float32")
    found = layer(x)
    blocks = np.asarray(layer.circulant)
    matrix = np.block([[scipy.linalg.circulant(c) for c in row] for row in blocks])
    matrix = matrix[:units, :inputs]
    expected = x @ matrix.T + np.asarray(layer.bias)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(layer.to_dense(), matrix.T, atol=1e-6)
    padded = -(-inputs // block_size) * -(-units // block_size) * block_size
    assert layer.circulant.shape[0] * layer.circulant.shape[1] * block_size == padded


def test_it_is_saved_and_runs_in_half_precision(tmp_path):
    x = keras.Input((None, 6))
    layer = BlockCirculant(5, 4, activation="relu", dtype="mixed_float16")
    model = keras.Model(x, layer(x))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    values = np.random.default_rng(0).normal(size=(2, 3, 6)).astype("float32")
    assert again.output_shape == (None, None, 5)
    np.testing.assert_array_equal(again(values), model(values))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BlockCirculant(4, 0), "`block_size` must be a positive integer"),
        (lambda: BlockCirculant(4, 2)(keras.Input((3, None))), "known last axis"),
    ],
)
def test_bad_input_is_refused_clearly(make, message):
    with pytest.raises(ValueError, match=message):
        make()
