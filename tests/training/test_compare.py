"""A recipe beside its baselines: rows that are kept, tables, pictures."""

import concurrent.futures
import functools
import json
import re

import numpy as np
import pytest

import cvzoo
from cvzoo.exporting import rivals
from training import compare, demo, results, workers
from training import config as configs
from training.baselines import Row

NAME = "radio_net_complex_unit_ard_magnitude_radio"


@pytest.mark.slow
def test_a_comparison_goes_on_where_it_was_stopped(tmp_path, monkeypatch, capsys):
    # A few rows, made here: processes would each import TensorFlow.
    label = "unit ARD + magnitude"
    jobs = [("main", label), ("rounded", f"{label}, float16", "float16")]
    monkeypatch.setattr(compare, "our_jobs", lambda config: jobs)
    monkeypatch.setattr(compare, "BASELINES", ("linear", "constant_prior"))
    one_thread = functools.partial(concurrent.futures.ThreadPoolExecutor, 1)
    monkeypatch.setattr(workers, "pool", one_thread)
    arguments = [NAME, "--quicktest", "--folds", "0", "--out", str(tmp_path)]
    assert compare.main(arguments) == 0
    kept = {path.stem: path for path in (tmp_path / "fold0" / "rows").iterdir()}
    rounded = "rounded_unit_ARD_magnitude_float16"
    assert set(kept) == {
        *("uncompressed", "main_unit_ARD_magnitude", rounded),
        *("linear", "constant_prior"),
    }
    for name in ("tradeoff", "accuracy_by_snr", "confusion"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    # A row that is there is read, and not made again.
    stored = json.loads(kept[rounded].read_text())
    stored["row"]["numbers"] = 123_456
    kept[rounded].write_text(json.dumps(stored))
    # One that was made for something else is.
    stored = json.loads(kept["linear"].read_text())
    stored["row"]["numbers"], stored["made for"]["config"]["seed"] = 654_321, 9
    kept["linear"].write_text(json.dumps(stored))
    # So is one of an earlier version, which kept the row alone.
    kept["constant_prior"].write_text(json.dumps({"name": "old", "numbers": 777_888}))
    before = (tmp_path / "fold0" / "finetune.keras").stat().st_mtime_ns
    assert compare.main(arguments) == 0
    table = (tmp_path / "table.md").read_text()
    assert "123,456" in table
    assert "654,321" not in table and "777,888" not in table
    assert (tmp_path / "fold0" / "finetune.keras").stat().st_mtime_ns == before
    assert "unit ARD + magnitude" in " ".join(capsys.readouterr().out.split())


def test_rows_of_several_recipes_come_in_one_table(tmp_path, monkeypatch, capsys):
    rows = {
        "dcnn_dense_digits": [("uncompressed",), ("float16",), ("constant_prior",)],
        "dcnn_low_rank_digits": [("main", "low rank")],
    }
    monkeypatch.setattr(compare, "plan", lambda config: ([*rows.items()], ["low rank"]))
    one_thread = functools.partial(concurrent.futures.ThreadPoolExecutor, 1)
    monkeypatch.setattr(workers, "pool", one_thread)
    arguments = ["dcnn_low_rank_digits", "--quicktest", "--folds", "0"]
    assert compare.main([*arguments, "--out", str(tmp_path)]) == 0
    table = (tmp_path / "table.md").read_text().splitlines()[2:]
    names = [line.split("|")[1].strip(" *") for line in table]
    assert names == [
        "uncompressed",
        "uncompressed, float16",
        "constant prior",
        names[3],
    ]
    assert names[3] == "low rank"
    found = rivals.read(tmp_path / "rivals.json")
    assert found.preset == "dcnn_low_rank_digits" and found.repetitions == "1 fold"
    command = "python -m training.compare dcnn_low_rank_digits --folds 0 --quicktest"
    assert found.command == command
    assert found.ours.name == "low rank" and found.ours.network is not None
    plain = rivals.build(found.named("uncompressed").network)
    assert plain.count_params() == found.named("uncompressed").numbers
    # Their values are rounded, or it is no network.
    for name in ("uncompressed, float16", "constant prior"):
        assert found.named(name).network is None
    for name in rows:
        assert (tmp_path / name / "fold0" / "preset" / "weights.safetensors").is_file()


def test_rows_can_be_chosen():
    planned, _ = compare.plan(configs.get("two_layer_dense_complex_vd_digits"))
    ((name, jobs),) = compare.only(planned, ["linear", "low_rank"])
    assert name == "two_layer_dense_complex_vd_digits"
    assert [job[0] for job in jobs] == ["uncompressed", "main", "low_rank", "linear"]


def test_rows_that_there_are_none_of_are_refused(tmp_path, capsys):
    arguments = ["dcnn_digits", "--rows", "linear,lineer", "--out", str(tmp_path)]
    assert compare.main(arguments) == 2
    err = capsys.readouterr().err
    assert "`--rows` must be some of" in err and "Received: lineer" in err


def test_accuracy_by_group_is_averaged_over_folds_by_hand():
    def row(name, groups):
        return Row(name, 1, 1, 0.5, 0.5, groups)

    folds = [
        [row("ours", {"-2": 0.5, "10": 0.9}), row("prior", None)],
        [row("ours", {"-2": 0.7, "10": 0.9}), row("prior", None)],
    ]
    curves = results.by_group(folds)
    assert list(curves) == ["ours"]
    groups, mean, error = curves["ours"]
    np.testing.assert_array_equal(groups, [-2, 10])
    np.testing.assert_allclose(mean, [60, 90])
    np.testing.assert_allclose(error, [10, 0], atol=1e-9)


def test_an_unknown_recipe_is_named(capsys):
    assert compare.main(["radio_net"]) == 2
    assert "No recipe is called 'radio_net'" in capsys.readouterr().err


@pytest.mark.parametrize("folds", ["a", "", "0,", "-1", "1.5", "0,0", "0-4", "0,7"])
@pytest.mark.parametrize("command", [compare, demo])
def test_folds_that_are_no_numbers_are_refused(command, folds, tmp_path, capsys):
    recipe = ["two_layer_dense_complex_vd_digits"] if command is compare else []
    arguments = [*recipe, f"--folds={folds}", "--out", str(tmp_path / "out")]
    assert command.main(arguments) == 2
    expected = f"`--folds` must be different numbers of 0, 1, … 6.*Received: '{folds}'"
    assert re.search(expected, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_folds_of_simulated_data_are_seeds():
    assert compare.parse_folds("0, 12") == [0, 12]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dcnn_depth2_cifar10", [(7, None), (9, None)]),
        ("dcnn_digits", [(7, 0), (7, 2)]),
    ],
)
def test_folds_of_images_without_any_are_seeds(name, expected, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        compare, "run_fold", lambda config, *_, **__: seen.append(config)
    )
    one_thread = functools.partial(concurrent.futures.ThreadPoolExecutor, 1)
    monkeypatch.setattr(workers, "pool", one_thread)
    config = configs.get(name)
    config["seed"] = 7
    compare.train_folds(config, [0, 2], tmp_path)
    found = [(recipe["seed"], recipe["data"].get("fold")) for recipe in seen]
    assert found == expected


def test_data_that_are_not_here_end_a_comparison(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    arguments = ["dcnn_mnist", "--folds", "0", "--out", str(tmp_path / "out")]
    assert compare.main(arguments) == 2
    assert "python -m training.prepare mnist" in capsys.readouterr().err


def test_a_network_trained_in_one_stage_is_compared_with_recipes_of_its_family():
    planned, ours = compare.plan(configs.get("dcnn_digits"))
    planned = dict(planned)
    assert ours == ["DCNN", "DCNN, float16"]
    assert planned["dcnn_dense_digits"][0] == ("uncompressed",)
    assert [job[:2] for job in planned["dcnn_digits"]] == [
        ("main", "DCNN"),
        ("rounded", "DCNN, float16"),
    ]
    magnitude = [("main", "gradual magnitude pruning"), ("same_masks_fresh_weights",)]
    assert planned["dcnn_magnitude_digits"] == magnitude
    assert all(name.endswith("_digits") for name in planned)
    with pytest.raises(ValueError, match="is what others are compared with"):
        compare.plan(configs.get("dcnn_dense_digits"))


def test_rivals_have_at_most_as_many_numbers_and_nearly_so():
    for dataset in ("digits", "radio"):
        counts = {}
        for name in configs.same_data(f"dcnn_{dataset}"):
            config = configs.get(name)
            count = cvzoo.create_model(**config["model"]).count_params()
            if "sparsify" in config["stages"]:
                (term,) = config["stages"]["sparsify"]["sparsifiers"]
                biases = 1024 + config["model"]["classes"]
                count = round((count - biases) * (1 - term["sparsity"])) + biases
            counts[name] = count
        ours = counts.pop(f"dcnn_{dataset}")
        dense = counts.pop(f"dcnn_dense_{dataset}")
        assert dense > 40 * ours
        assert all(0.9 * ours < count <= ours for count in counts.values()), counts


@pytest.mark.parametrize("field", ["complex", "real"])
def test_recipes_of_one_network_are_compared_with_each_other(field):
    config = configs.get(f"radio_net_{field}_unit_ard_magnitude_radio")
    jobs = compare.our_jobs(config)
    assert [job[:2] for job in jobs] == [
        ("main", "unit ARD + magnitude"),
        ("rounded", "unit ARD + magnitude, float16"),
        ("rounded", "unit ARD + magnitude, posterior"),
        ("compressed", "VD"),
    ]


def test_a_bar_in_a_name_stays_in_its_cell():
    table = results.markdown(("network", "bytes"), [("linear, |FFT|", "3")])
    assert table.splitlines()[-1] == r"| linear, \|FFT\| | 3 |"
