"""Presets: round trips, training on, and what cannot be kept."""

import json
import os
import tracemalloc
from pathlib import Path

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import catalogue, preset_files, saving, sparsity
from cvzoo.architecture_checks import ArchitectureError
from cvzoo.preset_files import PresetError
from tests.helpers import COMPILE, inputs_of, small_model


@pytest.mark.parametrize("masked", [True, False])
def test_a_preset_gives_the_model_back(saved, masked):
    folder, model = saved
    loaded = cvzoo.from_preset(folder, masked=masked, verify=True)
    inputs = inputs_of(model)
    np.testing.assert_allclose(loaded(inputs), model(inputs), atol=1e-6)
    assert loaded.compiled
    assert bool(sparsity.sparse_layers(loaded)) == masked
    assert loaded.optimizer.learning_rate == np.float32(0.01)
    assert not cvzoo.from_preset(folder, compile=False).compiled


def test_a_preset_goes_on_training_and_is_saved_again_without_growing(saved, tmp_path):
    folder, _ = saved
    loaded = cvzoo.from_preset(str(folder))
    labels = np.random.default_rng(0).integers(0, 3, size=16)
    before = loaded.get_weights()
    loaded.fit(inputs_of(loaded), labels, verbose=0)
    assert any(
        not np.array_equal(left, right)
        for left, right in zip(before, loaded.get_weights(), strict=True)
    )
    again = cvzoo.save_preset(loaded, tmp_path / "again")
    sizes = [(path / "weights.safetensors").stat().st_size for path in (folder, again)]
    # Other values are entropy coded to about as many bytes.
    assert abs(sizes[1] - sizes[0]) <= 0.02 * sizes[0]


def test_saving_twice_gives_equal_files(saved, tmp_path):
    folder, model = saved
    again = cvzoo.save_preset(
        model,
        tmp_path / "small",
        compile=COMPILE,
        examples=inputs_of(model, 2),
        classes="abc",
    )
    for path in folder.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_the_manifest_counts(saved):
    folder, model = saved
    manifest = preset_files.read_manifest(folder)
    report = cvzoo.compression_report(model)
    assert manifest["counts"]["nonzero"] == report.nonzero
    assert manifest["classes"] == ["a", "b", "c"]
    assert manifest["files"]["weights.safetensors"]["bytes"] == report.bytes


LAYERS, SIZE = 12, 2**9


def wide_model(zeros):
    """Layers of equal size without biases, a share of whose weights is zero."""
    generator = np.random.default_rng(0)
    model = keras.Sequential(
        [
            keras.Input((SIZE,)),
            *(keras.layers.Dense(SIZE, use_bias=False) for _ in range(LAYERS)),
        ]
    )
    for variable in model.weights:
        kept = generator.random((SIZE, SIZE)) >= zeros
        variable.assign(generator.normal(size=(SIZE, SIZE)) * kept)
    return model


@pytest.mark.parametrize("zeros", [0.0, 0.3, 0.95])
def test_loading_decodes_one_tensor_after_another(zeros, tmp_path):
    one = SIZE * SIZE * 4
    folder = cvzoo.save_preset(wide_model(zeros), tmp_path / "preset")
    cvzoo.from_preset(folder)  # What is imported and cached the first time.
    tracemalloc.start()
    loaded = cvzoo.from_preset(folder)
    peak = tracemalloc.get_traced_memory()[1]  # of numpy and Python
    tracemalloc.stop()
    # Of a tensor that is decoded: its bytes in the file, its values, their places, and
    # what they become. All at once would be 12, and the file as much.
    assert peak < 4 * one
    assert bool(sparsity.sparse_layers(loaded)) == (zeros > 0)


def test_masks_are_those_of_the_stored_zeros(tmp_path):
    model = wide_model(0.5)
    loaded = cvzoo.from_preset(cvzoo.save_preset(model, tmp_path / "preset"))
    for before, after in zip(model.layers, loaded.layers[1:], strict=True):
        np.testing.assert_array_equal(after.kernel, before.kernel)
        np.testing.assert_array_equal(after.mask, before.kernel.numpy() != 0)


def test_examples_are_those_of_the_float32_model_that_comes_back(tmp_path):
    inputs = keras.Input((20,))
    layer = keras.layers.Dense(30, "relu", dtype="mixed_float16")
    model = keras.Model(inputs, keras.layers.Dense(3)(layer(inputs)))
    fed = inputs_of(model)
    folder = cvzoo.save_preset(model, tmp_path / "half", examples=fed)
    stored = json.loads((folder / "metadata.json").read_text())["examples"]["outputs"]
    found = np.reshape(stored["values"], stored["shape"])
    kernel, bias, last_kernel, last_bias = model.get_weights()
    expected = np.maximum(fed @ kernel + bias, 0) @ last_kernel + last_bias
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(model(fed) - expected).max() > 1e-4  # what half precision gives
    loaded = cvzoo.from_preset(folder, verify=True)
    np.testing.assert_allclose(loaded(fed), expected, atol=1e-5)


def test_examples_of_outputs_of_several_shapes_are_refused(tmp_path):
    inputs = keras.Input((4,))
    outputs = [keras.layers.Dense(units)(inputs) for units in (2, 3)]
    model = keras.Model(inputs, outputs)
    with pytest.raises(PresetError, match="outputs of one shape.*`examples=None`"):
        cvzoo.save_preset(model, tmp_path / "two", examples=inputs_of(model))
    cvzoo.from_preset(cvzoo.save_preset(model, tmp_path / "two"))


def test_a_folder_with_other_files_is_never_replaced(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(PresetError, match=r"not replaced.*\['thesis.txt'\]"):
        cvzoo.save_preset(small_model(), folder, overwrite=True)
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_a_folder_with_files_of_those_names_is_never_replaced(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("README.md", "config.json"):
        (folder / name).write_text("my own")
        with pytest.raises(PresetError, match=r"not replaced.*of no preset"):
            cvzoo.save_preset(small_model(), folder, overwrite=True)
    (folder / "metadata.json").write_text('{"title": "my own"}')
    with pytest.raises(PresetError, match="not replaced.*`format`"):
        cvzoo.save_preset(small_model(), folder, overwrite=True)
    assert (folder / "README.md").read_text() == "my own"


def test_a_file_that_comes_while_a_preset_is_made_is_kept(tmp_path, monkeypatch):
    folder = cvzoo.save_preset(small_model(), tmp_path / "one")
    write_files = saving.write_files

    def write_slowly(aside, files):
        write_files(aside, files)
        (folder / "thesis.txt").write_text("years of work")

    monkeypatch.setattr(saving, "write_files", write_slowly)
    with pytest.raises(PresetError, match=r"not replaced.*\['thesis.txt'\]"):
        cvzoo.save_preset(small_model(), folder, overwrite=True)
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_examples_that_cannot_be_kept_are_refused(tmp_path):
    with pytest.raises(PresetError, match="models with real inputs"):
        cvzoo.save_preset(small_model(), tmp_path / "a", examples=np.ones(2) * 1j)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scores": {"test": float("nan")}}, "`scores` must hold .* NaN.*Received"),
        ({"scores": {"test": {1, 2}}}, "`scores` must hold"),
        ({"scores": 0.9}, "`scores` must be a dictionary. Received: 0.9"),
        ({"data": {"name": object()}}, "`data` must hold"),
        ({"config": {"rate": np.float32("inf")}}, "`config` must hold"),
        ({"classes": [{"a"}]}, "`classes` must hold"),
        ({"baseline": "dense"}, "`baseline` must be a Keras model. Received: 'dense'"),
        ({"model": {"a": 1}}, "`model` must be a Keras model"),
    ],
)
def test_what_a_preset_cannot_keep_is_refused(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        cvzoo.save_preset(
            **{"model": small_model(), "folder": tmp_path / "one", **arguments}
        )
    assert not list(tmp_path.iterdir())


def test_scores_of_numpy_are_kept(tmp_path):
    folder = cvzoo.save_preset(
        small_model(),
        tmp_path / "a",
        scores={"test": np.float32(0.5)},
        classes=range(3),
    )
    assert preset_files.read_manifest(folder)["scores"] == {"test": 0.5}


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path):
    known = catalogue.preset_names()[0]
    with pytest.raises(PresetError, match=f"Did you mean.*{known}"):
        cvzoo.from_preset(known[:-1] + "z")
    with pytest.raises(PresetError, match="No preset in folder.*metadata.json"):
        cvzoo.from_preset(tmp_path)


def test_a_folder_that_exists_is_kept_unless_overwrite(preset):
    before = (preset / "metadata.json").read_bytes()
    with pytest.raises(PresetError, match="overwrite=True"):
        cvzoo.save_preset(small_model(), preset)
    assert (preset / "metadata.json").read_bytes() == before
    cvzoo.save_preset(small_model(), preset, overwrite=True)
    assert (preset / "metadata.json").read_bytes() != before


def test_a_failed_save_leaves_nothing_and_keeps_what_was_there(preset, monkeypatch):
    before = (preset / "metadata.json").read_bytes()
    siblings = sorted(preset.parent.iterdir())

    def disk_full(folder, files):
        (folder / "weights.safetensors").write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(saving, "write_files", disk_full)
    with pytest.raises(OSError, match="No space left"):
        cvzoo.save_preset(small_model(), preset, overwrite=True)
    with pytest.raises(OSError, match="No space left"):
        cvzoo.save_preset(small_model(), preset.parent / "new")
    assert sorted(preset.parent.iterdir()) == siblings
    assert (preset / "metadata.json").read_bytes() == before


def test_a_model_with_nan_is_not_saved(tmp_path):
    model = small_model()
    model.get_layer("hidden").bias_real.assign(np.full(12, np.nan))
    with pytest.raises(ValueError, match="'hidden/bias' has values that are NaN"):
        cvzoo.save_preset(model, tmp_path / "bad")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", catalogue.preset_names())
def test_shipped_presets_give_their_stored_outputs(name):
    model = cvzoo.from_preset(name, verify=True)
    assert isinstance(model, keras.Model)
    row = {row.name: row for row in cvzoo.list_presets()}[name]
    manifest = preset_files.read_manifest(catalogue.SHIPPED / name)
    baseline = cvzoo.create_model(**_arguments(name))
    report = cvzoo.compression_report(model, baseline)
    assert row.parameters == report.nonzero
    # Those packed in format 1 would be smaller today.
    assert row.bytes >= report.bytes
    np.testing.assert_allclose(manifest["counts"]["compression"], report.compression)


def _arguments(name):
    config = json.loads((catalogue.SHIPPED / name / "config.json").read_text())
    return config["recipe"]["model"]


def test_the_card_of_a_network_that_was_not_compressed_claims_no_factor(tmp_path):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    card = (cvzoo.save_preset(model, tmp_path / "plain") / "README.md").read_text()
    assert "| parameters | 21 |\n| that are not zero | 21 |\n" in card
    assert "tags: [keras, tensorflow]\n" in card
    assert "compression" not in card


def test_texts_are_kept_as_they_are(tmp_path):
    text = "values [ 1,  2 ] and [3,\n4]"
    folder = cvzoo.save_preset(small_model(), tmp_path / "a", description=text)
    assert preset_files.read_manifest(folder)["description"] == text


def test_a_link_to_a_folder_stays_and_the_folder_is_replaced(preset, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(preset)
    cvzoo.save_preset(small_model(), link, name="small", overwrite=True)
    assert link.is_symlink() and preset.is_dir()
    cvzoo.from_preset(preset)


def test_what_cannot_be_put_in_place_leaves_the_old_one(preset, monkeypatch):
    before = {path.name: path.read_bytes() for path in preset.iterdir()}
    siblings = sorted(preset.parent.iterdir())
    replace = os.replace

    def refusing(source, target):
        if Path(source).name == "new":
            raise OSError("in use")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refusing)
    with pytest.raises(OSError, match="in use"):
        cvzoo.save_preset(small_model(), preset, overwrite=True)
    assert {path.name: path.read_bytes() for path in preset.iterdir()} == before
    assert sorted(preset.parent.iterdir()) == siblings


def test_examples_that_cannot_be_run_are_an_error_of_the_preset(tmp_path):
    inputs = keras.Input((None,))
    outputs = keras.layers.Flatten()(keras.layers.Reshape((5, -1))(inputs))
    model = keras.Model(inputs, outputs)
    folder = cvzoo.save_preset(model, tmp_path / "a", examples=np.ones((2, 10)))
    path = folder / "metadata.json"
    manifest = json.loads(path.read_text())
    for stored in manifest["examples"].values():
        stored.update(shape=[2, 7], values=[1.0] * 14)
    path.write_text(json.dumps(manifest))
    with pytest.raises(
        PresetError, match="Preset .*cannot be run on the stored examples"
    ):
        cvzoo.from_preset(folder, verify=True)


def test_small_outputs_are_compared_by_their_own_size(preset):
    path = preset / "metadata.json"
    manifest = json.loads(path.read_text())
    outputs = manifest["examples"]["outputs"]
    largest = max(map(abs, outputs["values"]))
    for part, is_good in ((0.5e-4, True), (2e-4, False)):
        changed = json.loads(json.dumps(manifest))
        changed["examples"]["outputs"]["values"][0] += part * largest
        path.write_text(json.dumps(changed))
        if is_good:
            cvzoo.from_preset(preset, verify=True)
        else:
            with pytest.raises(PresetError, match="stored examples differ by"):
                cvzoo.from_preset(preset, verify=True)


@pytest.mark.parametrize("classes", [0, 2.5])
def test_a_wrong_number_of_classes_is_no_fault_of_the_preset(classes):
    with pytest.raises(ValueError, match="`classes` must be") as caught:
        cvzoo.from_preset("no such preset", classes=classes)
    assert not isinstance(caught.value, PresetError)


def test_classes_must_be_as_many_as_scores(tmp_path):
    with pytest.raises(PresetError, match=r"2 names, and outputs of \[3\] scores"):
        cvzoo.save_preset(small_model(), tmp_path / "x", classes=["a", "b"])
    assert list(tmp_path.iterdir()) == []


def test_layers_that_run_code_are_refused_by_name(tmp_path):
    x = keras.Input((4,))
    y = keras.layers.Lambda(lambda x: x + 1, name="plus_one")(x)
    with pytest.raises(ArchitectureError, match="Layer 'plus_one' is a Lambda, which"):
        cvzoo.save_preset(keras.Model(x, keras.layers.Dense(2)(y)), tmp_path / "x")


def test_a_folder_that_is_no_preset_is_told_from_a_name(tmp_path, monkeypatch):
    (tmp_path / "run" / "preset").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PresetError, match="No preset in folder run: it has no meta"):
        cvzoo.from_preset("run")
    (tmp_path / "run" / "preset" / "metadata.json").write_text("{}")
    with pytest.raises(PresetError, match=r"There is one in run.preset\."):
        cvzoo.from_preset("run")
