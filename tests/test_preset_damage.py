"""Presets that were damaged or changed, in every way, are refused."""

import json
import os
import re

import numpy as np
import pytest

import cvzoo
from cvzoo import packing, preset_files, weights
from cvzoo.preset_files import PresetError


@pytest.mark.parametrize("name", sorted(preset_files.FILES))
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
    if name != preset_files.MANIFEST:
        state = preset_files.describe_bytes(path.read_bytes())
        rewrite(
            folder, preset_files.MANIFEST, lambda m: m["files"].update({name: state})
        )


def test_an_unknown_file_is_refused(preset):
    (preset / "extra.py").write_text("print()")
    with pytest.raises(PresetError, match=r"Unknown: \['extra.py'\]"):
        cvzoo.from_preset(preset)


def test_what_git_and_the_hub_put_beside_is_left_alone(preset, saved):
    (preset / ".gitattributes").write_text("*.safetensors filter=lfs")
    for name in (".git", ".cache"):
        (preset / name).mkdir()
    cvzoo.from_preset(preset, verify=True)
    with pytest.raises(PresetError, match=r"not replaced.*\['.cache', '.git'"):
        cvzoo.save_preset(saved[1], preset, overwrite=True)
    (preset / ".gitignore").touch()
    with pytest.raises(PresetError, match=r"Unknown: \['.gitignore'\]"):
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
        (lambda m: m.pop("tensors"), "expected the keys"),
        (lambda m: m.update(code="x"), "expected the keys"),
        (lambda m: m.update(format=3), "this version of cvzoo reads 1, 2"),
        (lambda m: m.update(tensors=[]), "of the wrong kind: \\['tensors'\\]"),
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
    tensors["hidden/bias"] = tuple(np.ones((2, 13), np.float32))
    (preset / "weights.safetensors").write_bytes(packing.pack(tensors))
    state = preset_files.describe_bytes((preset / "weights.safetensors").read_bytes())

    def change(manifest):
        manifest["files"]["weights.safetensors"] = state
        manifest["tensors"]["hidden/bias"]["shape"] = [13]

    rewrite(preset, "metadata.json", change)
    with pytest.raises(PresetError, match="the layers have"):
        cvzoo.from_preset(preset)


def test_json_with_nan_or_of_another_kind_is_refused(preset):
    (preset / "metadata.json").write_text("[1, 2]")
    with pytest.raises(PresetError, match=r"must be a dictionary.*Found: \[1, 2\]"):
        cvzoo.from_preset(preset)
    (preset / "metadata.json").write_text('{"format": NaN}')
    with pytest.raises(PresetError, match="not valid JSON: NaN is not allowed"):
        cvzoo.from_preset(preset)


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
        found = preset_files.describe_bytes(text.encode())
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
