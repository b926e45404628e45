"""What is computed once, streams of weights, and ways of computing layers."""

import dataclasses
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import cvzoo
from cvzoo.exporting import (
    costs,
    kernels,
    splitting,
    streams,
)


def test_what_depends_on_weights_alone_is_not_in_the_served_graph():
    x = keras.Input((256,))
    layer = cvzoo.layers.DiagonalCirculant(256)
    model = keras.Model(x, layer(x))
    parts = splitting.split(model, "tf_saved_model")
    kinds = [op.type for op in parts.serve.graph.get_operations()]
    # The input's transform, and no kernel's.
    assert kinds.count("RFFT") == 1 and kinds.count("IRFFT") == 1
    spectra = [one for one in parts.prepared() if one.dtype == tf.complex64]
    expected = np.fft.rfft(layer.circulant.numpy().astype(np.float64))
    np.testing.assert_allclose(spectra[0], expected, atol=1e-5)
    inputs = np.random.default_rng(0).normal(size=(2, 256)).astype(np.float32)
    (outputs,) = parts.serve(tf.constant(inputs), *parts.prepared())
    np.testing.assert_allclose(outputs, model(inputs), atol=1e-5)


class ByHalves(keras.layers.Layer):
    """Two numbers, of which the second is used with and without the first."""

    def build(self, shape):
        self.pair = self.add_weight(shape=(2, 3), initializer="ones")

    def call(self, inputs):
        first, second = keras.ops.unstack(self.pair, 2)
        for _ in range(2):
            inputs = inputs * second + keras.ops.exp(first)
            first = first + second
        return inputs


def test_operations_that_give_several_tensors_are_taken_apart():
    x = keras.Input((3,))
    model = keras.Model(x, ByHalves()(x))
    parts = splitting.split(model, "tf_saved_model")
    inputs = np.ones((2, 3), np.float32)
    (outputs,) = parts.serve(tf.constant(inputs), *parts.prepared())
    np.testing.assert_allclose(outputs, model(inputs), rtol=1e-6)


floats = st.sampled_from([0.0, 0.0, 0.0, 1.0, -0.375, 65504.0, 1.1, -7e30])


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=9), elements=floats)
)
def test_streams_give_back_every_bit(values):
    stream = streams.encode(values)
    found = streams.decode(stream, tf.constant(stream.data)).numpy()
    assert found.shape == values.shape
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    "dtype", ["int8", "bool", "int32", "uint32", "int64", "float64", "float16"]
)
def test_streams_of_other_types(dtype):
    values = np.arange(12).reshape(3, 4).astype(dtype)
    stream = streams.encode(values)
    found = streams.decode(stream, tf.constant(stream.data)).numpy()
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


def test_streams_of_sparse_kernels_are_small():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(512, 512)).astype(np.float32)
    values[generator.random(values.shape) > 0.02] = 0
    stream = streams.encode(values)
    assert len(stream.data) < 5 * np.count_nonzero(values)
    # As `zlib` reads it, without TensorFlow.
    gaps = np.frombuffer(zlib.decompress(stream.data[: stream.gaps]), np.uint8)
    gaps = gaps.reshape(4, -1).T.copy().view("<u4").ravel()
    places = np.cumsum(gaps.astype(np.int64) + 1) - 1
    np.testing.assert_array_equal(places, np.flatnonzero(values))


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("lead", [(), (3,)])
@pytest.mark.parametrize(
    ("format", "ways"), [("tf_saved_model", {"sparse"}), ("litert", set())]
)
def test_products_without_zeros_are_those_of_the_layer(is_complex, lead, format, ways):
    generator = np.random.default_rng(0)
    shape = (*lead, 10)
    if is_complex:
        inputs = [keras.Input(shape), keras.Input(shape)]
        layer = cvzoo.layers.ComplexDense(6, activation="tanh")
    else:
        inputs, layer = keras.Input(shape), keras.layers.Dense(6, activation="tanh")
    model = keras.Model(inputs, layer(inputs))
    for variable in layer.weights:
        values = generator.normal(size=variable.shape)
        variable.assign(values * (generator.random(values.shape) < 0.3))
    cheap = costs.Costs(place=0.0, sparse_multiply=0.0, read=1.0)
    found, chosen = kernels.choose(model, 1, format, cheap)
    assert set(chosen.values()) == ways
    given = [generator.normal(size=(4, *shape)).astype(np.float32) for _ in "ab"]
    given = given if is_complex else given[0]
    for left, right in zip(
        keras.tree.flatten(found(given)), keras.tree.flatten(model(given)), strict=True
    ):
        np.testing.assert_allclose(left, right, atol=1e-5)


def test_the_cheapest_way_is_taken():
    x = keras.Input((64,))
    model = keras.Model(x, cvzoo.layers.DiagonalCirculant(64, name="dc")(x))
    dear = costs.Costs(transform_call=1e6)
    assert kernels.choose(model, 1, "tf_saved_model", dear)[1] == {"dc": "dense"}
    cheap = costs.Costs(transform_call=0.0, point=0.0)
    assert kernels.choose(model, 1, "tf_saved_model", cheap)[1] == {"dc": "transform"}


@pytest.mark.parametrize("steps", [1, 50])
def test_each_step_in_time_is_a_product(steps):
    x = keras.Input((steps, 8))
    layer = keras.layers.Dense(8, use_bias=False, name="d")
    model = keras.Model(x, layer(x))
    layer.kernel.assign(np.eye(8))
    # 8 numbers that are not zero cost less to find than 64 to read, once.
    table = costs.Costs(read=1.0, multiply=0.1, place=0.0, sparse_multiply=2.0)
    chosen = kernels.choose(model, 1, "tf_saved_model", table)[1]
    assert chosen == {"d": "sparse" if steps == 1 else "dense"}


def test_measured_costs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("CVZOO_HOME", str(tmp_path))
    assert costs.load() == costs.Costs()
    table = costs.Costs(call=1.5)
    costs.save(table)
    assert costs.load() == table
    costs.path().write_text("{")
    assert costs.load() == costs.Costs()


def test_costs_are_measured():
    table = costs.measure()
    values = dataclasses.astuple(table)
    assert all(np.isfinite(values)) and min(values) >= 0
    # Eight million products take longer than one.
    assert table.dense(4096, 2048, 64) > table.dense(4, 4, 1)
