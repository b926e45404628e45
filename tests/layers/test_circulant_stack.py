"""Stacks of diagonal-circulant blocks, and paper 1's statements on their outputs."""

import keras
import numpy as np
import pytest
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers import DiagonalCirculant, DiagonalCirculantStack, RandomSigns
from tests.helpers import check_layer


@pytest.mark.parametrize("every", [1, 2, 3])
def test_every_kth_block_is_followed_by_a_leaky_relu(every):
    stack = DiagonalCirculantStack(5, activation_every=every, negative_slope=0.25)
    x = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
    found = stack(x)
    y = x.astype(np.float64)
    for number, block in enumerate(stack.blocks, 1):
        y = y @ np.asarray(block.to_dense(), np.float64) + np.asarray(block.bias)
        if number % every == 0:
            y = np.where(y < 0, 0.25 * y, y)
    np.testing.assert_allclose(found, y, atol=1e-4)
    assert stack.count_params() == 5 * 3 * 6


def test_blocks_begin_with_numbers_of_their_own():
    stack = DiagonalCirculantStack(
        2, circulant_initializer="random_normal", diagonal_initializer=RandomSigns()
    )
    stack.build((None, 64))
    first, second = ([np.asarray(one) for one in b.weights] for b in stack.blocks)
    for left, right in zip(first, second, strict=True):
        assert not np.array_equal(left, right)


def test_the_shared_checks(tmp_path):
    inputs = np.random.default_rng(0).normal(size=(4, 5, 7)).astype("float32")
    check_layer(lambda: DiagonalCirculantStack(3, activation_every=2), inputs, tmp_path)


def test_it_is_saved_and_trained_in_half_precision(tmp_path):
    x = keras.Input((None, 6))
    stack = DiagonalCirculantStack(3, order="diagonal_first", dtype="mixed_float16")
    model = keras.Model(x, stack(x))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    values = np.random.default_rng(0).normal(size=(2, 3, 6)).astype("float32")
    np.testing.assert_array_equal(again(values), model(values))
    again.compile("adam", "mse")
    before = [np.asarray(one) for one in again.trainable_weights]
    again.fit(values, values, verbose=0)
    for old, new in zip(before, again.trainable_weights, strict=True):
        assert not np.array_equal(old, new)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DiagonalCirculantStack(0), "`depth` must be a positive integer"),
        (lambda: DiagonalCirculantStack(2, activation_every=0), "`activation_every`"),
        (lambda: DiagonalCirculantStack(2, negative_slope=-1), "`negative_slope`"),
        (lambda: DiagonalCirculantStack(2, negative_slope=None), "at least 0.*None"),
        (lambda: DiagonalCirculantStack(2, negative_slope="relu"), "at least 0.*'rel"),
        (lambda: DiagonalCirculantStack(2, order="both"), "`order` must be one of"),
        (lambda: DiagonalCirculantStack(2)(keras.Input((3, None))), "known last axis"),
    ],
)
def test_bad_input_is_refused_clearly(make, message):
    with pytest.raises(ValueError, match=message):
        make()


SIZE, DRAWS = 32, 20_000


def draw_layer(x, order="circulant_first"):
    """A layer of its own, with the layer's initial values, for each row of x."""
    layer = DiagonalCirculant(SIZE, order=order)
    stddev = (2 / SIZE) ** 0.5  # test_circulant has seen that it is the layer's
    circulant = keras.initializers.RandomNormal(stddev=stddev)(x.shape)
    diagonal = layer.diagonal_initializer(x.shape)
    if order == "diagonal_first":
        y = ops.circulant_product(x * diagonal, circulant)
    else:
        y = ops.circulant_product(x, circulant) * diagonal
    return kops.convert_to_numpy(y).astype(np.float64)


def check_identity(covariance, rtol):
    """Up to what so many draws tell."""
    np.testing.assert_allclose(np.diag(covariance), 1, rtol=4 * rtol)
    np.testing.assert_allclose(np.trace(covariance) / SIZE, 1, rtol=rtol)
    off = covariance[~np.eye(SIZE, dtype=bool)]
    assert np.sqrt(np.mean(off**2)) < 3 / DRAWS**0.5
    assert np.abs(np.mean(off)) < 0.3 / DRAWS**0.5


@pytest.mark.parametrize("order", ["circulant_first", "diagonal_first"])
def test_lemma_2_outputs_are_uncorrelated_in_both_orders(order):
    x = np.random.default_rng(0).normal(size=SIZE).astype("float32")
    y = draw_layer(np.tile(x, (DRAWS, 1)), order)
    check_identity(y.T @ y / DRAWS / (2 / SIZE * np.sum(x**2)), rtol=0.02)
    assert abs(np.mean(y)) < 0.01


@pytest.mark.parametrize("order", ["circulant_first", "diagonal_first"])
def test_proposition_4_the_covariance_is_the_same_at_every_depth(order):
    """By sequential Monte Carlo.

    Few networks have outputs of a large norm at depth, which a plain mean over
    networks misses. So after each layer, rows are drawn again by their squared norm,
    which then is a factor of all: `E f(y) = Π mean |yₗ|² · E f(y / |y|)` of such rows.
    """
    generator = np.random.default_rng(0)
    rows = np.tile(generator.normal(size=SIZE), (DRAWS, 1))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    scale = 1.0
    for depth in range(1, 41):
        y = draw_layer(
            (rows if depth == 1 else np.maximum(rows, 0)).astype("float32"), order
        )
        squared = np.sum(y**2, axis=1)
        if depth in (1, 2, 3, 10, 20, 40):
            check_identity(scale * y.T @ y / DRAWS / (2 / SIZE), rtol=0.1)
        scale *= squared.mean()
        chosen = generator.choice(DRAWS, DRAWS, p=squared / squared.sum())
        rows = y[chosen] / squared[chosen, None] ** 0.5
