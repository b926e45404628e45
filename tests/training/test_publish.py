"""Runs that are shipped as presets, and what they tell of seeds."""

import json

import pytest

from cvzoo import catalogue, preset_files
from training import config as configs
from training import publish, repeats, run_folder, train

NAME = "two_layer_dense_complex_vd_digits"
POINT = {
    "recipe": NAME,
    "strength": "",
    "folds": [0] * 5,
    "seeds": [0, 1, 2, 3, 4],
    "after": [93.456, 0.2],
    "spread": {"after": 0.5, "numbers": 30.0},
}


@pytest.fixture
def config():
    return train.quick(configs.get(NAME))


@pytest.fixture
def points(tmp_path, config):
    path = tmp_path / "points.json"
    point = {**POINT, "config": {**config, "seed": 4}}
    path.write_text(json.dumps([{**point, "strength": "0.4"}, point]))
    return path


@pytest.mark.slow
def test_a_published_preset_tells_of_its_seeds(tmp_path, config, points, monkeypatch):
    workdir, shipped = tmp_path / "run", tmp_path / "zoo"
    # A small recipe, as if it were the one of that name.
    monkeypatch.setattr(configs, "get", lambda name: config)
    train.run(config, workdir, quiet=True)
    arguments = [str(workdir), "--repeats", str(points), "--to", str(shipped)]
    assert publish.main(arguments) == 0
    manifest = preset_files.read_manifest(shipped / NAME)
    kept = preset_files.read_manifest(workdir / run_folder.PRESET)
    scores = manifest["scores"]
    assert (scores[repeats.SEEDS], scores[repeats.MEAN]) == (5, 0.9346)
    assert scores[repeats.DEVIATION] == 0.005
    assert scores.items() > kept["scores"].items()
    weights = "weights.safetensors"
    assert manifest["files"][weights] == kept["files"][weights]
    card = (shipped / NAME / "README.md").read_text()
    assert "| test, standard deviation over seeds | 0.005 |" in card

    monkeypatch.setattr(catalogue, "SHIPPED", shipped)
    config = run_folder.read_config(workdir)
    near = repeats.verdict({**config, "seed": 9}, 0.9346 + 0.0149, n_test=1000)
    assert near == (
        "The recipe gave 93.5 ± 0.5 % (standard deviation over 5 seeds); this run is "
        "within 3 of them."
    )
    assert "is NOT within 3" in repeats.verdict(config, 0.9346 - 0.0151, n_test=1000)
    # An accuracy is known no better than to one example.
    assert "is within 3" in repeats.verdict(config, 0.9346 - 0.0151, n_test=100)
    # Of another recipe nothing is known.
    changed = {**config, "loss": "mse"}
    assert repeats.verdict(changed, 0.9, n_test=1000) is None
    assert repeats.verdict({**config, "name": "other"}, 0.9, n_test=1000) is None


@pytest.mark.slow
def test_only_the_recipe_itself_is_published(tmp_path, config, capsys):
    assert publish.main([str(tmp_path)]) == 2
    assert "must hold a finished run" in capsys.readouterr().err
    train.run(config, tmp_path, quiet=True)
    assert publish.main([str(tmp_path), "--to", str(tmp_path / "zoo")]) == 2
    told = capsys.readouterr().err
    assert "a changed recipe" in told and "model.units is 8 and not 512" in told
    assert not (tmp_path / "zoo").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": "other"},
        {"strength": "0.4"},
        {"seeds": [0], "folds": [0]},
        {"folds": [0, 1, 2, 3, 4]},
        {"config": {"name": NAME, "seed": 0}},
    ],
)
def test_other_repetitions_are_refused(change, points, config):
    (_, point) = json.loads(points.read_text())
    points.write_text(json.dumps([{**point, **change}]))
    with pytest.raises(ValueError, match="of one fold and several seeds"):
        repeats.scores_of(points, config)
