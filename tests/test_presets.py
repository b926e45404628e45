"""Presets: round trips, training on, and every kind of damage."""

import json
import os
import re
import shutil
import tracemalloc

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import catalogue, packing, presets, sparsity, weights
from cvzoo.catalogue import PresetError
from tests.helpers import small_model

COMPILE = {
    "loss": "sparse_categorical_crossentropy",
    "from_logits": True,
    "metrics": ["accuracy"],
    "learning_rate": 0.01,
    "global_clipnorm": 0.5,
}


def inputs_of(model, examples=16):
    shape = (examples, *model.input_shape[1:])
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def sparse_model():
    def mask(layer):
        shape = sparsity.kernel_variables(layer)[0].shape
        return (np.random.default_rng(0).random(shape) < 0.3).astype(np.float32)

    return sparsity.with_masks(small_model(), mask)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A preset folder and its model."""
    model = sparse_model()
    folder = tmp_path_factory.mktemp("presets") / "small"
    cvzoo.save_preset(
        model, folder, compile=COMPILE, examples=inputs_of(model, 2), classes="abc"
    )
    return folder, model


@pytest.fixture
def preset(saved, tmp_path):
    """A copy of the preset folder that a test may damage."""
    return shutil.copytree(saved[0], tmp_path / "small")


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
    manifest = catalogue.read_manifest(folder)
    report = cvzoo.compression_report(model)
    assert manifest["counts"]["nonzero"] == report.nonzero
    assert manifest["classes"] == ["a", "b", "c"]
    assert manifest["files"]["weights.safetensors"]["bytes"] == report.bytes


@pytest.mark.parametrize("name", sorted(catalogue.FILES))
@pytest.mark.parametrize("damage", ["lost byte", "changed byte", "missing"])
def test_a_damaged_file_is_found(preset, name, damage):
    path = preset / name
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "lost byte":
        path.write_bytes(data[:-1])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    message = r"Missing: \['" if damage == "missing" else "was altered or damaged"
    with pytest.raises(PresetError, match=message):
        cvzoo.from_preset(preset)


def rewrite(folder, name, function):
    """Changes a JSON file of a preset, and its checksum in the manifest."""
    path = folder / name
    data = json.loads(path.read_text())
    function(data)
    path.write_text(json.dumps(data))
    if name != catalogue.MANIFEST:
        state = catalogue.describe_bytes(path.read_bytes())
        rewrite(folder, catalogue.MANIFEST, lambda m: m["files"].update({name: state}))


def test_an_unknown_file_is_refused(preset):
    (preset / "extra.py").write_text("print()")
    with pytest.raises(PresetError, match=r"Unknown: \['extra.py'\]"):
        cvzoo.from_preset(preset)


def test_weights_of_another_architecture_list_both_names(preset):
    def rename(data):
        data["layers"]["first"] = data["layers"].pop("hidden")
        text = json.dumps(data["calls"]).replace('"hidden"', '"first"')
        data["calls"] = json.loads(text)

    rewrite(preset, "architecture.json", rename)

    def rename_tensors(manifest):
        text = json.dumps(manifest["tensors"]).replace("hidden/", "first/")
        manifest["tensors"] = json.loads(text)

    rewrite(preset, "metadata.json", rename_tensors)
    with pytest.raises(PresetError) as caught:
        cvzoo.from_preset(preset)
    message = str(caught.value)
    assert re.search(r"Missing: \['first/bias', 'first/kernel'\]", message)
    assert re.search(r"Unknown: \['hidden/bias', 'hidden/kernel'\]", message)


def test_a_layer_outside_the_list_is_refused(preset):
    rewrite(
        preset,
        "architecture.json",
        lambda data: data["layers"]["hidden"].update({"class": "Lambda"}),
    )
    with pytest.raises(PresetError, match="class outside the list.*Known: .*Dense"):
        cvzoo.from_preset(preset)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("tensors"), "must have the keys"),
        (lambda m: m.update(code="x"), "must have the keys"),
        (lambda m: m.update(format=2), "this version of cvzoo reads 1"),
        (lambda m: m.update(tensors=[]), "of the wrong type: \\['tensors'\\]"),
        (lambda m: m["files"].pop("config.json"), "must list the files"),
        (lambda m: m["tensors"].update({"hidden/kernel": 3}), "small"),
        (lambda m: m["tensors"].pop("hidden/kernel"), "names in the weights file"),
        (lambda m: m["tensors"]["hidden/bias"].update(parts=1), "'hidden/bias'"),
        (lambda m: m["tensors"]["hidden/bias"].update(shape=[9]), "expected shape"),
    ],
)
def test_a_changed_manifest_is_refused(preset, change, message):
    rewrite(preset, "metadata.json", change)
    with pytest.raises(PresetError, match=message):
        cvzoo.from_preset(preset)


def test_weights_of_another_shape_than_the_layers_make_are_refused(preset, saved):
    tensors = weights.named_tensors(saved[1])
    tensors["hidden/bias"] = tuple(np.ones((2, 3), np.float32))
    (preset / "weights.safetensors").write_bytes(packing.pack(tensors))
    state = catalogue.describe_bytes((preset / "weights.safetensors").read_bytes())

    def change(manifest):
        manifest["files"]["weights.safetensors"] = state
        manifest["tensors"]["hidden/bias"]["shape"] = [3]

    rewrite(preset, "metadata.json", change)
    with pytest.raises(PresetError, match="the layers have"):
        cvzoo.from_preset(preset)


def test_loading_takes_the_memory_of_kernels_and_masks_only(tmp_path):
    layer = keras.layers.Dense(2**10, use_bias=False)
    model = keras.Sequential([keras.Input((2**11,)), layer])
    kernel = np.eye(2**11, 2**10, dtype=np.float32)
    layer.kernel.assign(kernel)
    cvzoo.save_preset(model, tmp_path / "preset")
    tracemalloc.start()
    loaded = cvzoo.from_preset(tmp_path / "preset")
    # In numpy: kernel and mask, which the layer may take as they are, and one byte for
    # each place of the mask.
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.8 * kernel.nbytes
    (masked,) = sparsity.sparse_layers(loaded)
    np.testing.assert_array_equal(masked.mask, kernel)
    np.testing.assert_array_equal(masked.kernel, kernel)


def test_json_with_nan_or_of_another_kind_is_refused(preset):
    (preset / "metadata.json").write_text("[1, 2]")
    with pytest.raises(PresetError, match="must have the keys"):
        cvzoo.from_preset(preset)
    (preset / "metadata.json").write_text('{"format": NaN}')
    with pytest.raises(PresetError, match="not valid JSON: NaN is not allowed"):
        cvzoo.from_preset(preset)


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


def test_outputs_that_differ_from_the_stored_ones_are_found(preset):
    def shift(manifest):
        manifest["examples"]["outputs"]["values"][0] += 0.01

    rewrite(preset, "metadata.json", shift)
    cvzoo.from_preset(preset)
    with pytest.raises(PresetError, match="stored examples differ by 0.01"):
        cvzoo.from_preset(preset, verify=True)


@pytest.mark.parametrize("examples", [{"inputs": 3}, {"inputs": {}, "outputs": {}}])
def test_examples_of_another_form_are_refused(preset, examples):
    rewrite(preset, "metadata.json", lambda m: m.update(examples=examples))
    with pytest.raises(PresetError):
        cvzoo.from_preset(preset, verify=True)


def test_a_config_of_another_form_is_refused(preset):
    for text in ("[]", "3", '{"recipe": {}}'):
        (preset / "config.json").write_text(text)
        found = catalogue.describe_bytes(text.encode())
        rewrite(
            preset,
            "metadata.json",
            lambda m, found=found: m["files"].update({"config.json": found}),
        )
        with pytest.raises(PresetError):
            cvzoo.from_preset(preset)


def test_what_is_no_plain_file_is_not_read(preset):
    (preset / "README.md").unlink()
    os.mkfifo(preset / "README.md")
    with pytest.raises(PresetError, match="must be a plain file"):
        cvzoo.from_preset(preset)
    (preset / "README.md").unlink()
    (preset / "README.md").symlink_to("/dev/zero")
    with pytest.raises(PresetError, match="must be a plain file"):
        cvzoo.from_preset(preset)


def test_a_folder_with_other_files_is_never_replaced(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(PresetError, match=r"not replaced.*\['thesis.txt'\]"):
        cvzoo.save_preset(small_model(), folder, overwrite=True)
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_examples_that_cannot_be_kept_are_refused(tmp_path):
    with pytest.raises(PresetError, match="one real input"):
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
    assert catalogue.read_manifest(folder)["scores"] == {"test": 0.5}


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

    monkeypatch.setattr(presets, "_write_files", disk_full)
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
    manifest = catalogue.read_manifest(catalogue.SHIPPED / name)
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
    assert "- Parameters: 21.\n" in card
    assert "tags: [keras, tensorflow]\n" in card
    assert "compression" not in card
