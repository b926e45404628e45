"""Recipes over strengths and folds: runs, their shared beginning, and the table."""

import concurrent.futures
import copy
import dataclasses
import functools
import json
import time

import numpy as np
import pytest

from training import config as configs
from training import latency, run_folder, stages, tradeoff, train, workers
from training.callbacks import DivergenceError
from training.checkpoints import CheckpointError
from training.tradeoff import Point

VD = "two_layer_dense_complex_vd_digits"
ARD = "two_layer_dense_complex_ard_digits"
MAGNITUDE = "two_layer_dense_complex_magnitude_digits"
MNIST = "simple_conv_complex_vd_mnist"


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """In this process: others would each import TensorFlow."""
    pool = functools.partial(concurrent.futures.ThreadPoolExecutor, 1)
    monkeypatch.setattr(workers, "pool", pool)


@pytest.mark.slow
def test_a_trade_off_trains_what_is_missing_and_shares_what_is_alike(
    tmp_path, monkeypatch, capsys
):
    arguments = [VD, ARD, "--quicktest", "--folds", "0", "--out", str(tmp_path)]
    trained = []
    fit = stages.fit

    def watched(model, config, stage, *others, **options):
        trained.append((config["name"], stage))
        return fit(model, config, stage, *others, **options)

    monkeypatch.setattr(stages, "fit", watched)
    assert tradeoff.main(arguments) == 0
    assert trained == [
        *((VD, stage) for stage in ("pretrain", "sparsify", "finetune")),
        *((ARD, stage) for stage in ("sparsify", "finetune")),
    ]
    assert (tmp_path / "tradeoff.png").read_bytes().startswith(b"\x89PNG")
    assert f"| {VD} |" in (tmp_path / "table.md").read_text()
    assert "two_layer_dense" in capsys.readouterr().out
    trained.clear()
    assert tradeoff.main(arguments) == 0
    assert trained == []
    check_counts(tmp_path / VD / "recipe" / "0")


def check_counts(folder):
    """They are the paper's: before `shrink`, so that dead units are zeros too."""
    counts = json.loads((folder / "scores.json").read_text())["counts"]
    # 8 hidden units: 64·8 + 8 + 8·10 + 10 complex numbers.
    assert counts["parameters"] == 2 * (64 * 8 + 8 + 8 * 10 + 10)
    pruned = run_folder.load_model(folder / "finetune.keras")
    zeros = sum(
        2 * int(np.sum((np.asarray(real) == 0) & (np.asarray(imag) == 0)))
        for layer in pruned.layers
        if hasattr(layer, "kernel_real")
        for real, imag in [(layer.kernel_real, layer.kernel_imag)]
    )
    assert 0 < zeros == counts["zeros"]


def test_points_are_means_over_runs_with_paired_differences(tmp_path):
    runs = []
    for fold, (before, after, zeros) in enumerate([(0.9, 0.88, 990), (0.8, 0.82, 980)]):
        folder = tmp_path / "name" / "0.1" / str(fold)
        (folder / "preset").mkdir(parents=True)
        scores = {"test": {"pretrain": before, "finetune": after}}
        scores["validation"] = {"finetune": after + 0.01}
        scores["test_unseen"] = {"pretrain": 0.7, "finetune": after - 0.2}
        scores["counts"] = {"parameters": 1000, "zeros": zeros}
        (folder / "scores.json").write_text(json.dumps(scores))
        manifest = {
            "counts": {"nonzero": 10 + 2 * fold},
            "files": {"weights.safetensors": {"bytes": 100 + fold}},
        }
        (folder / "preset" / "metadata.json").write_text(json.dumps(manifest))
        runs.append(({"data": {"fold": fold}, "seed": 3}, folder))
    (point,) = tradeoff.collect(runs, tmp_path)
    assert (point.recipe, point.strength) == ("name", "0.1")
    assert (point.folds, point.seeds) == ([0, 1], [3, 3])
    assert point.config == runs[0][0]
    np.testing.assert_allclose(point.validation, (86, 3))
    np.testing.assert_allclose(point.before, (85, 5))
    np.testing.assert_allclose(point.after, (85, 3))
    np.testing.assert_allclose(point.difference, (0, 2))
    np.testing.assert_allclose(point.compression, (75, 25))
    np.testing.assert_allclose((point.numbers, point.bytes), ((11, 1), (100.5, 0.5)))
    assert list(point.more) == ["unseen"]
    np.testing.assert_allclose(point.more["unseen"], (65, 3))
    np.testing.assert_allclose(point.spread["after"], 6 / 2**0.5)
    np.testing.assert_allclose(point.spread["numbers"], 2**0.5)
    pictured = dataclasses.replace(point, config=configs.get(VD))
    tradeoff.write([pictured], tmp_path)
    headings, _, row = (tmp_path / "table.md").read_text().splitlines()
    cells = dict(zip(headings.split(" | "), row.split(" | "), strict=True))
    assert (cells["difference"], cells["unseen %"]) == ("+0.0 ± 2.0", "65.0 ± 3.0")


def test_strengths_are_those_of_the_recipes_file():
    runs = tradeoff.grid([VD], ["0.05", "0.4"], [(0, None), (3, 7)], tradeoff.Path("o"))
    terms = [
        config["stages"]["sparsify"]["sparsifiers"][0]["strength"] for config, _ in runs
    ]
    assert terms == [0.05, 0.05, 0.4, 0.4]
    assert [(config["data"]["fold"], config["seed"]) for config, _ in runs[:2]] == [
        (0, 0),
        (3, 7),
    ]
    assert [str(folder) for _, folder in runs[:2]] == [
        f"o/{VD}/0.05/0",
        f"o/{VD}/0.05/3_seed7",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "No recipe is called 'nothing'"),
        ([VD, "--strengths", "7"], "must be of 0.05, 0.17, 0.22, 0.4. Received: '7'"),
        ([VD, "--strengths", "0.05, 0.05"], "--strengths must differ"),
        ([VD, VD], "CONFIG must differ"),
        ([MAGNITUDE, "--strengths", "0.05"], "has no strength to change"),
        ([MNIST, "--seeds", "0,1"], "'mnist' has no folds: numbers of folds are seeds"),
        ([VD, "--folds", "0,0"], "`--folds` must be different numbers"),
        ([VD, "--seeds", "one"], "`--seeds` must be different numbers"),
        (["dcnn_digits", "--strengths", "all"], "gives no strengths"),
        (["dcnn_digits"], "dcnn_digits has no stage 'sparsify'"),
    ],
)
def test_what_cannot_be_traded_off_is_told(arguments, message, tmp_path, capsys):
    assert tradeoff.main([*arguments, "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_rows_of_one_run_have_no_errors():
    point = Point(
        *("name", "0.1", [0], [0], None, (93.75, None), (93.0, None), (-0.75, None)),
        *((100.4, None), (1234.0, None), (5678.0, None), {}, {}, (0.5, 0.25)),
    )
    assert tuple(tradeoff.cells(point).values()) == (
        *("name", "0.1", "", "93.8", "93.0", "-0.8", "×100", "1,234", "5,678"),
        *("0.50", "0.25"),
    )


def test_latency_is_of_one_example_and_positive():
    import cvzoo

    model = cvzoo.create_model("two_layer_dense", units=4, input_shape=(4, 4, 1))
    times = latency.one_example([model, model])
    assert len(times) == 2 and min(times) > 0


@pytest.mark.slow
def test_the_first_stage_of_another_recipe_is_not_shared(tmp_path):
    config = train.quick(configs.get(VD))
    train.run(config, tmp_path / "old", quiet=True)
    weaker = configs.with_strength(config, 0.01)
    tradeoff._share_first_stage(weaker, tmp_path / "weaker", [tmp_path / "old"])
    old, new = (tmp_path / name / "pretrain.keras" for name in ("old", "weaker"))
    assert new.read_bytes() == old.read_bytes()
    longer = copy.deepcopy(config)
    longer["stages"]["pretrain"]["epochs"] = 2
    tradeoff._share_first_stage(longer, tmp_path / "longer", [tmp_path / "old"])
    assert not (tmp_path / "longer" / "pretrain.keras").exists()
    with pytest.raises(CheckpointError, match="a run of another recipe"):
        tradeoff._share_first_stage(longer, tmp_path / "old", [])


def test_runs_that_begin_alike_go_side_by_side_after_one_has(tmp_path, monkeypatch):
    """One that is there already is not made again."""
    config = train.quick(configs.get(VD))
    weaker, other = configs.with_strength(config, 0.01), {**config, "seed": 5}
    runs = [
        (one, tmp_path / name)
        for one, name in ((config, "a"), (weaker, "b"), (other, "alone"))
    ]
    done = []
    monkeypatch.setattr(
        tradeoff, "_pretrain", lambda config, folder: done.append(("first", folder))
    )
    monkeypatch.setattr(
        tradeoff,
        "_train",
        lambda config, folder, others: done.append(("all", folder)),
    )
    tradeoff.train_all(runs)
    assert done[0] == ("first", tmp_path / "a")
    assert sorted(done[1:]) == [
        ("all", tmp_path / name) for name in ("a", "alone", "b")
    ]
    monkeypatch.undo()
    tradeoff._pretrain(*runs[0])
    assert (tmp_path / "a" / "pretrain.keras").exists()
    assert not (tmp_path / "a" / "sparsify.csv").exists()
    assert tradeoff._has_first_stage(weaker, tmp_path / "a")
    assert not tradeoff._has_first_stage(other, tmp_path / "a")


def test_a_run_that_fails_stops_those_that_have_not_begun(tmp_path, monkeypatch):
    begun = []

    def fail(config, folder, others):
        begun.append(folder)
        if len(begun) > 1:
            time.sleep(0.5)
        raise DivergenceError("The loss became nan.")

    monkeypatch.setattr(tradeoff, "_train", fail)
    arguments = [VD, "--folds", "0,1,2,3,4", "--out", str(tmp_path)]
    assert tradeoff.main(arguments) == 2
    assert len(begun) < 5
