"""What exports take: rows of `cvzoo bench`, and the verdict."""

import dataclasses
import json

import keras
import pytest

from cvzoo import catalogue, cli, preset_files
from cvzoo.exporting import litert, measuring, rivals
from cvzoo.exporting.rivals import Rival, Rivals

NAME = "two_layer_dense_complex_unit_ard_magnitude_digits"


@pytest.fixture
def saved_models_only(monkeypatch, in_this_process):
    monkeypatch.setattr(litert, "is_installed", lambda: False)
    monkeypatch.setattr(measuring, "ROUNDS", 1)


def network(units):
    """Described: pixels → a hidden layer → classes."""
    x = keras.Input((8, 8, 1), name="pixels")
    y = keras.layers.Dense(units, name="hidden")(keras.layers.Flatten()(x))
    return rivals.describe(keras.Model(x, keras.layers.Dense(10, name="logits")(y)))


def rivals_file(path, rows, preset=NAME):
    about = ("accuracy, test split", "3 folds", "python -m x", "2 cores", "2026-01-01")
    rivals.write(path, Rivals(preset, *about, rows))
    return path


def test_without_rivals_there_is_the_network_of_the_recipe(
    monkeypatch, saved_models_only
):
    monkeypatch.setattr(rivals, "shipped", lambda name: None)
    found = measuring.measure(NAME, batches=(1,))
    small, large = found.rows
    assert small.name == f"{NAME}, SavedModel"
    assert large.name == "uncompressed, SavedModel"
    manifest = preset_files.read_manifest(catalogue.SHIPPED / NAME)
    assert small.numbers == manifest["counts"]["nonzero"]
    assert large.numbers <= manifest["counts"]["baseline_parameters"]
    scores = manifest["scores"]
    assert small.test == pytest.approx(100 * scores["test"], abs=0.01)
    before = scores["test before compression"]
    assert large.test == pytest.approx(100 * before, abs=0.01)
    # A transform of 64 points; 64 · 31 and 31 · 10 complex products, and those of the
    # network before.
    transform = 2.5 * 64 * 6
    assert small.multiply_adds == transform + 4 * (64 * 31 + 31 * 10)
    assert large.multiply_adds == transform + 4 * (64 * 512 + 512 * 10)
    assert found.verdict == {"SavedModel": ()} and found.has_rivals
    assert found.scores == {"metric": scores["metric"]}


def test_rivals_that_are_smaller_and_no_worse_dominate(tmp_path, saved_models_only):
    ours = Rival("unit ARD + magnitude", True, 93.0, 0.4, 1, 1, network(8))
    rows = [
        Rival("uncompressed", False, 93.5, 0.3, 1, 1, network(512)),
        ours,
        Rival("worse", False, 92.9, 0.3, 1, 1, network(5)),
        Rival("as good", False, 93.0, None, 1, 1, network(6)),
        Rival("constant prior", False, 99.0, None, 1, 1),
    ]
    file = rivals_file(tmp_path / "rivals.json", rows)
    found = measuring.measure(NAME, (1, 3), rivals_file=file)
    by_name = {row.network: row for row in found.rows}
    # What is ours is the preset itself; a prior cannot be exported.
    assert list(by_name) == [NAME, "uncompressed", "worse", "as good"]
    assert (by_name[NAME].test, by_name[NAME].error) == (93.0, 0.4)
    assert by_name["worse"].multiply_adds == 64 * 5 + 5 * 10
    # All times are 0 here, so that scores and bytes decide.
    assert found.verdict == {"SavedModel": ("as good",)}
    assert by_name["uncompressed"].dominated_by == ()
    assert by_name["worse"].dominated_by == ()
    assert found.scores["repetitions"] == "3 folds"


def row(name, format, test, size, first, second):
    times = {1: (first, 9.0), 64: (second, 9.0)}
    return measuring.Row(name, format, test, None, size, 1, 1, times, 1)


def test_only_exports_for_one_runtime_are_compared():
    ours = row("ours", "LiteRT", 90.0, 100, 1.0, 5.0)
    others = [
        row("saved", "SavedModel", 99.0, 1, 0.1, 0.1),
        row("eight bits", "LiteRT int8", 90.0, 100, 1.0, 4.7),
        row("slower for many", "LiteRT", 99.0, 1, 0.1, 5.3),
        row("not surely faster", "LiteRT", 90.0, 100, 0.97, 4.8),
        row("larger", "LiteRT", 99.0, 101, 0.1, 0.1),
        row("worse", "LiteRT", 89.9, 1, 0.1, 0.1),
        row("equal", "LiteRT", 90.0, 100, 1.0, 5.0),
        row("unknown", "LiteRT", None, 1, 0.1, 0.1),
    ]
    assert list(measuring._dominating(ours, [ours, *others])) == ["eight bits"]


def test_rivals_of_another_preset_are_refused(tmp_path):
    file = rivals_file(tmp_path / "rivals.json", [], preset="dcnn_digits")
    with pytest.raises(rivals.RivalsError, match="rivals of 'dcnn_digits', not of"):
        measuring.measure(NAME, rivals_file=file)


def test_the_command_prints_what_was_found(tmp_path, monkeypatch, capsys):
    ours = dataclasses.replace(
        row("ours", "LiteRT", 90.0, 2**11, 1.0, 5.0), dominated_by=("small", "linear")
    )
    plain = dataclasses.replace(
        row("plain", "LiteRT", 91.25, 9, 1, 1), error=0.34, multiply_adds=None
    )
    scores = {
        **{"metric": "accuracy, test split of digits", "repetitions": "2 folds"},
        **{"command": "python -m x", "hardware": "2 cores", "date": "2026-01-01"},
    }
    found = measuring.Measured("ours", scores, [ours, plain])
    monkeypatch.setattr(measuring, "measure", lambda *_, **__: found)
    picture = tmp_path / "picture.png"
    assert cli.main(["bench", "ours", "--out", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "91.2 ± 0.3" in out and "2,048" in out
    assert "ours: 1 numbers, 1 multiply-adds\n" in out
    assert "plain: 1 numbers, multiply-adds not known\n" in out
    assert "ours, LiteRT: DOMINATED by small, linear" in out
    assert "mean of 2 folds (`python -m x`, 2 cores, 2026-01-01)" in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert cli.main(["bench", "ours", "--json", "--out", str(picture)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == {"LiteRT": ["small", "linear"]}
    assert [one["bytes"] for one in told["rows"]] == [2048, 9]


def test_the_command_gives_no_verdict_over_nothing(tmp_path, monkeypatch, capsys):
    alone = dataclasses.replace(row("mine", "LiteRT", 0, 9, 1, 1), test=None)
    found = measuring.Measured("mine", {"metric": ""}, [alone])
    monkeypatch.setattr(measuring, "measure", lambda *_, **__: found)
    picture = tmp_path / "picture.png"
    assert cli.main(["bench", "mine", "--out", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "No rivals are known" in out and "training.compare mine" in out
    assert "dominated" not in out and not picture.exists()
