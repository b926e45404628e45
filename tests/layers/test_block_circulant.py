"""Layers of circulant blocks against explicit matrices."""

import keras
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from cvzoo.layers import BlockCirculant, ComplexBlockCirculant, ComplexNormal
from tests.helpers import as_complex, random_pair


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


@settings(max_examples=25)
@given(inputs=st.integers(1, 9), units=st.integers(1, 9), block_size=st.integers(1, 10))
def test_complex_outputs_and_matrix_are_those_of_the_blocks(inputs, units, block_size):
    layer = ComplexBlockCirculant(units, block_size, bias_initializer=ComplexNormal(1))
    pair = random_pair(2, 3, inputs)
    found = as_complex(layer(pair))
    blocks = as_complex((layer.circulant_real, layer.circulant_imag))
    matrix = np.block([[scipy.linalg.circulant(c) for c in row] for row in blocks])
    matrix = matrix[:units, :inputs]
    bias = as_complex((layer.bias_real, layer.bias_imag))
    expected = as_complex(pair) @ matrix.T + bias
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(as_complex(layer.to_dense()), matrix.T, atol=1e-5)


def test_complex_blocks_begin_with_the_variance_of_real_ones():
    keras.utils.set_random_seed(0)
    pair = random_pair(1, 395)
    for kind, inputs in ((BlockCirculant, pair[0]), (ComplexBlockCirculant, pair)):
        layer = kind(300, 10)
        layer(inputs)
        parts = [np.asarray(part) for part in layer.parts("circulant")]
        second_moment = sum(np.mean(part**2) for part in parts)
        np.testing.assert_allclose(second_moment, 2 / 400, rtol=0.05)
        assert not any(np.any(part) for part in map(np.asarray, layer.bias_parts))


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
