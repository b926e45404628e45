"""Rows of the results table: what they are equal in, and honest sums."""

import copy
import dataclasses
import io

import numpy as np
import pytest
import rich.console
from matplotlib import figure

import cvzoo
from training import baselines, config, datasets, results, stages, train
from training.baselines import Row

NAME = "two_layer_dense_complex_vd_digits"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short run whose weights matter little, at a strength that prunes."""
    folder = tmp_path_factory.mktemp("run")
    recipe = train.quick(config.get(NAME))
    recipe["model"]["units"] = 32
    recipe["stages"]["sparsify"]["sparsifiers"] = [
        {"name": "ARD", "strength": 1e-3, "group": "unit"},
        {"name": "MagnitudePruning", "sparsity": 0.6, "ramp": 0.5},
    ]
    train.run(recipe, folder, quiet=True)
    return baselines.Run.open(folder)


@pytest.mark.parametrize("kind", ["small_real", "small_complex", "low_rank"])
def test_networks_of_equal_bytes_use_the_budget_and_keep_it(run, kind):
    row = baselines.ROWS[kind](run)
    assert 0.85 * run.budget() <= row.bytes <= run.budget()
    assert 0 <= row.test <= 1


def test_the_uncompressed_network_may_train_as_long(run, monkeypatch):
    epochs = []
    fit = stages.fit

    def watched(model, config, stage, *others, **options):
        epochs.append(config["stages"][stage]["epochs"])
        return fit(model, config, stage, *others, **options)

    monkeypatch.setattr(stages, "fit", watched)
    row = baselines.trained_longer(run)
    assert epochs == [3]  # One of each stage.
    assert row.numbers == baselines.uncompressed(run).numbers
    # Learning goes on, though three epochs of this small network teach it little.
    assert row.test != baselines.uncompressed(run).test


def test_gradual_magnitude_has_as_many_weights(run):
    row = baselines.gradual_magnitude(run)
    ours = baselines.measured("ours", run.final(), run.data)
    assert abs(row.numbers - ours.numbers) <= 0.05 * ours.numbers


@pytest.mark.slow
def test_twice_the_real_width_fits_the_budget(run):
    divergence = copy.deepcopy(run.config)
    divergence["stages"]["sparsify"]["sparsifiers"] = [
        {"name": "VariationalDropout", "strength": 1.0}
    ]
    row = baselines.twice_real(dataclasses.replace(run, config=divergence))
    # Fine-tuned values are entropy coded to slightly other sizes than before.
    assert 0.8 * run.budget() <= row.bytes <= 1.01 * run.budget()


def test_fresh_weights_have_the_same_masks(run):
    row = baselines.same_masks_fresh_weights(run)
    ours = baselines.measured("ours", run.final(), run.data)
    assert abs(row.numbers - ours.numbers) <= 0.02 * ours.numbers


def test_quantized_networks_are_as_small_as_their_types(run):
    plain = baselines.uncompressed(run)
    half, eighth = baselines.float16(run), baselines.int8(run)
    # Values that round to zero do not count.
    assert plain.numbers == half.numbers
    assert 0.9 * plain.numbers <= eighth.numbers <= plain.numbers
    assert 1.5 * plain.numbers < half.bytes < 2 * plain.numbers
    assert 0.8 * plain.numbers < eighth.bytes < 1.3 * plain.numbers
    assert abs(half.test - plain.test) < 0.01
    assert abs(eighth.test - plain.test) < 0.03


@pytest.mark.parametrize("values", ["float16", "posterior"])
def test_rounded_networks_are_smaller_and_answer_alike(run, values):
    ours = baselines.measured("ours", run.final(), run.data)
    row = baselines.rounded(run, "rounded", values)
    assert row.bytes < 0.7 * ours.bytes
    assert 0.98 * ours.numbers <= row.numbers <= ours.numbers
    assert abs(row.test - ours.test) < 0.02


def test_the_linear_model_and_the_prior_are_what_they_say(run):
    linear, prior = baselines.linear(run), baselines.constant_prior(run)
    assert linear.numbers == 650
    assert 0.9 < linear.test < 0.95
    labels = run.data.examples["test"][1].numpy()
    assert prior.test in [np.mean(labels == digit) for digit in range(10)]


def test_rows_of_data_without_validation_have_their_test_score_only():
    recipe = train.quick(config.get("dcnn_depth2_cifar10"))
    run = baselines.Run(recipe, datasets.open_data(recipe), None)
    assert set(run.data.examples) == {"train", "test"}
    model = cvzoo.create_model(**recipe["model"])
    stages.compile_for(model, recipe)
    rows = [
        baselines.measured("uncompressed", model, run.data),
        baselines.linear(run),
        baselines.constant_prior(run),
    ]
    assert all(row.validation is None and 0 <= row.test <= 1 for row in rows)
    lines = results.summarize([rows], [], n_test=256)
    assert [line.validation for line in lines] == [None] * 3


def row(name, test, size):
    return Row(name, size // 4, size, test, test)


def test_means_and_errors_over_folds_by_hand():
    folds = [
        [row("uncompressed", 0.9, 4000), row("ours", 0.8, 400)],
        [row("uncompressed", 0.8, 4000), row("ours", 0.8, 600)],
    ]
    plain, ours = results.summarize(folds, ["ours"], n_test=100)
    assert plain.test == pytest.approx(85)
    assert plain.error == pytest.approx(5)
    assert ours.bytes == 500
    assert ours.difference == pytest.approx(-5)
    assert ours.difference_error == pytest.approx(5)
    (alone, _) = results.summarize(folds[:1], ["ours"], n_test=100)
    assert alone.error == pytest.approx(3)
    assert alone.difference_error is None


def test_a_row_that_loses_to_a_baseline_is_bold():
    folds = [
        [
            row("uncompressed", 0.95, 4000),
            row("ours", 0.9, 400),
            row("smaller and better", 0.91, 390),
            row("smaller and worse", 0.89, 100),
            row("larger and better", 0.94, 500),
        ]
    ]
    lines = results.summarize(folds, ["ours"], n_test=100)
    losing_to = results.dominating(lines, ["ours"])
    assert losing_to == {"ours": ["smaller and better"]}
    table = results.markdown_table(lines, losing_to)
    assert "**ours**" in table
    # All cells but the last, as nothing is known of units.
    assert table.count("**") == 2 * (len(results.headings()) - 1)
    assert "****" not in table


def test_rows_below_half_are_named_beside_the_picture(tmp_path, monkeypatch):
    texts = []
    save = figure.Figure.savefig

    def watched(drawn, *arguments, **options):
        (axes,) = drawn.axes
        texts.extend(text.get_text() for text in axes.get_legend().get_texts())
        return save(drawn, *arguments, **options)

    monkeypatch.setattr(figure.Figure, "savefig", watched)
    scores = {"uncompressed": 0.9, "small": 0.46, "note prior": 0.44}
    rows = [Row(name, 10, 40, None, score) for name, score in scores.items()]
    path = tmp_path / "picture.png"
    results.draw(results.summarize([rows], []), "title", path, "average precision")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert "small" in texts and "not shown: note prior, 44 %" in texts
    assert "note prior" not in texts


def test_in_80_columns_names_wrap_and_numbers_do_not():
    name = "unit ARD + magnitude, rounded by posterior"
    folds = [
        [row("uncompressed", 0.9, 4_000_000), row(name, test, 400_000)]
        for test in (0.8, 0.7)
    ]
    lines = results.summarize(folds, [name], n_test=100)
    console = rich.console.Console(width=80, file=io.StringIO())
    console.print(results.text_table(lines, {}))
    printed = console.file.getvalue().splitlines()
    assert max(len(line) for line in printed) <= 80
    (numbers,) = [line for line in printed if "100,000" in line]
    expected = "75.0 ± 5.0 -15.0 ± 5.0 100,000 ×10.0 400,000"
    assert " ".join(numbers.split()).endswith(expected)
    assert not any(name in line for line in printed)
    assert set(name.split()) <= set(" ".join(printed).split())
