"""Runs that are shipped as presets, and what they tell of seeds."""

import json

import pytest

from cvzoo import catalogue
from training import config as configs
from training import publish, repeats, run_folder, train

NAME = "two_layer_dense_complex_vd_digits"
POINT = {
    "recipe": NAME,
    "strength": "",
    "runs": 5,
    "after": [93.456, 0.2],
    "spread": {"after": 0.5, "numbers": 30.0},
}


@pytest.fixture
def points(tmp_path):
    path = tmp_path / "points.json"
    path.write_text(json.dumps([{**POINT, "strength": "0.4"}, POINT]))
    return path


def test_a_published_preset_tells_of_its_seeds(tmp_path, points, monkeypatch, capsys):
    workdir, shipped = tmp_path / "run", tmp_path / "zoo"
    config = train.quick(configs.get(NAME))
    train.run(config, workdir, quiet=True)
    arguments = [str(workdir), "--repeats", str(points), "--to", str(shipped)]
    assert publish.main(arguments) == 0
    manifest = catalogue.read_manifest(shipped / NAME)
    kept = catalogue.read_manifest(workdir / run_folder.PRESET)
    scores = manifest["scores"]
    assert (scores[repeats.SEEDS], scores[repeats.MEAN]) == (5, 0.9346)
    assert scores[repeats.DEVIATION] == 0.005
    assert scores.items() > kept["scores"].items()
    weights = "weights.safetensors"
    assert manifest["files"][weights] == kept["files"][weights]
    card = (shipped / NAME / "README.md").read_text()
    assert "test, standard deviation over seeds: 0.005" in card

    monkeypatch.setattr(catalogue, "SHIPPED", shipped)
    config = run_folder.read_config(workdir)
    near = repeats.verdict(config, 0.9346 + 0.0149)
    assert near == (
        "The recipe gave 93.5 ± 0.5 % (standard deviation over 5 seeds); this run is "
        "within 3 of them."
    )
    assert "is NOT within 3" in repeats.verdict(config, 0.9346 - 0.0151)
    # Of another recipe nothing is known, nor of one that was changed.
    assert repeats.verdict({**config, "seed": 9}, 0.9) is None
    assert repeats.verdict({**config, "name": "other"}, 0.9) is None


def test_what_cannot_be_published_is_told(tmp_path, points, capsys):
    assert publish.main([str(tmp_path)]) == 2
    assert "must hold a finished run" in capsys.readouterr().err
    with pytest.raises(ValueError, match="at least two runs of 'other'"):
        repeats.scores_of(points, "other")
    points.write_text(json.dumps([{**POINT, "runs": 1}]))
    with pytest.raises(ValueError, match="at least two runs"):
        repeats.scores_of(points, NAME)
