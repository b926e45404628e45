"""Networks of all kinds, and ways of giving inputs, are served."""

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo.exporting import signatures
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


def test_complex64_input_is_served_along_an_axis(tmp_path, in_this_process):
    """Requests in JSON have no complex numbers."""
    model = complex_model()
    report = cvzoo.export(model, tmp_path / "served", complex_inputs="last_axis")
    assert report["inputs"] == {"signal": [[None, 4, 2], "float32"]}
    parts = np.random.default_rng(0).normal(size=(5, 4, 2)).astype(np.float32)
    (found,) = run(tmp_path / "served", [{"signal": parts}])
    expected = model(parts[..., 0] + 1j * parts[..., 1])
    np.testing.assert_allclose(found["power"], expected, atol=1e-5)


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


def with_dtype(dtype, density=1.0):
    x = keras.Input((30,), name="x")
    layers = [keras.layers.Dense(200, dtype=dtype), keras.layers.Dense(2, dtype=dtype)]
    model = keras.Model(x, layers[1](layers[0](x)))
    generator = np.random.default_rng(0)
    for layer in layers:
        mask = generator.random(layer.kernel.shape) < density
        layer.kernel.assign(layer.kernel.numpy() * mask)
    return model


def of_bfloat16():
    x = keras.Input((30,), dtype="bfloat16", name="x")
    return keras.Model(x, keras.layers.Dense(2, dtype="bfloat16", name="y")(x))


def quantized():
    model = with_dtype("float32", 0.02)
    model.layers[1].quantize("int8")
    return model


def named_outputs():
    x = keras.Input((3,))
    dense = keras.layers.Dense(2, name="y")
    return keras.Model(x, {"zeta": dense(x), "alpha": keras.layers.ReLU()(dense(x))})


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
        (lambda: with_dtype("float16"), {}),
        (lambda: with_dtype("mixed_bfloat16"), {}),
        (lambda: with_dtype("mixed_bfloat16", 0.02), {}),
        (of_bfloat16, {}),
        (quantized, {"tolerance": 0.01}),
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
    model = make()
    cvzoo.export(model, tmp_path / "served", **arguments)
    generator = np.random.default_rng(1)
    given = {
        tensor.name: np.asarray(
            generator.integers(0, 3, [7, *(size or 11 for size in tensor.shape[1:])]),
            tensor.dtype if tensor.dtype != "bfloat16" else "float32",
        )
        for tensor in model.inputs
    }
    (found,) = run(tmp_path / "served", [given])
    inputs = list(given.values()) if len(given) > 1 else next(iter(given.values()))
    rough = {"float16": 2e-2, "bfloat16": 0.2}.get(model.layers[-1].compute_dtype, 1e-4)
    for name, output in zip(
        model.output_names, keras.tree.flatten(model(inputs)), strict=True
    ):
        expected = keras.ops.convert_to_numpy(keras.ops.cast(output, "float32"))
        np.testing.assert_allclose(found[name], expected, atol=rough, rtol=rough)


def test_keys_name_outputs_and_inputs_without_names_are_inputs(
    tmp_path, in_this_process
):
    model = named_outputs()
    report = cvzoo.export(model, tmp_path / "served")
    assert report["outputs"] == ["alpha", "zeta"]
    inputs = np.float32([[1, -2, 3], [0.5, 0, -1]])
    (found,) = run(tmp_path / "served", [{"inputs": inputs}])
    for name, expected in model(inputs).items():
        np.testing.assert_allclose(found[name], expected, atol=1e-5)
    assert (found["alpha"] >= 0).all()


@pytest.mark.slow
def test_a_process_of_its_own_takes_bfloat16(tmp_path):
    report = cvzoo.export(of_bfloat16(), tmp_path / "served")
    assert report["inputs"] == {"x": [[None, 30], "bfloat16"]}
    assert report["max_abs_error"] <= 0.1


def test_examples_by_name_go_to_their_inputs():
    """The model takes `b` first, although `a` is first in the alphabet."""
    b, a = keras.Input((2,), name="b"), keras.Input((2,), name="a")
    model = keras.Model([b, a], keras.layers.Subtract(name="y")([b, a]))
    examples = {"b": np.full((4, 2), 7), "a": np.full((4, 2), 3)}
    served = signatures.Served(model, examples=examples)
    assert (served.examples["b"] == 7).all() and (served.examples["a"] == 3).all()
    expected = signatures.expected(model, served, served.examples)
    np.testing.assert_array_equal(expected["y"], np.full((4, 2), 4))


def test_complex_examples_are_compared_too(tmp_path, in_this_process):
    examples = np.full((3, 4), 2 - 1j)
    report = cvzoo.export(complex_model(), tmp_path / "served", examples=examples)
    assert report["max_abs_error"] <= 1e-4
