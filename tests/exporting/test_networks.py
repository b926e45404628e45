"""Networks of all kinds, and ways of giving inputs, are served."""

import keras
import numpy as np
import pytest

import cvzoo
from tests.exporting.exports import run


def complex_model():
    x = keras.Input((4,), dtype="complex64", name="signal")
    z = cvzoo.layers.ComplexDense(3)(cvzoo.layers.ToComplex()(x))
    return keras.Model(x, cvzoo.layers.FromComplex("modulus", name="power")(z))


def pair_model():
    pair = [keras.Input((4,), name=f"iq_{part}") for part in ("real", "imag")]
    z = cvzoo.layers.ComplexDense(3)(pair)
    return keras.Model(pair, cvzoo.layers.FromComplex("modulus", name="power")(z))


def test_complex64_input_is_served(tmp_path, in_this_process):
    report = cvzoo.export(complex_model(), tmp_path / "served")
    assert report["inputs"] == {"signal": [[None, 4], "complex64"]}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (None, {"iq_real": [[None, 4], "float32"], "iq_imag": [[None, 4], "float32"]}),
        ("complex64", {"iq": [[None, 4], "complex64"]}),
        ("last_axis", {"iq": [[None, 4, 2], "float32"]}),
    ],
)
def test_pairs_are_served_as_asked_for(form, expected, tmp_path, in_this_process):
    model = pair_model()
    report = cvzoo.export(model, tmp_path / "served", complex_inputs=form)
    assert report["inputs"] == expected
    parts = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    given = {
        None: {"iq_real": parts[0], "iq_imag": parts[1]},
        "complex64": {"iq": parts[0] + 1j * parts[1]},
        "last_axis": {"iq": np.stack(parts, axis=-1)},
    }[form]
    (found,) = run(tmp_path / "served", [given])
    np.testing.assert_allclose(found["power"], model(list(parts)), atol=1e-5)


def with_dtype(dtype):
    x = keras.Input((30,), name="x")
    layers = [keras.layers.Dense(200, dtype=dtype), keras.layers.Dense(2, dtype=dtype)]
    return keras.Sequential([x, *layers])


def embedding():
    x = keras.Input((3,), dtype="int32", name="x")
    y = keras.layers.Flatten()(keras.layers.Embedding(10, 4)(x))
    return keras.Model(x, keras.layers.Dense(2, name="y")(y))


def of_any_length():
    x = keras.Input((None, 3), name="x")
    y = keras.layers.Conv1D(4, 9, name="c")(x)
    return keras.Model(x, keras.layers.GlobalMaxPooling1D(name="y")(y))


class Constant(keras.layers.Layer):
    """Two outputs, of which one is of weights alone."""

    def build(self, shape):
        self.w = self.add_weight(shape=(1, 3), initializer="ones")

    def call(self, inputs):
        return self.w * 2


def with_a_constant():
    x = keras.Input((3,), name="x")
    return keras.Model(x, [keras.layers.Dense(2, name="y")(x), Constant(name="c")(x)])


def with_masks():
    x = keras.Input((5, 3), name="x")
    y = keras.layers.Dense(300, name="d")(keras.layers.Masking()(x))
    return keras.Model(x, keras.layers.LSTM(2, name="y")(y))


def softmax_pair():
    pair = [keras.Input((40,), name=f"iq_{part}") for part in ("real", "imag")]
    layer = cvzoo.layers.ComplexDense(200, activation="softmax")
    model = keras.Model(pair, cvzoo.layers.FromComplex("modulus")(layer(pair)))
    for part in (layer.kernel_real, layer.kernel_imag):
        mask = np.random.default_rng(0).random(part.shape) < 0.01
        part.assign(part.numpy() * mask)
    return model


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (lambda: with_dtype("float16"), {"tolerance": 0.01}),
        (lambda: with_dtype("mixed_bfloat16"), {"tolerance": 0.05}),
        (embedding, {}),
        (embedding, {"examples": np.array([[9, 9, 9]])}),
        (of_any_length, {}),
        (of_any_length, {"examples": np.ones((2, 70, 3))}),
        (with_a_constant, {}),
        (with_masks, {}),
        (softmax_pair, {}),
    ],
)
def test_networks_of_all_kinds_are_served(make, arguments, tmp_path, in_this_process):
    report = cvzoo.export(make(), tmp_path / "served", **arguments)
    assert np.isfinite(report["max_abs_error"])


def test_complex_examples_are_compared_too(tmp_path, in_this_process):
    examples = np.full((3, 4), 2 - 1j)
    report = cvzoo.export(complex_model(), tmp_path / "served", examples=examples)
    assert report["max_abs_error"] <= 1e-4
