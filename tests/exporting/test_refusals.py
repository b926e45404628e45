"""What cannot be exported, or differs, is refused, and nothing is lost."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import cvzoo
from cvzoo.exporting import ExportError, signatures, verification
from tests.exporting.exports import run
from tests.helpers import small_model


def test_small_outputs_are_not_zeros(tmp_path, only_zeros):
    x = keras.Input((4,), name="x")
    dense = keras.layers.Dense(3, name="logits")
    model = keras.Model(x, dense(x))
    dense.kernel.assign(np.full((4, 3), 1e-6))
    with pytest.raises(ExportError, match="differs from the model's by"):
        cvzoo.export(model, tmp_path / "served")


def test_an_export_that_differs_is_removed(tmp_path, only_zeros):
    with pytest.raises(ExportError, match="differs from the model's by"):
        cvzoo.export(small_model(), tmp_path / "served")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [-np.inf, -1e9])
def test_a_value_that_dwarfs_others_hides_no_difference(value, tmp_path, only_zeros):
    x = keras.Input((4,), name="x")
    dense = keras.layers.Dense(2)(x)
    masked = keras.ops.full_like(dense[:, :1], value)
    outputs = keras.layers.Concatenate(name="logits")([dense, masked])
    with pytest.raises(ExportError, match="differs from the model's by"):
        cvzoo.export(keras.Model(x, outputs), tmp_path / "served")


def test_names_that_differ_from_the_scores_are_an_error(
    tmp_path, in_this_process, monkeypatch
):
    def switched(self, scores, labels):
        values, places = tf.math.top_k(tf.nn.softmax(-scores), 3)
        names = labels.lookup(tf.cast(places, tf.int64))
        return {"classes": names, "probabilities": values}

    monkeypatch.setattr(signatures.Served, "_named", switched)
    with pytest.raises(
        ExportError, match="'classify' .* does not name what its scores"
    ):
        cvzoo.export(small_model(), tmp_path / "served", classes="abc")
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_hangs_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "_MOST_SECONDS", 0.01)
    with pytest.raises(ExportError, match="did not run within 0.01 seconds"):
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
        (
            {"format": "litert", "complex_inputs": "complex64"},
            "only a SavedModel joins or parts them",
        ),
        ({"classes": ["a\n", "b\n", "c\n"]}, "kept in lines, so they must be one each"),
        ({"examples": np.ones((2, 6, 3))}, r"a batch of what .* shapes \[\(2, 6, 3\)"),
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
    with pytest.raises(ValueError, match="is no export: it has no export.json of one"):
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


@pytest.mark.parametrize("name", ["notes.txt", "assets.extra/my_requests"])
def test_what_is_added_to_an_export_is_kept(name, tmp_path, in_this_process):
    cvzoo.export(small_model(), tmp_path / "x")
    (tmp_path / "x" / name).write_text("mine")
    with pytest.raises(ValueError, match=rf"it also holds \['{name}'\]"):
        cvzoo.export(small_model(), tmp_path / "x", overwrite=True)
    assert (tmp_path / "x" / name).read_text() == "mine"


def test_a_file_is_not_replaced(tmp_path):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(ValueError, match="is a file; an export is a folder"):
        cvzoo.export(small_model(), tmp_path / "x", overwrite=True)
    assert (tmp_path / "x").read_text() == "mine"


def test_a_path_of_a_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a folder to make, with model.tflite in it"):
        cvzoo.export(small_model(), tmp_path / "a.tflite", format="litert")


def test_files_of_keras_are_to_be_loaded_first(tmp_path):
    with pytest.raises(ValueError, match="Load it first: `keras.models.load_model`"):
        cvzoo.export("soft.keras", tmp_path / "x")


def test_a_model_that_was_not_built_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no shapes yet"):
        cvzoo.export(keras.Sequential([keras.layers.Dense(2)]), tmp_path / "x")


def test_batches_of_one_size_are_refused(tmp_path):
    x = keras.Input(batch_shape=(4, 8), name="x")
    with pytest.raises(ExportError, match="Input 'x' has batches of 4"):
        cvzoo.export(keras.Model(x, keras.layers.Dense(2)(x)), tmp_path / "x")


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: keras.random.normal(keras.ops.shape(x)),
        lambda x: keras.ops.cast(keras.random.categorical(x, 1, seed=7), "float32"),
    ],
    ids=["normal", "categorical"],
)
def test_layers_that_always_draw_numbers_are_refused_by_name(draw, tmp_path):
    class AlwaysNoisy(keras.layers.Layer):
        def call(self, inputs):
            return inputs + draw(inputs)

    x = keras.Input((4,), name="x")
    y = AlwaysNoisy(name="noisy")(x)
    with pytest.raises(ExportError, match="random numbers.*noisy"):
        cvzoo.export(keras.Model(x, keras.layers.Dense(2)(y)), tmp_path / "served")
    assert list(tmp_path.iterdir()) == []


def test_layers_that_look_words_up_are_refused_by_name(tmp_path):
    x = keras.Input((4,), dtype="int32", name="x")
    y = keras.layers.IntegerLookup(vocabulary=[3, 5], name="words")(x)
    y = keras.layers.Dense(2)(keras.layers.Embedding(4, 3)(y))
    with pytest.raises(
        ExportError, match=r"tables, which these layers do: \['words'\]"
    ):
        cvzoo.export(keras.Model(x, y), tmp_path / "served")
    x = keras.Input((4,), dtype="string", name="x")
    y = keras.layers.StringLookup(vocabulary=["a", "b"])(x)
    with pytest.raises(ExportError, match="Input 'x' is of strings"):
        cvzoo.export(keras.Model(x, y), tmp_path / "served")
    assert list(tmp_path.iterdir()) == []


def test_layers_without_built_in_operations_are_refused_by_name(tmp_path):
    pytest.importorskip("ai_edge_litert")

    class Inverse(keras.layers.Layer):
        def call(self, inputs):
            return keras.ops.erfinv(inputs)

    x = keras.Input((4,), name="x")
    y = Inverse(name="inverse")(keras.layers.Dense(3, activation="tanh")(x))
    model = keras.Model(x, keras.layers.Dense(2)(y))
    with pytest.raises(ExportError, match="operation for Erfinv of layer 'inverse'"):
        cvzoo.export(model, tmp_path / "served", "litert")
    assert list(tmp_path.iterdir()) == []


def test_classes_must_be_as_many_as_scores(tmp_path):
    with pytest.raises(ExportError, match="2 classes need one output of as many"):
        cvzoo.export(small_model(), tmp_path / "served", classes=["a", "b"])


def test_names_that_cannot_be_served_are_refused(tmp_path):
    x = keras.Input((4,), name="x-1")
    dense = keras.layers.Dense(2, name="d")
    with pytest.raises(ExportError, match=r"\['x-1'\]"):
        cvzoo.export(keras.Model(x, dense(x)), tmp_path / "served")
    x = keras.Input((4,), name="self")
    with pytest.raises(ExportError, match=r"other than `self`"):
        cvzoo.export(keras.Model(x, dense(x)), tmp_path / "served")
    x = keras.Input((4,), name="x")
    twice = keras.Model(x, [dense(x), dense(keras.layers.ReLU()(x))])
    with pytest.raises(ExportError, match=r"outputs \['d', 'd'\]"):
        cvzoo.export(twice, tmp_path / "served")
