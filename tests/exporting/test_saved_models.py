"""SavedModels, run by a process that never imports cvzoo."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import cvzoo
from cvzoo import catalogue, preset_files, sparsity
from cvzoo.exporting import (
    ExportError,
    costs,
    serving,
)
from tests.exporting.exports import NAMES, run, run_in_this_process
from tests.helpers import small_model

# Bytes of a SavedModel's graph beside its weights.
OF_THE_GRAPH = 150_000


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


def wide_model(seed=0):
    """A model whose weights are files beside the graph, and no constants in it."""
    keras.utils.set_random_seed(seed)
    x = keras.Input((400,), name="x")
    y = keras.layers.Dense(400, activation="relu", name="hidden")(x)
    return keras.Model(x, keras.layers.Dense(3, name="logits")(y))


def weight_files(folder):
    return list((folder / "assets").glob("weight_*.bin"))


def test_a_fitted_model_is_exported_with_one_copy_of_its_weights(
    tmp_path, in_this_process
):
    model = cvzoo.sparsify(wide_model(), cvzoo.VariationalDropout(0.1), n_train=9)
    model.compile("adam", "mse")
    model.fit(np.ones((4, 400)), np.ones((4, 3)), verbose=0)
    with pytest.warns(UserWarning, match="cvzoo.export: .* sparsified, but not pruned"):
        report = cvzoo.export(model, tmp_path / "served")
    plain = 4 * sparsity.without_sparsifiers(model).count_params()
    (file,) = weight_files(tmp_path / "served")
    assert file.stat().st_size <= plain
    # 640 kB; a second copy of them would not fit.
    assert report["bytes"] <= plain + OF_THE_GRAPH < 1.5 * plain


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


@pytest.fixture(scope="module")
def two_wide(tmp_path_factory):
    """Two models of one architecture, and their exports."""
    found = []
    for seed in range(2):
        model, folder = wide_model(seed), tmp_path_factory.mktemp("wide") / "served"
        with run_in_this_process():
            cvzoo.export(model, folder, classes="abc")
        assert weight_files(folder)
        found.append((model, folder))
    return found


def test_older_loaders_run_it_too(two_wide):
    """TensorFlow Serving loads SavedModels into sessions."""
    model, folder = two_wide[0]
    inputs = np.random.default_rng(1).normal(size=(3, 400)).astype(np.float32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        scores, named = (
            session.run(
                {key: one.name for key, one in signature.outputs.items()},
                {signature.inputs["x"].name: inputs},
            )
            for signature in map(
                loaded.signature_def.__getitem__, ("serving_default", "classify")
            )
        )
    expected = model(inputs).numpy()
    np.testing.assert_allclose(scores["logits"], expected, atol=1e-5)
    best = np.array(list("abc"))[expected.argmax(axis=-1)]
    np.testing.assert_array_equal(named["classes"][:, 0].astype(str), best)


def test_two_exports_in_a_process_do_not_mix_up_their_weights(two_wide):
    loaded = [tf.saved_model.load(str(folder)) for _, folder in two_wide]
    inputs = np.ones((2, 400), np.float32)
    for (model, _), one in zip(two_wide, loaded, strict=True):
        outputs = one.signatures["serving_default"](x=tf.constant(inputs))
        np.testing.assert_allclose(outputs["logits"], model(inputs), atol=1e-5)


def test_a_softmax_is_not_taken_twice(tmp_path, in_this_process):
    x = keras.Input((4,), name="x")
    y = keras.layers.Dense(3, activation="softmax", name="y")(x)
    model = keras.Model(x, y)
    cvzoo.export(model, tmp_path / "served", classes="abc")
    classify = tf.saved_model.load(str(tmp_path / "served")).signatures["classify"]
    inputs = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    found = classify(x=tf.constant(inputs))["probabilities"]
    expected = -np.sort(-model(inputs).numpy(), axis=-1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_names_of_values_are_kept_as_a_file(tmp_path, in_this_process):
    cvzoo.export(small_model(), tmp_path / "x", classes="abc", outputs="values")
    assert (tmp_path / "x" / "assets" / "labels.txt").read_text() == "a\nb\nc\n"


def test_the_report_says_what_was_made(served):
    folder, _ = served
    report = json.loads((folder / "export.json").read_text())
    assert report["format"] == "tf_saved_model" and report["max_abs_error"] <= 1e-5
    assert report["inputs"] == {"signal": [[None, 6, 2], "float32"]}
    assert report["outputs"] == ["logits"] and set(report["milliseconds"]) == {"1", "5"}
    assert set(report["versions"]) == {"cvzoo", "tensorflow", "keras"}


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
    # Examples of a batch, and of a request, which is taken apart.
    assert "max_execution_batch_size { value: 64 }" in text
    assert "max_batch_size { value: 4096 }" in text
    assert "enable_large_batch_splitting { value: true }" in text


@pytest.mark.parametrize("shape", [(2, 6), (2, 6, 3), (2, 5, 2), (2, 6, 2, 1)])
def test_inputs_of_another_shape_are_errors(shape, served):
    """Convolutions would take some of these, and others would end the process."""
    loaded = tf.saved_model.load(str(served[0]))
    serve = loaded.signatures["serving_default"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Shape of tensor signal"):
        serve(signal=tf.zeros(shape))


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


def test_products_are_compared_in_full_float32(tmp_path, in_this_process):
    seen = []

    class Watching(keras.layers.Layer):
        def call(self, inputs):
            if tf.executing_eagerly():
                is_on = tf.config.experimental.tensor_float_32_execution_enabled()
                seen.append(is_on)
            return inputs

    x = keras.Input((4,), name="x")
    y = Watching()(keras.layers.Dense(3)(x))
    cvzoo.export(keras.Model(x, keras.layers.Dense(2)(y)), tmp_path / "served")
    assert set(seen) == {False}
    assert tf.config.experimental.tensor_float_32_execution_enabled()
