"""Exports, run by processes that never import cvzoo."""

import dataclasses
import json
import subprocess
import sys
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import cvzoo
from cvzoo import catalogue, preset_files, sparsity
from cvzoo.commands import melody
from cvzoo.exporting import (
    ExportError,
    costs,
    kernels,
    litert,
    measuring,
    serving,
    splitting,
    streams,
    verification,
)
from tests.helpers import small_model

ROOT = Path(__file__).parent.parent
# The others are exported by slow tests.
IN_EVERY_RUN = ("dcnn_digits", "two_layer_dense_complex_vd_digits")
NAMES = [
    pytest.param(name, marks=() if name in IN_EVERY_RUN else pytest.mark.slow)
    for name in catalogue.preset_names()
]
# Bytes of a SavedModel's graph beside its weights.
OF_THE_GRAPH = 150_000


def run(folder, batches, format="tf_saved_model"):
    return verification.run(folder, batches, format).outputs


@pytest.fixture
def in_this_process(monkeypatch):
    """SavedModels are run here, which saves the start of a process."""

    def run_here(folder, batches, format, calls=1):
        serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
        outputs = []
        for batch in batches:
            found = serve(**{name: tf.constant(one) for name, one in batch.items()})
            outputs.append({name: one.numpy() for name, one in found.items()})
        return verification.Found(outputs, np.zeros((len(batches), 2)), 0)

    monkeypatch.setattr(verification, "run", run_here)


# Whole exports


@pytest.mark.parametrize("name", NAMES)
def test_shipped_presets_are_served_from_small_folders(name, tmp_path):
    report = cvzoo.export(name, tmp_path / "served")
    files = [path for path in (tmp_path / "served").rglob("*") if path.is_file()]
    whole = sum(path.stat().st_size for path in files)
    packed = preset_files.read_manifest(catalogue.SHIPPED / name)["files"]
    assert whole <= 1.5 * packed["weights.safetensors"]["bytes"] + OF_THE_GRAPH
    report_size = (tmp_path / "served" / "export.json").stat().st_size
    assert report["bytes"] == whole - report_size
    loaded = tf.saved_model.load(str(tmp_path / "served"))
    inputs = cvzoo.examples(name)
    serve = loaded.signatures["serving_default"]
    (key,) = serve.structured_input_signature[1]
    (scores,) = serve(**{key: tf.constant(inputs)}).values()
    model = cvzoo.from_preset(name, compile=False)
    expected = model.predict(inputs, verbose=0)
    np.testing.assert_allclose(scores, expected, atol=1e-5 * np.abs(expected).max())
    named = cvzoo.decode(name, expected)
    if "classify" in loaded.signatures:
        told = loaded.signatures["classify"](**{key: tf.constant(inputs)})
        for row, one in zip(told["classes"].numpy().astype(str), named, strict=True):
            assert row.tolist() == [label for label, _ in one][: len(row)]
        np.testing.assert_allclose(
            told["probabilities"][:, 0], [one[0][1] for one in named], atol=1e-5
        )
    else:
        told = loaded.signatures["transcribe"](**{key: tf.constant(inputs)})
        for labels, chances, one in zip(
            told["classes"].numpy().astype(str),
            told["probabilities"],
            named,
            strict=True,
        ):
            heard = {
                label for label, p in zip(labels, chances, strict=True) if p >= 0.5
            }
            assert heard == {label for label, _ in one}


def test_weights_of_8_bits_are_near_and_a_quarter_in_size(tmp_path):
    pytest.importorskip("ai_edge_litert")
    keras.utils.set_random_seed(0)
    x = keras.Input((64,), name="x")
    model = keras.Model(x, keras.layers.Dense(512, name="y")(x))
    whole, short = (
        cvzoo.export(model, tmp_path / str(bits), "litert", quantize=bits)
        for bits in (None, "int8")
    )
    assert short["bytes"] < 0.35 * whole["bytes"]
    assert 0 < short["max_abs_error"] < 0.1 and whole["max_abs_error"] < 1e-5
    assert short["quantize"] == "int8"


@pytest.mark.parametrize("name", NAMES)
def test_shipped_presets_run_in_litert(name, tmp_path):
    pytest.importorskip("ai_edge_litert")
    report = cvzoo.export(name, tmp_path / "served", format="litert")
    inputs, expected = cvzoo.examples(name), None
    (key,) = report["inputs"]
    (outputs,) = run(tmp_path / "served", [{key: inputs}], "litert")
    (scores,) = outputs.values()
    expected = cvzoo.from_preset(name, compile=False).predict(inputs, verbose=0)
    np.testing.assert_allclose(scores, expected, atol=1e-5 * np.abs(expected).max())
    labels = (tmp_path / "served" / "labels.txt").read_text("utf-8").splitlines()
    assert labels == preset_files.read_manifest(catalogue.SHIPPED / name)["classes"]


def test_a_fitted_model_is_exported_with_one_copy_of_its_weights(
    tmp_path, in_this_process
):
    model = cvzoo.sparsify(
        small_model(hidden=400), cvzoo.VariationalDropout(0.1), n_train=9
    )
    model.compile("adam", "mse")
    model.fit(np.ones((4, 6, 2)), np.ones((4, 3)), verbose=0)
    with pytest.warns(UserWarning, match="cvzoo.export: .* sparsified, but not pruned"):
        report = cvzoo.export(model, tmp_path / "served")
    plain = 4 * sparsity.without_sparsifiers(model).count_params()
    assert report["bytes"] <= plain + OF_THE_GRAPH / 2


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model with masks, whose masked weights are not zero, and its export."""
    generator = np.random.default_rng(0)
    masks = {"hidden": generator.random((6, 12)) < 0.5, "output": np.ones((12, 3))}
    model = sparsity.with_masks(
        small_model(), lambda layer: masks[layer.name].astype(np.float32)
    )
    for layer in sparsity.sparse_layers(model):
        layer.kernel_real.assign(np.ones(layer.kernel_real.shape))
    folder = tmp_path_factory.mktemp("export") / "served"
    cvzoo.export(model, folder)
    return folder, model


def test_inputs_and_outputs_have_the_models_names(served):
    folder, _ = served
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    assert list(signature.structured_input_signature[1]) == ["signal"]
    assert list(signature.structured_outputs) == ["logits"]
    operations = {op.type for op in signature.graph.get_operations()}
    assert not any("Random" in name for name in operations)


def test_a_process_without_cvzoo_gives_the_models_outputs(served):
    folder, model = served
    generator = np.random.default_rng(0)
    batches = [
        {"signal": generator.normal(size=(size, 6, 2)).astype(np.float32)}
        for size in (1, 13)
    ]
    for batch, outputs in zip(batches, run(folder, batches), strict=True):
        expected = model(batch["signal"])
        np.testing.assert_allclose(outputs["logits"], expected, atol=1e-5)


def test_older_loaders_run_it_too(served):
    """TensorFlow Serving loads SavedModels into sessions."""
    folder, model = served
    inputs = np.random.default_rng(1).normal(size=(3, 6, 2)).astype(np.float32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        signature = loaded.signature_def["serving_default"]
        found = session.run(
            signature.outputs["logits"].name,
            {signature.inputs["signal"].name: inputs},
        )
    np.testing.assert_allclose(found, model(inputs), atol=1e-5)


def test_two_exports_in_a_process_do_not_mix_up_their_weights(
    tmp_path, in_this_process
):
    found = []
    for seed in range(2):
        keras.utils.set_random_seed(seed)
        model = small_model(hidden=400)
        cvzoo.export(model, tmp_path / str(seed))
        loaded = tf.saved_model.load(str(tmp_path / str(seed)))
        found.append((model, loaded))
    inputs = np.ones((2, 6, 2), np.float32)
    for model, loaded in found:
        outputs = loaded.signatures["serving_default"](signal=tf.constant(inputs))
        np.testing.assert_allclose(outputs["logits"], model(inputs), atol=1e-5)


def test_the_report_says_what_was_made(served):
    folder, _ = served
    report = json.loads((folder / "export.json").read_text())
    assert report["format"] == "tf_saved_model" and report["max_abs_error"] <= 1e-5
    assert report["inputs"] == {"signal": [[None, 6, 2], "float32"]}
    assert report["outputs"] == ["logits"] and set(report["milliseconds"]) == {"1", "5"}
    assert set(report["versions"]) == {"cvzoo", "tensorflow", "keras"}


# Inputs


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


def test_small_outputs_are_not_zeros(tmp_path, monkeypatch):
    x = keras.Input((4,), name="x")
    dense = keras.layers.Dense(2, name="y")
    model = keras.Model(x, dense(x))
    dense.kernel.assign(np.full((4, 2), 1e-6))
    monkeypatch.setattr(
        verification,
        "run",
        lambda folder, batches, format: verification.Found(
            [{"y": np.zeros((len(one["x"]), 2))} for one in batches],
            np.zeros((len(batches), 2)),
            0,
        ),
    )
    with pytest.raises(ExportError, match="differs from the model's by"):
        cvzoo.export(model, tmp_path / "served")


# Refusals


def test_an_export_that_differs_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(
        verification,
        "run",
        lambda folder, batches, format: verification.Found(
            [{"logits": np.zeros((len(one["signal"]), 3))} for one in batches],
            np.zeros((len(batches), 2)),
            0,
        ),
    )
    with pytest.raises(ExportError, match="differs from the model's by"):
        cvzoo.export(small_model(), tmp_path / "served")
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_fails_is_reported(tmp_path):
    with pytest.raises(ExportError, match="does not run in a process of its own"):
        run(tmp_path, [{"x": np.zeros(1)}])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "onnx"}, "`format` must be one of .*'litert'.*'onnx'"),
        (
            {"quantize": "int8"},
            "`quantize` must be None, or 'int8' with",
        ),
        ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ({"complex_inputs": "pairs"}, "`complex_inputs` must be one of"),
        ({"outputs": "each_class"}, "`outputs` must be one of .*'each_class'"),
        ({"classes": ["a", "b\nc", "d"]}, "kept in lines, so they must be one each"),
        (
            {"examples": [np.ones((1, 6, 2))] * 2},
            "array for each input. Received: 2 for",
        ),
        (
            {"complex_inputs": "complex64"},
            "joins inputs called NAME_real and",
        ),
        ({"format": "litert", "complex_inputs": "complex64"}, "no complex inputs"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        cvzoo.export(small_model(), tmp_path / "served", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_exist_are_kept_unless_they_are_exports(tmp_path, in_this_process):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("chapter 1")
    with pytest.raises(ValueError, match="exists. Give another folder"):
        cvzoo.export(small_model(), tmp_path / "mine")
    with pytest.raises(ValueError, match=r"is no export: it also holds \['thesis.tex'"):
        cvzoo.export(small_model(), tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "chapter 1"
    for hidden in (12, 5):
        report = cvzoo.export(
            small_model(hidden=hidden), tmp_path / "x", overwrite=True
        )
    assert json.loads((tmp_path / "x" / "export.json").read_text()) == report


def test_files_that_come_meanwhile_are_kept(tmp_path, in_this_process, monkeypatch):
    run_here = verification.run

    def and_then(*arguments):
        (tmp_path / "x").mkdir(exist_ok=True)
        (tmp_path / "x" / "thesis.tex").write_text("chapter 1")
        return run_here(*arguments)

    monkeypatch.setattr(verification, "run", and_then)
    with pytest.raises(ValueError, match="exists. Give another folder"):
        cvzoo.export(small_model(), tmp_path / "x")
    assert (tmp_path / "x" / "thesis.tex").read_text() == "chapter 1"


def test_notes_in_an_export_are_kept(tmp_path, in_this_process):
    cvzoo.export(small_model(), tmp_path / "x")
    (tmp_path / "x" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"it also holds \['notes.txt'\]"):
        cvzoo.export(small_model(), tmp_path / "x", overwrite=True)
    assert (tmp_path / "x" / "notes.txt").read_text() == "mine"


def test_a_path_of_a_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a folder to make, with model.tflite in it"):
        cvzoo.export(small_model(), tmp_path / "a.tflite", format="litert")


def test_a_model_that_was_not_built_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no shapes yet"):
        cvzoo.export(keras.Sequential([keras.layers.Dense(2)]), tmp_path / "x")


def test_batches_of_one_size_are_refused(tmp_path):
    x = keras.Input(batch_shape=(4, 8), name="x")
    with pytest.raises(ExportError, match="Input 'x' has batches of 4"):
        cvzoo.export(keras.Model(x, keras.layers.Dense(2)(x)), tmp_path / "x")


def test_layers_that_always_draw_numbers_are_refused_by_name(tmp_path):
    class AlwaysNoisy(keras.layers.Layer):
        def call(self, inputs):
            return inputs + keras.random.normal(keras.ops.shape(inputs))

    x = keras.Input((4,), name="x")
    y = AlwaysNoisy(name="noisy")(x)
    with pytest.raises(ExportError, match="random numbers.*noisy"):
        cvzoo.export(keras.Model(x, keras.layers.Dense(2)(y)), tmp_path / "served")
    assert list(tmp_path.iterdir()) == []


def test_classes_must_be_as_many_as_scores(tmp_path):
    with pytest.raises(ExportError, match="2 classes need one output of as many"):
        cvzoo.export(small_model(), tmp_path / "served", classes=["a", "b"])


def test_names_that_cannot_be_served_are_refused(tmp_path):
    x = keras.Input((4,), name="x-1")
    dense = keras.layers.Dense(2, name="d")
    with pytest.raises(ExportError, match=r"\['x-1'\]"):
        cvzoo.export(keras.Model(x, dense(x)), tmp_path / "served")
    x = keras.Input((4,), name="x")
    twice = keras.Model(x, [dense(x), dense(keras.layers.ReLU()(x))])
    with pytest.raises(ExportError, match=r"outputs \['d', 'd'\]"):
        cvzoo.export(twice, tmp_path / "served")


def test_layers_that_litert_cannot_run_are_named(tmp_path):
    pytest.importorskip("ai_edge_litert")
    x = keras.Input((1000, 1), name="x")
    z = cvzoo.layers.FourierFeatures(axes=1, name="spectrum")(x)
    model = keras.Model(x, cvzoo.layers.FromComplex("modulus")(z))
    with pytest.raises(ExportError, match="spectrum.*1000"):
        cvzoo.export(model, tmp_path / "served", format="litert")
    x = keras.Input((1000,), name="x")
    z = cvzoo.layers.STFT(frame_length=64, frame_step=32, name="frames")(x)
    model = keras.Model(x, cvzoo.layers.FromComplex("modulus")(z))
    with pytest.raises(ExportError, match="RFFT of layer 'frames'"):
        cvzoo.export(model, tmp_path / "served", format="litert")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("block", [1, 3, 8])
@pytest.mark.parametrize("is_complex", [False, True])
def test_blocks_run_in_litert(block, is_complex, tmp_path):
    pytest.importorskip("ai_edge_litert")
    if is_complex:
        pair = [keras.Input((24,), name=name) for name in ("a_real", "a_imag")]
        z = cvzoo.layers.ComplexBlockCirculant(24, block)(pair)
        model = keras.Model(pair, cvzoo.layers.FromComplex("real")(z))
    else:
        x = keras.Input((24,), name="x")
        model = keras.Model(x, cvzoo.layers.BlockCirculant(24, block)(x))
    assert cvzoo.export(model, tmp_path / "x", "litert")["max_abs_error"] < 1e-5


def test_a_missing_runtime_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r'pip install "cvzoo\[litert\]"'):
        cvzoo.export(small_model(), tmp_path / "served", format="litert")


# Parts


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
def test_products_without_zeros_are_those_of_the_layer(is_complex, lead):
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
    found, chosen = kernels.choose(model, 1, "tf_saved_model", cheap)
    assert set(chosen.values()) == {"sparse"}
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


def test_measured_costs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("CVZOO_HOME", str(tmp_path))
    assert costs.load() == costs.Costs()
    table = costs.Costs(call=1.5)
    costs.save(table)
    assert costs.load() == table
    costs.path().write_text("{")
    assert costs.load() == costs.Costs()


@pytest.mark.parametrize(
    ("size", "is_complex"),
    [
        *((size, False) for size in (28, 128, 1152, 3072, 4096)),
        *((28, True), (1000, True), (1024, True)),
    ],
)
def test_circulant_layers_run_in_litert(size, is_complex, tmp_path):
    pytest.importorskip("ai_edge_litert")
    if is_complex:
        pair = [keras.Input((size,), name=name) for name in ("a_real", "a_imag")]
        outputs = cvzoo.layers.ComplexDiagonalCirculant(size)(pair)
        model = keras.Model(pair, cvzoo.layers.FromComplex("real")(outputs))
    else:
        x = keras.Input((size,), name="x")
        model = keras.Model(x, cvzoo.layers.DiagonalCirculant(size)(x))
    report = cvzoo.export(model, tmp_path / "served", format="litert")
    assert report["max_abs_error"] <= 1e-4
    is_small = size * size * (4 if is_complex else 1) <= costs.LITERT_MATRIX
    assert set(report["layers"].values()) == {"dense" if is_small else "transform"}


# What TensorFlow Serving looks for


def fields(message):
    """`(number, bytes)` of a message whose fields are all of bytes."""
    place, found = 0, []
    while place < len(message):
        numbers = []
        for _ in range(2):
            number, shift = 0, 0
            while True:
                byte = message[place]
                place += 1
                number |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            numbers.append(number)
        key, size = numbers
        assert key & 7 == 2
        found.append((key >> 3, message[place : place + size]))
        place += size
    return found


def test_warm_up_requests_are_prediction_logs(served):
    folder, _ = served
    file = folder / "assets.extra" / "tf_serving_warmup_requests"
    (record,) = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    ((number, log),) = fields(record)
    assert number == 6  # predict_log
    ((number, request),) = fields(log)
    assert number == 1  # request
    (model, entry) = fields(request)
    assert model == (1, b"\x1a\x0fserving_default")  # signature_name
    assert entry[0] == 2  # inputs
    (key, value) = fields(entry[1])
    assert key == (1, b"signal") and value[0] == 2
    proto = type(tf.make_tensor_proto(0)).FromString(value[1])
    assert tf.make_ndarray(proto).shape == (1, 6, 2)


def test_the_batching_config_is_there(served):
    text = (served[0] / "batching_params.pbtxt").read_text()
    assert "max_batch_size { value: 64 }" in text


@pytest.mark.parametrize("operation", ["MatMul", "DecodeCompressed"])
def test_operations_that_serving_does_not_know_are_refused(
    operation, tmp_path, monkeypatch
):
    known = serving.known_operations()
    assert operation in known and "DecodeJxl" not in known  # new in 2.21
    monkeypatch.setattr(serving, "known_operations", lambda: known - {operation})
    x = keras.Input((200,), name="x")
    layer = keras.layers.Dense(200, name="y")
    model = keras.Model(x, layer(x))
    layer.kernel.assign(np.eye(200))
    with pytest.raises(ExportError, match=rf"does not know.*\['{operation}'\]"):
        kernels_as_they_are = costs.Costs(place=1e9)
        monkeypatch.setattr(costs, "load", lambda: kernels_as_they_are)
        cvzoo.export(model, tmp_path / "served")
    assert list(tmp_path.iterdir()) == []


# What exports take


def test_rows_of_a_preset_and_its_uncompressed_network(monkeypatch, in_this_process):
    monkeypatch.setattr(litert, "is_installed", lambda: False)
    name = "two_layer_dense_complex_unit_ard_magnitude_digits"
    small, large = measuring.measure(name, batches=(1,))
    assert small.name == f"{name}, SavedModel"
    assert large.name == "uncompressed, fresh weights, SavedModel"
    manifest = preset_files.read_manifest(catalogue.SHIPPED / name)
    assert small.numbers == manifest["counts"]["nonzero"]
    assert large.numbers <= manifest["counts"]["baseline_parameters"]
    # 64 · 31 and 31 · 10 complex products, and those of the network before.
    assert small.multiply_adds == 4 * (64 * 31 + 31 * 10)
    assert large.multiply_adds == 4 * (64 * 512 + 512 * 10)
    # All times were 0, so that bytes decide.
    assert large.dominated_by == (small.name,) and small.dominated_by == ()


def test_multiply_adds_of_convolutions():
    x = keras.Input((8, 8, 3))
    y = keras.layers.Conv2D(5, 3, name="c")(x)
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(y)))
    assert measuring.multiply_adds(model) == 27 * 36 * 5 + 180 * 2
    depthwise = keras.layers.DepthwiseConv2D(3)
    assert measuring.multiply_adds(keras.Model(x, depthwise(x))) == 9 * 36 * 3
    upwards = keras.layers.Conv2DTranspose(5, 2, strides=2)
    assert measuring.multiply_adds(keras.Model(x, upwards(x))) == 4 * 3 * 5 * 64
    x = keras.Input((6,))
    twice = keras.layers.Dense(6)
    assert measuring.multiply_adds(keras.Model(x, twice(twice(x)))) == 2 * 36


def test_costs_are_measured():
    table = costs.measure()
    values = dataclasses.astuple(table)
    assert all(np.isfinite(values)) and min(values) >= 0
    # Eight million products take longer than one.
    assert table.dense(4096, 2048, 64) > table.dense(4, 4, 1)


def test_the_embedded_example_hears_notes(tmp_path):
    pytest.importorskip("ai_edge_litert")
    folder = tmp_path / "notes"
    cvzoo.export("musicnet_deep_complex_vd_chorales", folder, format="litert")
    rate = 11_000
    sound = melody.sound(rate)
    melody.write(tmp_path / "melody.wav", sound, rate)
    script = ROOT / "docs" / "embedded" / "hear_notes.py"
    # -I and a check: nothing but numpy and LiteRT is imported.
    code = (
        f"import runpy, sys; sys.argv[1:] = [{str(folder)!r}, "
        f"{str(tmp_path / 'melody.wav')!r}]; "
        f"runpy.run_path({str(script)!r}, run_name='__main__'); "
        "assert not {'tensorflow', 'keras', 'cvzoo'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    *lines, took, memory = done.stdout.splitlines()
    assert took.endswith(" a window of 93 ms") and "MiB of memory" in memory
    names = preset_files.read_manifest(
        catalogue.SHIPPED / "musicnet_deep_complex_vd_chorales"
    )["classes"]
    times = [float(line.split()[0]) for line in lines]
    played = melody.truth(np.array(times), names)
    right = [
        name in line.split()[2:]
        for line, row in zip(lines, played, strict=True)
        for name, is_played in zip(names, row, strict=True)
        if is_played
    ]
    assert np.mean(right) > 0.85
