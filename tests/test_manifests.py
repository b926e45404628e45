"""Manifests: their schema, and what becomes of those of an earlier format."""

import json

import numpy as np
import pytest

import cvzoo
from cvzoo import manifests, preset_files
from tests.helpers import small_model

NEW = {"inputs", "outputs", "licence", "command", "latency"}


@pytest.fixture
def manifest(preset):
    return json.loads((preset / "metadata.json").read_text())


def as_first(manifest):
    """A manifest as format 1 had it."""
    old = {key: value for key, value in manifest.items() if key not in NEW}
    return {**old, "format": 1, "data": {"name": "digits", "inputs": "ink 0 to 1"}}


def test_a_preset_of_the_first_format_is_read(preset, manifest):
    (preset / "metadata.json").write_text(json.dumps(as_first(manifest)))
    found = preset_files.read_manifest(preset)
    assert found["format"] == 2
    assert found["data"] == {"name": "digits"}
    assert found["inputs"][""]["meaning"] == "ink 0 to 1"
    assert found["outputs"] == {"decode": "values", "logits": False}
    cvzoo.from_preset(preset)


def test_what_the_first_format_lacks_is_said_to_be_unknown(manifest):
    found = manifests.checked(as_first(manifest) | {"data": {}})
    assert (found["inputs"], found["latency"]) == ({}, {})
    assert (found["licence"], found["command"]) == ("", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 1}, "In the manifest.*of the wrong kind: \\[\\]"),
        ({"format": 3}, "format 3; this version of cvzoo reads 1, 2. Install"),
        ({"format": True}, "with a `format`, a number"),
        ({"licence": 3}, "of the wrong kind: \\['licence'\\]"),
        ({"latency": {"milliseconds": 1}}, "`latency`, expected the keys"),
        (
            {"latency": {"milliseconds": None, "hardware": "", "date": ""}},
            "`latency`.*of the wrong kind: \\['milliseconds'\\]",
        ),
        ({"outputs": {"decode": "notes", "logits": True}}, "kind: \\['decode'\\]"),
        ({"inputs": {"x": {"meaning": "ink"}}}, "input 'x', expected the keys"),
        (
            {"inputs": {"x": {"meaning": "", "range": [1, 0], "sample_rate": None}}},
            "input 'x'.*kind: \\['range'\\]",
        ),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(manifest, change, message):
    with pytest.raises(manifests.ManifestError, match=message):
        manifests.checked({**manifest, **change})


def test_what_is_told_of_a_model_is_kept(tmp_path):
    told = {"meaning": "sound", "range": [-1, 1], "sample_rate": 11_000}
    latency = {"milliseconds": 0.5, "hardware": "a laptop", "date": "2026-11-27"}
    folder = cvzoo.save_preset(
        small_model(),
        tmp_path / "one",
        inputs=told,
        outputs="each class",
        licence="MIT",
        command="make it",
        latency=latency,
        classes="abc",
        scores={"metric": "accuracy, test", "test": 0.5},
        data={"name": "tones: 'A'"},
    )
    found = preset_files.read_manifest(folder)
    assert list(found["inputs"].values()) == [told]
    assert found["outputs"]["decode"] == "each class"
    card = (folder / "README.md").read_text()
    for line in (
        "sound; from -1 to 1; 11,000 hertz |",
        "| one call for one example | 0.5 ms (a laptop, 2026-11-27) |",
        "| made by | `make it` |",
        "license: mit\n",
        "    dataset: {type: other, name: \"tones: 'A'\"}\n",
    ):
        assert line in card


def test_tuples_and_numbers_of_numpy_are_kept(tmp_path):
    folder = cvzoo.save_preset(
        small_model(),
        tmp_path / "one",
        inputs={"meaning": "ink", "range": (np.float32(0), np.int64(16))},
        latency={"milliseconds": np.float64(2), "hardware": "", "date": ""},
        scores={"test": np.float32(0.5)},
        classes=tuple("abc"),
    )
    found = preset_files.read_manifest(folder)
    (told,) = found["inputs"].values()
    assert told["range"] == [0, 16]
    assert found["latency"]["milliseconds"] == 2
    assert found["scores"]["test"] == 0.5


NAMES = ("", ".", "..", "a/b", "a\\b", "two\nlines", 'a"b', "my model", "-m", "é")


@pytest.mark.parametrize("name", NAMES)
def test_names_that_no_address_has_are_refused(manifest, name, tmp_path):
    with pytest.raises(ValueError, match="`name` of a preset must be letters"):
        cvzoo.save_preset(small_model(), tmp_path / "one", name=name)
    assert not (tmp_path / "one").exists()
    with pytest.raises(ValueError, match="`name` of a preset must be letters"):
        manifests.checked({**manifest, "name": name})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": "ink"}, "`inputs` must be a dictionary. Received: 'ink'"),
        ({"latency": 3}, "`latency` must be a dictionary. Received: 3"),
        ({"licence": object()}, "`licence` must hold text"),
        ({"description": "\x1b[2J"}, "metadata.json.*only the line feed"),
        ({"classes": ["a\nb", "c", "d"]}, "`classes` must be texts of one line"),
        ({"inputs": {"sound": {"meaning": ""}}}, "tell of the model's inputs"),
        ({"outputs": "notes"}, "of the wrong kind: \\['decode'\\]"),
        ({"latency": {"milliseconds": -1}}, "`latency`"),
        ({"inputs": {"meaning": 3}}, "of the wrong kind: \\['meaning'\\]"),
    ],
)
def test_what_cannot_be_told_is_refused(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        cvzoo.save_preset(small_model(), tmp_path / "one", **arguments)
    assert not list(tmp_path.iterdir())


def test_an_input_that_something_else_is_told_of_is_refused(tmp_path):
    model = small_model()
    inputs = {model.inputs[0].name: "ink"}
    with pytest.raises(ValueError, match="a dictionary for each input.*'ink'"):
        cvzoo.save_preset(model, tmp_path / "one", inputs=inputs)
