"""Products with matrices of low displacement rank, against those matrices in NumPy."""

import keras
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops as kops

from cvzoo import ops
from cvzoo.ops import krylov
from tests.helpers import gradients

KINDS = ["shift", "shift_corner", "subdiagonal", "subdiagonal_corner", "tridiagonal"]


def normal(seed, *shape, scale=1):
    values = scale * np.random.default_rng(seed).normal(size=shape)
    return values.astype("float32")


def arguments(kind, size, rank=2, rows=3):
    """Inputs, both sets of vectors, and both operators, if they are learned."""
    shapes = [(rows, size), (rank, size), (rank, size)]
    found = [normal(seed, *shape) for seed, shape in enumerate(shapes)]
    if kind.startswith("subdiagonal"):
        found += [normal(3, size, scale=0.7), normal(4, size, scale=0.7)]
    elif kind == "tridiagonal":
        found += [normal(3, 3, size, scale=0.4), normal(4, 3, size, scale=0.4)]
    return found


def product(kind, *tensors):
    name, _, corner = kind.partition("_")
    if name == "shift":
        return ops.toeplitz_like_product(*tensors, corner=bool(corner))
    if name == "subdiagonal":
        return ops.subdiagonal_product(*tensors, corner=bool(corner))
    return ops.tridiagonal_product(*tensors)


def written_out(kind, inputs, lefts, rights, *operators, take=np):
    """The same with explicit matrices, of NumPy or another library with its names."""
    size = inputs.shape[-1]
    below, here, above = np.eye(size, k=-1), np.eye(size), np.eye(size, k=1)
    upper, lower = np.eye(size, k=size - 1), np.eye(size, k=1 - size)
    if kind.startswith("shift"):
        corner = kind == "shift_corner"
        matrices = [take.asarray(below + sign * corner * upper) for sign in (1, -1)]
    elif kind.startswith("subdiagonal"):
        places = below + upper if kind == "subdiagonal_corner" and size > 1 else below
        matrices = [take.asarray(places) * a[:, None] for a in operators]
    else:
        before, after = below + upper, above + lower
        if size == 1:
            before = after = here
        matrices = [
            take.asarray(before) * a[0][:, None]
            + take.asarray(here) * a[1][:, None]
            + take.asarray(after) * a[2][:, None]
            for a in operators
        ]
    total = 0
    for g, h in zip(lefts, rights, strict=True):
        columns = [[g[:, None]], [h[:, None]]]
        for _ in range(size - 1):
            for matrix, side in zip(matrices, columns, strict=True):
                side.append(matrix @ side[-1])
        left, right = (take.concatenate(side, axis=1) for side in columns)
        total = total + left @ take.transpose(right)
    return inputs @ take.transpose(total)


@settings(max_examples=15)
@given(kind=st.sampled_from(KINDS), size=st.integers(1, 14), rank=st.integers(1, 3))
def test_products_are_those_of_the_written_out_matrices(kind, size, rank):
    tensors = arguments(kind, size, rank)
    expected = written_out(kind, *(one.astype("float64") for one in tensors))
    found = product(kind, *map(kops.convert_to_tensor, tensors))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("size", [97, 128, 200])
@pytest.mark.parametrize("kind", KINDS[2:4])
def test_sub_diagonals_of_many_blocks(kind, size):
    """A prime, a power of two, and neither; some entries are 0."""
    assert size > 3 * krylov.BLOCK
    tensors = arguments(kind, size)
    for operator in tensors[3:]:
        operator[:] = np.sign(operator) * np.exp(operator / 10)
        operator[[5, size - 1]] = 0
    expected = written_out(kind, *(one.astype("float64") for one in tensors))
    found = product(kind, *map(kops.convert_to_tensor, tensors))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_without_corners_shifts_give_products_of_triangular_toeplitz_matrices():
    x, left, right = arguments("shift", 9)
    lower = [scipy.linalg.toeplitz(g, 0 * g) for g in left]
    upper = [scipy.linalg.toeplitz(h, 0 * h).T for h in right]
    assert (np.tril(upper[0], -1) == 0).all() and (upper[0][0] == right[0]).all()
    expected = sum(a @ b for a, b in zip(lower, upper, strict=True))
    found = ops.toeplitz_like_product(kops.convert_to_tensor(x), left, right, False)
    np.testing.assert_allclose(found, x @ expected.T, atol=1e-4)


def test_with_corners_shifts_give_products_of_circulant_and_skew_circulant_ones():
    x, left, right = arguments("shift", 9)
    signs = np.where(np.arange(9)[:, None] < np.arange(9), -1, 1)
    expected = sum(
        scipy.linalg.circulant(g) @ (signs * scipy.linalg.circulant(h)).T
        for g, h in zip(left, right, strict=True)
    )
    found = ops.toeplitz_like_product(kops.convert_to_tensor(x), left, right, True)
    np.testing.assert_allclose(found, x @ expected.T, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_of_any_rank_and_half_precision(kind):
    x, *others = arguments(kind, 6, rows=8)
    expected = written_out(kind, *(one.astype("float64") for one in (x, *others)))
    half = kops.cast(np.reshape(x, (2, 4, 6)), "float16")
    found = product(kind, half, *map(kops.convert_to_tensor, others))
    assert keras.backend.standardize_dtype(found.dtype) == "float16"
    found = np.reshape(np.asarray(found, "float64"), (8, 6))
    np.testing.assert_allclose(found, expected, atol=0.01 * np.abs(expected).max())


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="float64")
@pytest.mark.parametrize("size", [1, 6, 7, 70])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_written_out_matrices(kind, size):
    import tensorflow as tf
    import tensorflow.experimental.numpy as tnp

    tensors = [tf.constant(one, tf.float64) for one in arguments(kind, size)]
    upstream = tf.constant(normal(9, 3, size), tf.float64)
    found, expected = [], []
    for function, results in (
        (lambda *tensors: product(kind, *tensors), found),
        (lambda *tensors: written_out(kind, *tensors, take=tnp), expected),
    ):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs = tf.convert_to_tensor(function(*tensors))
        results += tape.gradient(
            outputs, tensors, upstream, unconnected_gradients="zero"
        )
    for one, other in zip(found, expected, strict=True):
        scale = max(1, np.abs(other).max())
        np.testing.assert_allclose(one, other, atol=1e-9 * scale)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_slopes(kind):
    """On any backend: along a random direction, against a difference in float64."""
    tensors = arguments(kind, 5)
    upstream = normal(9, 3, 5)

    def total(*tensors):
        return kops.sum(product(kind, *tensors) * upstream)

    def exact(step):
        moved = [
            one.astype("float64") + step * normal(20 + place, *one.shape)
            for place, one in enumerate(tensors)
        ]
        return np.sum(written_out(kind, *moved) * upstream)

    found = sum(
        np.sum(gradient * normal(20 + place, *gradient.shape))
        for place, gradient in enumerate(gradients(total, *tensors))
    )
    expected = (exact(1e-5) - exact(-1e-5)) / 2e-5
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.GradientTape")
@pytest.mark.parametrize("kind", ["shift_corner", "subdiagonal_corner", "tridiagonal"])
def test_second_derivatives_are_right_or_not_a_number(kind):
    import tensorflow as tf
    import tensorflow.experimental.numpy as tnp

    tensors = [tf.constant(one, tf.float64) for one in arguments(kind, 7)]
    results = []
    for function in (product, lambda *args: written_out(*args, take=tnp)):
        with tf.GradientTape() as outer:
            outer.watch(tensors)
            with tf.GradientTape() as inner:
                inner.watch(tensors)
                outputs = tf.convert_to_tensor(function(kind, *tensors))
                total = tf.reduce_sum(outputs**2)
            first = inner.gradient(total, tensors)
            mixed = sum(tf.reduce_sum(one**2) for one in first)
        results.append(outer.gradient(mixed, tensors))
    for one, other in zip(*results, strict=True):
        if kind == "tridiagonal":
            assert np.isnan(one).any()
        else:
            np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)
