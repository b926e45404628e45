"""Multiply-adds of inference, beside closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import cvzoo
from cvzoo import graph
from cvzoo.exporting import signatures
from cvzoo.exporting.multiply_adds import multiply_adds
from cvzoo.layers import (
    BlockCirculant,
    Circulant,
    ComplexConv2D,
    ComplexDense,
    DiagonalCirculant,
)

layers = keras.layers


def counted(function, *shapes):
    """Multiply-adds of a function of inputs of some shapes."""
    inputs = [keras.Input(shape) for shape in shapes]
    return of_model(keras.Model(inputs, function(*inputs)))


def of_model(model):
    return multiply_adds(model, signatures.Served(graph.functional(model)))


# Layer, shape of its inputs, products by hand.
LAYERS = {
    "dense": (layers.Dense(5), (6,), 6 * 5),
    "dense over time": (layers.Dense(5), (7, 6), 7 * 6 * 5),
    "einsum": (layers.EinsumDense("abc,cde->abde", (7, 4, 5)), (7, 6), 7 * 6 * 4 * 5),
    "einsum, ...": (layers.EinsumDense("...x,xy->...y", 5), (2, 3, 6), 6 * 6 * 5),
    "embedding": (layers.Embedding(9, 4), (6,), 0),
    "conv1d causal": (layers.Conv1D(5, 3, padding="causal"), (8, 4), 8 * 3 * 4 * 5),
    "conv2d": (layers.Conv2D(5, 3), (8, 8, 3), 36 * 9 * 3 * 5),
    "conv2d, groups": (layers.Conv2D(6, 3, groups=2), (8, 8, 4), 36 * 9 * 2 * 6),
    "conv3d": (layers.Conv3D(5, 2), (4, 4, 4, 3), 27 * 8 * 3 * 5),
    "depthwise": (layers.DepthwiseConv2D(3, depth_multiplier=2), (8, 8, 3), 36 * 9 * 6),
    "separable": (layers.SeparableConv2D(5, 3), (8, 8, 3), 36 * (9 * 3 + 3 * 5)),
    "transposed": (layers.Conv2DTranspose(5, 2, strides=2), (8, 8, 3), 64 * 4 * 3 * 5),
    "transposed 3d": (layers.Conv3DTranspose(5, 2), (4, 4, 4, 3), 64 * 8 * 3 * 5),
    # Two real transforms, and complex products of 33 frequencies.
    "circulant": (Circulant(64), (64,), 2 * 1.25 * 64 * 6 + 4 * 33),
    # 4 and 2 blocks of 4 numbers: 3 frequencies, which all pairs of blocks share.
    "blocks": (BlockCirculant(8, 4), (16,), 6 * 1.25 * 4 * 2 + 4 * 3 * 4 * 2),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    layer, shape, expected = LAYERS[name]
    assert counted(layer, shape) == expected


def test_a_shared_layer_counts_at_each_call():
    dense = layers.Dense(6)
    assert counted(lambda x: dense(dense(x)), (6,)) == 2 * 36


def test_open_sizes_are_those_of_what_is_run_for_a_try():
    expected = signatures.UNKNOWN * 6 * 5
    assert counted(layers.Dense(5), (None, 6)) == expected


def complex_layer(layer):
    return lambda *pair: cvzoo.layers.FromComplex("trailing")(layer(pair))


def test_complex_layers_are_four_real_products_or_three():
    assert counted(complex_layer(ComplexDense(5)), (6,), (6,)) == 4 * 6 * 5
    convolution = complex_layer(ComplexConv2D(5, 3))
    assert counted(convolution, (8, 8, 2), (8, 8, 2)) == 3 * 36 * 9 * 2 * 5


def test_products_of_two_inputs():
    attention = layers.Dot(axes=-1)
    assert counted(lambda *pair: attention(pair), (5, 3), (7, 3)) == 5 * 3 * 7
    gram = layers.Lambda(lambda x: tf.matmul(x, x, transpose_a=True))
    assert counted(gram, (5, 3)) == 3 * 5 * 3


def test_circulant_layers_work_at_each_step():
    one = counted(DiagonalCirculant(64), (64,))
    assert one == 2 * 1.25 * 64 * 6 + 4 * 33
    assert counted(DiagonalCirculant(64), (16, 64)) == 16 * one


def test_both_factors_of_low_rank_layers():
    model = cvzoo.from_preset("dcnn_low_rank_digits", compile=False)
    assert of_model(model) == 24_576


def test_transforms():
    half = 1.25 * 3 * 100 * np.log2(100)  # three transforms of 100 points
    rfft = layers.Lambda(lambda x: tf.math.real(tf.signal.rfft(x, [100])))
    assert counted(rfft, (3, 64)) == round(half)
    fft = layers.Lambda(lambda x: tf.math.real(tf.signal.fft(tf.complex(x, x))))
    assert counted(fft, (3, 100)) == round(2 * half)
    images = layers.Lambda(lambda x: tf.math.imag(tf.signal.rfft2d(x)))
    assert counted(images, (3, 8, 16)) == 3 * 1.25 * 128 * 7


def test_what_depends_on_constants_alone_does_not_count():
    square = layers.Lambda(
        lambda x: x + tf.reduce_sum(tf.ones((4, 4)) @ tf.ones((4, 4)))
    )
    assert counted(square, (6,)) == 0


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.LSTM(4), (5, 3)),
        (layers.Lambda(lambda x: tf.boolean_mask(x, x[:, 0] > 0) @ tf.eye(3)), (3,)),
    ],
)
def test_loops_and_sizes_that_depend_on_values_are_not_known(layer, shape):
    assert counted(layer, shape) is None
