"""SavedModels, run by a process that never imports cvzoo."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import cvzoo
from cvzoo import exporting, sparsity
from cvzoo.exporting import ExportError
from tests.helpers import small_model


def saved_bytes(folder):
    return sum(path.stat().st_size for path in folder.glob("variables/*.data*"))


def test_a_fitted_model_is_exported_with_one_copy_of_its_weights(tmp_path):
    model = cvzoo.sparsify(
        small_model(hidden=400), cvzoo.VariationalDropout(0.1), n_train=9
    )
    model.compile("adam", "mse")
    model.fit(np.ones((4, 6, 2)), np.ones((4, 3)), verbose=0)
    report = cvzoo.export(model, tmp_path / "served")
    assert report["max_abs_error"] <= 1e-5
    plain = 4 * sparsity.without_sparsifiers(model).count_params()
    assert plain <= saved_bytes(tmp_path / "served") <= plain + 2048


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
    found = exporting.run_saved_model(folder, batches)
    for batch, outputs in zip(batches, found, strict=True):
        expected = model(batch["signal"])
        np.testing.assert_allclose(outputs["logits"], expected, atol=1e-5)


def test_complex64_input_is_served(tmp_path):
    x = keras.Input((4,), dtype="complex64", name="signal")
    z = cvzoo.layers.ComplexDense(3)(cvzoo.layers.ToComplex()(x))
    model = keras.Model(x, cvzoo.layers.FromComplex("modulus", name="power")(z))
    assert cvzoo.export(model, tmp_path / "served")["max_abs_error"] <= 1e-5


def test_an_export_that_differs_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(
        exporting,
        "run_saved_model",
        lambda folder, batches: [
            {"logits": np.zeros((len(inputs["signal"]), 3))} for inputs in batches
        ],
    )
    with pytest.raises(ExportError, match="differs from the model's by"):
        cvzoo.export(small_model(), tmp_path / "served")
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_fails_is_reported(tmp_path):
    with pytest.raises(ExportError, match="does not run in a process of its own"):
        exporting.run_saved_model(tmp_path, [{"x": np.zeros(1)}])


def test_a_folder_that_exists_or_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="exists. Give another folder"):
        cvzoo.export(small_model(), tmp_path)
    with pytest.raises(ValueError, match="`format` must be one of"):
        cvzoo.export(small_model(), tmp_path / "served", format="onnx")


def test_names_that_cannot_be_served_are_refused(tmp_path):
    x = keras.Input((4,), name="x-1")
    dense = keras.layers.Dense(2, name="d")
    with pytest.raises(ExportError, match=r"\['x-1'\]"):
        cvzoo.export(keras.Model(x, dense(x)), tmp_path / "served")
    x = keras.Input((4,), name="x")
    twice = keras.Model(x, [dense(x), dense(keras.layers.ReLU()(x))])
    with pytest.raises(ExportError, match=r"outputs \['d', 'd'\]"):
        cvzoo.export(twice, tmp_path / "served")
