"""Which runs are not compared with published values, and why; all are synthetic."""

import copy
import json
import math

import pytest

from tests.training.synthetic_runs import (
    C_CONV,
    C_VGG,
    R_DENSE,
    SPARSIFIERS,
    compare,
    compressed,
    synthetic_recipe,
    synthetic_scores,
    write,
    write_run,
)
from training import evaluate
from training.published.cells import Cell

EMNIST = Cell("simple_conv", "complex", 1, "raw", "emnist_letters")


@pytest.mark.parametrize(
    ("cell", "changes", "words"),
    [
        (C_CONV, {"stages__pretrain__epochs": 39}, "pretrain.epochs is 39 and was 40"),
        (C_CONV, {"stages__sparsify__epochs": 40}, "sparsify.epochs is 40 and was 75"),
        (C_VGG, {"stages__sparsify__epochs": 75}, "sparsify.epochs is 75 and was 40"),
        (C_VGG, {"stages__finetune__epochs": 40}, "finetune.epochs is 40 and was 20"),
        (C_CONV, {"stages__finetune__threshold": 3.0}, "threshold is 3.0 and was -0.5"),
        (C_CONV, {"stages__sparsify__carry_moments": False}, "moments is False"),
        (C_CONV, {"optimizer__learning_rate": 1e-4}, "learning_rate is 0.0001 and was"),
        (C_CONV, {"optimizer__drop_factor": 0.2}, "drop_factor is 0.2 and was 0.1"),
        (C_CONV, {"optimizer__drop_at": 0.6}, "drop_at is 0.6 and was 10"),
        (C_CONV, {"optimizer__drop_at": 10.0}, "drop_at is 10.0 and was 10"),
        (C_CONV, {"optimizer__global_clipnorm": None}, "clipnorm is not set and was"),
        (C_CONV, {"data__batch_size": 64}, "batch_size is 64 and was 128"),
        (C_CONV, {"data__n_train": 60_000}, "n_train is 60000 and was 10000"),
        (C_CONV, {"data__n_train": None}, "n_train is not set and was 10000"),
        (C_VGG, {"data__n_train": 45_000}, "n_train is 45000 and was 50000"),
        (C_VGG, {"data__crop_padding": 0}, "crop_padding is 0 and was 4"),
        (C_VGG, {"data__flips": 0}, "flips is 0 and was 1"),
        (C_VGG, {"data__flips": None}, "flips is not set and was 1"),
        (C_CONV, {"data__flips": 1}, "flips is 1 and was 0"),
        (C_CONV, {"data__crop_padding": 2}, "crop_padding is 2 and was 0"),
        (C_CONV, {"model__filters": 10}, "filters is 10 and was 20"),
        (R_DENSE, {"model__units": 512}, "units is 512 and was 4096"),
        (EMNIST, {"model__classes": None}, "classes is not set and was 26"),
        (C_CONV, {"model__centred": False}, "centred is False and was True"),
        (C_CONV, {"model__input_shape": [32, 32, 1]}, "was [28, 28, 1]"),
        (C_VGG, {"model__mean": [0.5, 0.5, 0.5]}, "was [0.4914, 0.4822, 0.4465]"),
        (C_CONV, {"stages": {"train": {"epochs": 40}}}, "pretrain.epochs is not set"),
        (C_CONV, {"model__name": "lenet"}, "mnist raw C lenet was not published"),
        (C_VGG, {"model__name": "vgg8"}, "cifar10 raw C vgg8 was not published"),
        (C_VGG, {"model__width": 0.5}, "cifar10 raw ½C vgg16 was not published"),
        (C_CONV, {"model__width": 2}, "mnist raw 2C simple_conv was not published"),
        (C_CONV, {"data__name": "digits"}, "digits raw C simple_conv was not"),
    ],
)
def test_what_the_paper_did_not_run_is_named_and_not_compared(
    cell, changes, words, tmp_path, capsys
):
    write_run(tmp_path / "good", compressed(C_CONV, 10))
    bad = write_run(tmp_path / "bad", compressed(cell, 10), 1, **changes)
    rows, refused = compare(tmp_path)
    ((reason, paths),) = refused.items()
    assert words in reason and paths == [bad]
    assert {row.seeds for row in rows} == {1}
    assert evaluate.main(["--against-published", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert f"{bad}: " in printed and words in printed
    assert f"{tmp_path / 'good'}: " not in printed


def test_another_scale_of_the_transform_matters_where_there_is_one(tmp_path):
    fft = Cell("simple_conv", "complex", 1, "fft", "mnist")
    for cell in (fft, C_CONV):
        run = tmp_path / cell.features
        write_run(run, compressed(cell, 10), model__fourier_norm="ortho")
    rows, refused = compare(tmp_path)
    ((reason, paths),) = refused.items()
    assert "model.fourier_norm is 'ortho' and was 'backward'" in reason
    assert paths == [tmp_path / "fft"]
    assert {row.cell.features for row in rows} == {"raw"}


def sparsified(*terms):
    return {"stages__sparsify__sparsifiers": list(terms)}


VD = {"name": "VariationalDropout", "strength": 0.046875}
MAGNITUDE = {"name": "MagnitudePruning", "sparsity": 0.98, "ramp": 0.7}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (sparsified(MAGNITUDE), "sparsified by MagnitudePruning"),
        (sparsified(VD, {"name": "ARD", "strength": 0.1}), "VariationalDropout + ARD"),
        (
            sparsified({**VD, "kl": "approximate"}),
            "kl='approximate'; published: 'exact",
        ),
        (
            sparsified({**VD, "name": "ARD", "group": "unit"}),
            "ARD has group='unit'; published: 'weight'",
        ),
        (sparsified({**VD, "strength": 0.05}), "k = 9.81; published: whole k"),
        (
            sparsified({**VD, "strength": 1.5 * 2**-1.5}),
            "mnist raw C simple_conv VD k=3 was not published",
        ),
    ],
)
def test_of_other_compressed_networks_only_the_one_before_is_compared(
    changes, words, tmp_path
):
    run = write_run(tmp_path / "run", compressed(C_CONV, 10), **changes)
    rows, refused = compare(tmp_path)
    assert [(row.cell, row.quantity) for row in rows] == [(C_CONV, "uncompressed")]
    ((reason, paths),) = refused.items()
    assert reason.startswith("only its uncompressed network is compared: ")
    assert words in reason and paths == [run]


@pytest.mark.parametrize(
    ("field", "method", "options"),
    [
        ("complex", "vd", {"kl": "exact"}),
        ("real", "vd", {"kl": "approximate"}),
        ("complex", "ard", {"group": "weight"}),
        ("real", "ard", {"group": "weight"}),
    ],
)
def test_a_sparsifier_that_says_what_is_the_default_is_the_papers(
    field, method, options, tmp_path
):
    model = "simple_conv" if field == "complex" else "two_layer_dense"
    cell = compressed(Cell(model, field, 1, "raw", "mnist"), 10, method)
    term = {"name": SPARSIFIERS[method], "strength": 0.0469, **options}
    write_run(tmp_path / "run", cell, **sparsified(term))
    rows, refused = compare(tmp_path)
    assert refused == {}
    assert cell in {row.cell for row in rows}


def test_a_run_without_counts_says_how_to_get_them(tmp_path):
    recipe, cell = synthetic_recipe(compressed(C_CONV, 10)), compressed(C_CONV, 10)
    scores = synthetic_scores(cell)
    del scores["counts"]
    write(tmp_path / "run", recipe, scores)
    rows, refused = compare(tmp_path)
    assert [row.quantity for row in rows] == ["uncompressed"]
    (reason,) = refused
    assert "has no `counts`, of an earlier version" in reason
    assert "Start its command again" in reason


def test_runs_that_differ_in_other_data_are_not_averaged(tmp_path):
    cell = compressed(C_CONV, 10)
    write_run(tmp_path / "a", cell, 0)
    write_run(tmp_path / "b", cell, 1, data__subset=7)
    write_run(tmp_path / "c", compressed(R_DENSE, 10))
    rows, refused = compare(tmp_path)
    assert {row.cell.model for row in rows} == {"two_layer_dense"}
    assert len(refused) == 2
    for reason, paths in refused.items():
        assert "differ in more than the seed" in reason and "'subset': 7" in reason
        assert paths == [tmp_path / "a", tmp_path / "b"]


def test_one_unfinished_run_is_named_and_alone_is_an_error(tmp_path, capsys):
    cell = compressed(C_CONV, 10)
    begun = write(tmp_path / "begun", synthetic_recipe(cell), None)
    assert evaluate.main(["--against-published", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "None of the runs can be compared" in error
    assert f"{begun}: no scores.json: not finished." in error
    write_run(tmp_path / "whole", cell, 1)
    assert evaluate.main(["--against-published", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert f"{begun}: no scores.json: not finished." in printed
    assert printed.splitlines()[-1] == "agrees in 4 of 4"


def test_folders_without_runs_are_refused(tmp_path, capsys):
    missing = tmp_path / "missing"
    run = write_run(tmp_path / "run", compressed(C_CONV, 10))
    assert evaluate.main(["--against-published", str(run), str(missing)]) == 2
    assert f"There is no folder {missing}" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert evaluate.main(["--against-published", str(tmp_path / "empty")]) == 2
    assert "There is no run in" in capsys.readouterr().err
    path = run / "scores.json"
    assert evaluate.main(["--against-published", str(path)]) == 2
    assert f"There is no folder {path}" in capsys.readouterr().err


GOOD = synthetic_scores(compressed(C_CONV, 10))


def changed(scores, *keys, to):
    scores = copy.deepcopy(scores)
    target = scores
    for key in keys[:-1]:
        target = target[key]
    target[keys[-1]] = to
    return json.dumps(scores)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"test": {"pretrain": 0.9', "cannot be read: Expecting"),
        ("[]", "must hold `test` accuracies"),
        ('{"test": {"pretrain": 0.98}}', "must hold `test` accuracies"),
        (changed(GOOD, "test", "pruned", to=98.8), "0 to 1"),
        (changed(GOOD, "test", "finetune", to=math.nan), "0 to 1"),
        (changed(GOOD, "test", "pretrain", to=True), "0 to 1"),
        (changed(GOOD, "counts", to={"parameters": 9}), "and of fewer `zeros`"),
        (changed(GOOD, "counts", "zeros", to=1_000_000), "and of fewer `zeros`"),
        (changed(GOOD, "counts", "zeros", to=-1), "and of fewer `zeros`"),
        (changed(GOOD, "counts", "parameters", to="9"), "and of fewer `zeros`"),
    ],
)
def test_damaged_scores_are_refused(text, words, tmp_path, capsys):
    run = write_run(tmp_path / "run", compressed(C_CONV, 10))
    (run / "scores.json").write_text(text)
    assert evaluate.main(["--against-published", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert words in error and str(run) in error and "Start its command again" in error


def test_damaged_recipes_are_refused(tmp_path, capsys):
    run = write_run(tmp_path / "run", compressed(C_CONV, 10))
    (run / "config.json").write_text('{"model":')
    assert evaluate.main(["--against-published", str(tmp_path)]) == 2
    assert f"{run / 'config.json'} is damaged" in capsys.readouterr().err
    (run / "config.json").unlink()
    (run / "config.json").mkdir()
    assert evaluate.main(["--against-published", str(tmp_path)]) == 2
    assert f"The run in {run} cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give either a preset or --against-published"),
        (["some", "--against-published", "run"], "give either a preset or"),
        (["--split", "test", "--against-published", "run"], "--split is for presets"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        evaluate.main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err
