"""Circulant and diagonal-circulant layers against explicit matrices."""

import itertools

import keras
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from cvzoo.layers import (
    Circulant,
    ComplexCirculant,
    ComplexDiagonalCirculant,
    DiagonalCirculant,
)
from tests.helpers import as_complex, check_layer, random_pair

REAL, COMPLEX = (
    (Circulant, DiagonalCirculant),
    (ComplexCirculant, ComplexDiagonalCirculant),
)


def numbers(parts):
    """The value of some variables, as numpy, complex where there are two."""
    parts = [np.asarray(part, np.float64) for part in parts]
    return parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1]


def expected(layer, x):
    """What the layer gives for rows of `x`, from its numbers and the paper's words."""
    c, b = numbers(layer.circulant_parts), numbers(layer.bias_parts)
    d = numbers(layer.diagonal_parts) if layer.has_diagonal else None
    first = layer.has_diagonal and layer.order == "diagonal_first"

    def square(c, d, x, units):
        matrix = scipy.linalg.circulant(c)
        matrix = matrix.T if layer.transpose else matrix
        if first:
            x = x * d
        missing = len(c) - x.shape[-1]
        zeros = np.zeros((len(x), missing))
        sides = (zeros, x) if layer.padding == "left" else (x, zeros)
        y = (np.concatenate(sides, axis=-1) @ matrix.T)[:, :units]
        return y * d if layer.has_diagonal and not first else y

    if layer.rectangular == "pad":
        return square(c, d, x, layer.units) + b
    d = [None] * len(c) if d is None else d
    blocks = [square(ci, di, x, len(ci)) for ci, di in zip(c, d, strict=True)]
    return np.concatenate(blocks, axis=-1)[:, : layer.units] + b


def random_inputs(kind, size, rows=3):
    real, imag = np.random.default_rng(0).normal(size=(2, rows, size))
    if kind in REAL:
        return real.astype("float32"), real
    return (real.astype("float32"), imag.astype("float32")), real + 1j * imag


def result(outputs):
    return as_complex(outputs) if isinstance(outputs, tuple) else np.asarray(outputs)


@settings(max_examples=30)
@given(
    kind=st.sampled_from(REAL + COMPLEX),
    inputs=st.integers(1, 9),
    units=st.integers(1, 9),
    rectangular=st.sampled_from(["pad", "blocks"]),
    padding=st.sampled_from(["left", "right"]),
    transpose=st.booleans(),
    order=st.sampled_from(["circulant_first", "diagonal_first"]),
)
def test_outputs_and_matrix_are_those_of_the_definition(
    kind, inputs, units, rectangular, padding, transpose, order
):
    arguments = {"rectangular": rectangular, "padding": padding, "transpose": transpose}
    if kind in (DiagonalCirculant, ComplexDiagonalCirculant):
        arguments["order"] = order
    layer = kind(units, **arguments)
    fed, x = random_inputs(kind, inputs)
    found = result(layer(fed))
    want = expected(layer, x)
    np.testing.assert_allclose(found, want, atol=1e-4)
    matrix = layer.to_dense()
    matrix = as_complex(matrix) if isinstance(matrix, tuple) else np.asarray(matrix)
    assert matrix.shape == (inputs, units)
    np.testing.assert_allclose(x @ matrix + numbers(layer.bias_parts), want, atol=1e-4)


@pytest.mark.parametrize(
    ("layer", "inputs", "count"),
    [
        # Facts of paper 1: max(n_in, n_out) + 2 n_out; frame level 2 n_in ⌈n_out/n_in⌉.
        (DiagonalCirculant(1152), 1152, 3 * 1152),
        (DiagonalCirculant(3862), 1152, 3862 + 2 * 3862),
        (DiagonalCirculant(10), 1024, 1044),
        (
            DiagonalCirculant(512, rectangular="blocks", use_bias=False),
            1024,
            2 * 1024,
        ),
        (
            DiagonalCirculant(8192, rectangular="blocks", use_bias=False),
            1024,
            2 * 1024 * 8,
        ),
        (Circulant(3000, rectangular="blocks", use_bias=False), 1024, 3 * 1024),
        (ComplexDiagonalCirculant(16), 16, 2 * 3 * 16),
    ],
)
def test_numbers_of_parameters_are_the_papers(layer, inputs, count):
    shape = (None, inputs)
    layer.build([shape, shape] if layer.field == "complex" else shape)
    assert layer.count_params() == count


@pytest.mark.parametrize("kind", REAL)
@pytest.mark.parametrize("rectangular", ["pad", "blocks"])
def test_sequences_of_unknown_length(kind, rectangular):
    x = keras.Input((None, 5))
    model = keras.Model(x, kind(7, rectangular=rectangular)(x))
    assert model.output_shape == (None, None, 7)
    values = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("float32")
    found = model.predict(values, verbose=0)
    want = expected(model.layers[-1], values.reshape(-1, 5)).reshape(2, 4, 7)
    np.testing.assert_allclose(found, want, atol=1e-4)


def test_the_paper_s_initial_values():
    layer = DiagonalCirculant(40_000)
    layer.build((None, 40_000))
    (c,), (d,) = layer.circulant_parts, layer.diagonal_parts
    np.testing.assert_allclose(np.var(np.asarray(c)), 2 / 40_000, rtol=0.05)
    assert set(np.unique(np.asarray(d))) == {-1.0, 1.0}
    assert abs(np.mean(np.asarray(d))) < 0.03
    np.testing.assert_allclose(np.std(np.asarray(layer.bias_parts[0])), 0.01, rtol=0.05)
    layer = ComplexDiagonalCirculant(40_000)
    layer.build([(None, 40_000)] * 2)
    c, d = numbers(layer.circulant_parts), numbers(layer.diagonal_parts)
    np.testing.assert_allclose(np.mean(np.abs(c) ** 2), 2 / 40_000, rtol=0.05)
    np.testing.assert_allclose(np.abs(d), 1, rtol=1e-6)
    assert abs(np.mean(d)) < 0.03


@pytest.mark.parametrize("kind", REAL + COMPLEX)
@pytest.mark.parametrize("rectangular", ["pad", "blocks"])
def test_the_shared_checks(kind, rectangular, tmp_path):
    pair = random_pair(4, 5, 7)
    arguments = {"transpose": True, "padding": "left", "rectangular": rectangular}
    check_layer(
        lambda: kind(9, activation="tanh", **arguments),
        pair if kind in COMPLEX else pair[0],
        tmp_path,
    )


@pytest.mark.parametrize("kind", REAL)
def test_weights_are_attributes_of_their_names(kind):
    layer = kind(3)
    layer.build((None, 5))
    for variable in layer.weights:
        assert getattr(layer, variable.name) is variable
    names = [variable.name for variable in layer.weights]
    expected = ["circulant", "diagonal", "bias"]
    assert names == [n for n in expected if n != "diagonal" or layer.has_diagonal]
    layer = kind(3, use_bias=False)
    layer.build((None, 5))
    assert layer.bias is None


def test_clones_of_complex_layers_begin_with_other_diagonals():
    layer = ComplexDiagonalCirculant(6)
    copies = [layer, ComplexDiagonalCirculant.from_config(layer.get_config())]
    for one in copies:
        one.build([(None, 6)] * 2)
    first, second = (numbers(one.diagonal_parts) for one in copies)
    assert not np.allclose(first, second)


def test_a_fixed_diagonal_is_not_trained():
    layer = DiagonalCirculant(5, trainable_diagonal=False)
    layer.build((None, 5))
    names = [variable.name for variable in layer.trainable_variables]
    assert names == ["circulant", "bias"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DiagonalCirculant(0), "`units` must be a positive integer"),
        (lambda: DiagonalCirculant(4, order="both"), "`order` must be one of"),
        (lambda: Circulant(4, padding="same"), "`padding` must be one of"),
        (lambda: Circulant(4, rectangular="no"), "`rectangular` must be one of"),
        (lambda: Circulant(4)(keras.Input((3, None))), "known last axis"),
        (lambda: ComplexCirculant(4)(keras.Input((3,))), "pair"),
    ],
)
def test_bad_input_is_refused_clearly(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.GradientTape")
def test_gradients_flow_to_all_weights():
    import tensorflow as tf

    for kind, rectangular in itertools.product(REAL + COMPLEX, ("pad", "blocks")):
        layer = kind(7, rectangular=rectangular)
        fed, _ = random_inputs(kind, 5)
        with tf.GradientTape() as tape:
            loss = sum(
                tf.reduce_sum(part**2) for part in keras.tree.flatten(layer(fed))
            )
        variables = [variable.value for variable in layer.trainable_variables]
        for gradient in tape.gradient(loss, variables):
            assert gradient is not None and np.abs(gradient).max() > 0


@pytest.mark.parametrize("kind", [DiagonalCirculant, ComplexDiagonalCirculant])
def test_a_regularizer_sees_all_weights(kind):
    layer = kind(3, regularizer=keras.regularizers.L2(2e-4))
    layer.build([(None, 5), (None, 5)] if kind.field == "complex" else (None, 5))
    # As in the code of paper 1: no factor of one half, the bias too.
    squares = sum(np.sum(np.square(weight)) for weight in layer.get_weights())
    assert float(sum(layer.losses)) == pytest.approx(2e-4 * squares, rel=1e-5)
    copy = kind.from_config(layer.get_config())
    assert copy.regularizer.l2 == pytest.approx(2e-4)
