"""Published values, their bands, and averages of synthetic runs."""

import itertools
import json
import math
import re

import numpy as np
import pytest

from tests.training.synthetic_runs import (
    C_CONV,
    C_VGG,
    R_DENSE,
    compare,
    compressed,
    row_of,
    synthetic_recipe,
    write_run,
)
from training import evaluate
from training.published import bands, protocol, runs
from training.published.cells import COMPRESSED, UNCOMPRESSED, Cell


def test_numbers_are_those_of_the_paper():
    assert UNCOMPRESSED[C_CONV] == ((0.9883,), 0.9865, 0.9904)
    half = Cell("simple_conv", "complex", 0.5, "raw", "emnist_letters")
    assert UNCOMPRESSED[half] == ((0.8922,), None, None)
    twice = Cell("two_layer_dense", "real", 2, "fft", "kmnist")
    assert UNCOMPRESSED[twice].medians == (0.8080,)
    dense = Cell("two_layer_dense", "complex", 1, "fft", "mnist")
    assert UNCOMPRESSED[dense] == ((0.9526,), 0.947, 0.958)
    assert UNCOMPRESSED[C_VGG] == ((0.9003, 0.9011), 0.891, 0.906)
    assert COMPRESSED[compressed(C_CONV, 10)] == (97, 0.9876, 0.9873)
    assert COMPRESSED[compressed(R_DENSE, 30)] == (4.5, 0.9692, 0.9688)
    assert COMPRESSED[compressed(dense, 20)] == (32.8, 0.9661, 0.9657)
    assert COMPRESSED[compressed(C_CONV, 14, "ard")] == (44.5, None, None)
    fashion = Cell("simple_conv", "complex", 1, "raw", "fashion_mnist", "ard", 20)
    assert COMPRESSED[fashion] == (2.8, None, 0.8855)
    assert COMPRESSED[compressed(C_VGG, 15, "ard")] == (87, 0.894, 0.913)
    real = Cell("vgg16", "real", 1, "raw", "cifar10", "ard", 7)
    assert COMPRESSED[real] == (460, 0.800, 0.875)
    # Two tables of 24 medians and two of VGG16; 44 + 8 + 9 cells, and 36 of VGG16.
    assert (len(UNCOMPRESSED), len(COMPRESSED)) == (50, 97)


@pytest.mark.parametrize("cell", [*UNCOMPRESSED, *COMPRESSED], ids=str)
def test_published_keys_are_of_networks_that_the_paper_ran(cell):
    if cell.model == "vgg16":
        assert (cell.width, cell.features, cell.dataset) == (1, "raw", "cifar10")
        assert cell.field in ("complex", "real")
    else:
        assert cell.model in ("simple_conv", "two_layer_dense")
        assert cell.dataset in ("mnist", "kmnist", "fashion_mnist", "emnist_letters")
        other = {"raw": ("complex", 0.5), "fft": ("real", 2)}[cell.features]
        assert (cell.field, cell.width) in {("complex", 1), ("real", 1), other}
    if cell in UNCOMPRESSED:
        assert (cell.method, cell.k) == (None, None)
    else:
        assert cell.method in ("vd", "ard")
        grid = range(7, 16) if cell.model == "vgg16" else range(2, 39)
        assert cell.k in grid


@pytest.mark.parametrize("cell", [*UNCOMPRESSED, *COMPRESSED], ids=str)
def test_a_recipe_of_each_published_key_is_read_as_that_key(cell):
    recipe = json.loads(json.dumps(synthetic_recipe(cell)))
    network = runs.network(recipe)
    assert protocol.deviations(recipe, network) == []
    if cell.method is None:
        assert network == cell
    else:
        assert runs.compressed_cell(recipe, network) == (cell, None)


def curves():
    """k → compression, of each published curve."""
    found = {}
    for cell, published in COMPRESSED.items():
        curve = found.setdefault(tuple(vars(cell).values())[:6], {})
        curve[cell.k] = published.compression
    return found.values()


def test_twice_the_strength_is_outside_the_band_of_compression():
    for curve in curves():
        points = sorted(curve)
        for left, right in itertools.pairwise(points):
            # Twice the strength is two steps of k.
            factor = (curve[left] / curve[right]) ** (2 / (right - left))
            assert factor > 1 + bands.COMPRESSION
            assert 1 / factor < 1 - bands.COMPRESSION


@pytest.mark.parametrize(
    ("dataset", "factor", "grid"),
    [("mnist", 1, range(2, 39)), ("cifar10", 5, range(7, 16))],
)
def test_strengths_may_be_written_with_three_digits(dataset, factor, grid):
    for k in grid:
        strength = float(f"{factor * 1.5 * 2 ** (-k / 2):.3g}")
        assert abs(runs.k_of(strength, dataset) - k) < runs.NEAR_WHOLE


@pytest.mark.parametrize("cell", [*UNCOMPRESSED, *COMPRESSED], ids=str)
def test_accuracies_in_single_precision_agree_up_to_the_edges_of_bands(cell):
    for quantity, band in bands.of(cell).items():
        if quantity != "compression":
            assert band.holds(float(np.float32(band.lowest)))
            assert band.holds(float(np.float32(band.highest)))


def test_the_width_around_medians_is_that_of_the_known_ranges():
    known = [one for one in UNCOMPRESSED.values() if one.lowest is not None]
    assert len(known) == 7
    for one in known:
        for median in one.medians:
            error = math.sqrt(median * (1 - median) / 10_000)
            farther = max(median - one.lowest, one.highest - median)
            assert 1.5 < farther / error < 3.5


KMNIST_C_DENSE = Cell("two_layer_dense", "complex", 1, "raw", "kmnist")
MNIST_HALF_CONV = Cell("simple_conv", "complex", 0.5, "raw", "mnist")
BEFORE, AFTER = compressed(C_CONV, 2), compressed(C_VGG, 12)
CLIPPED = compressed(C_VGG, 7)


@pytest.mark.parametrize(
    ("cell", "quantity", "value", "agrees"),
    [
        # Range 0.9865 to 0.9904.
        (C_CONV, "uncompressed", 0.98605, True),
        (C_CONV, "uncompressed", 0.98595, False),
        (C_CONV, "uncompressed", 0.99085, True),
        (C_CONV, "uncompressed", 0.99095, False),
        # Range 0.891 to 0.906.
        (C_VGG, "uncompressed", 0.8906, True),
        (C_VGG, "uncompressed", 0.9066, False),
        # Median 0.9860, whose three standard errors are 0.0035.
        (MNIST_HALF_CONV, "uncompressed", 0.9826, True),
        (MNIST_HALF_CONV, "uncompressed", 0.9824, False),
        # Median 0.8625, whose three standard errors are 0.0103.
        (KMNIST_C_DENSE, "uncompressed", 0.8727, True),
        (KMNIST_C_DENSE, "uncompressed", 0.8729, False),
        # ×324, 0.9769, 0.9800.
        (BEFORE, "compression", 295, True),
        (BEFORE, "compression", 288, False),
        (BEFORE, "compression", 353, True),
        (BEFORE, "compression", 360, False),
        (BEFORE, "before", 0.9669, True),
        (BEFORE, "before", 0.9668, False),
        (BEFORE, "after", 0.9900, True),
        (BEFORE, "after", 0.9901, False),
        # ×207, 0.863, 0.904.
        (AFTER, "compression", 225, True),
        (AFTER, "compression", 230, False),
        (AFTER, "before", 0.8730, True),
        (AFTER, "before", 0.8731, False),
        (AFTER, "after", 0.8940, True),
        (AFTER, "after", 0.8939, False),
        # 0.763 is no less than the true mean.
        (CLIPPED, "before", 0.5, True),
        (CLIPPED, "before", 0.774, False),
    ],
)
def test_one_value_inside_and_one_outside_each_band(
    cell, quantity, value, agrees, tmp_path, capsys
):
    published = cell if cell.method else compressed(cell, 10)
    write_run(tmp_path / "run", published, values={quantity: value})
    rows, _ = compare(tmp_path)
    assert row_of(rows, cell, quantity).agrees is agrees
    others = [row for row in rows if (row.cell, row.quantity) != (cell, quantity)]
    assert all(row.agrees for row in others)
    status = evaluate.main(["--against-published", str(tmp_path)])
    assert status == (0 if agrees else 1)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"agrees in {len(rows) - (not agrees)} of {len(rows)}"


def test_only_what_was_published_is_compared(tmp_path):
    write_run(tmp_path / "a", compressed(C_CONV, 10, "ard"))
    kmnist = Cell("simple_conv", "complex", 1, "raw", "kmnist")
    write_run(tmp_path / "b", compressed(kmnist, 2, "ard"))
    rows, refused = compare(tmp_path)
    assert refused == {}
    assert [(row.cell.dataset, row.quantity) for row in rows] == [
        ("mnist", "uncompressed"),
        ("mnist", "compression"),
        ("kmnist", "uncompressed"),
        ("kmnist", "compression"),
        ("kmnist", "after"),
    ]


def test_runs_of_other_seeds_are_averaged(tmp_path):
    cell = compressed(C_CONV, 10)
    # Each of these is outside, and their mean inside.
    for seed, after in enumerate((0.97, 0.98, 0.999)):
        values = {"after": after, "compression": (50, 100, 125)[seed]}
        write_run(tmp_path / f"{seed}", cell, seed, values)
    rows, _ = compare(tmp_path)
    after = row_of(rows, cell, "after")
    assert after.here == pytest.approx((0.97 + 0.98 + 0.999) / 3)
    assert after.seeds == 3 and after.agrees
    factor = row_of(rows, cell, "compression").here
    assert factor == pytest.approx((50 + 100 + 125) / 3)


def test_seeds_and_not_runs_are_counted(tmp_path):
    # Of seed 0, the two strengths share what was pre-trained.
    write_run(tmp_path / "a", compressed(C_CONV, 2), 0, {"uncompressed": 0.986})
    write_run(tmp_path / "b", compressed(C_CONV, 10), 0, {"uncompressed": 0.986})
    write_run(tmp_path / "c", compressed(C_CONV, 10), 1, {"uncompressed": 0.989})
    rows, _ = compare(tmp_path)
    plain = row_of(rows, C_CONV, "uncompressed")
    assert plain.here == pytest.approx((0.986 + 0.989) / 2)
    assert plain.seeds == 2
    assert row_of(rows, compressed(C_CONV, 2), "after").seeds == 1


def test_runs_are_found_below_and_once(tmp_path):
    run = write_run(tmp_path / "k10" / "seed0", compressed(C_CONV, 10))
    # A preset keeps a recipe, too, and is no run.
    (run / "preset").mkdir()
    (run / "preset" / "config.json").write_text('{"compile": {}, "recipe": {}}')
    found = runs.find([tmp_path, str(run), tmp_path / "k10" / ".." / "k10"])
    assert [one.path for one in found] == [run]
    assert [one.path for one in runs.find([run])] == [run]


def test_the_table_shows_both_values_and_its_legend_all_bands(tmp_path, capsys):
    cell = compressed(C_VGG, 7)
    values = {"uncompressed": 0.95, "compression": 500, "before": 0.7}
    write_run(tmp_path / "[run]", cell, values=values)
    write_run(tmp_path / "[bold]", cell, 1, data__n_train=5)
    assert evaluate.main(["--against-published", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert any(
        re.match("cifar10 raw C vgg16 .*0.8910 – 0.9060 0.9500 1 no", line)
        for line in lines
    )
    assert any("compression ×550 ± 10% ×500.0 1 yes" in line for line in lines)
    assert any("before ≤ 0.7730 0.7000 1 yes" in line for line in lines)
    assert any("after 0.8600 ± 0.01 0.8600 1 yes" in line for line in lines)
    legend = " ".join(lines)
    for band in ("0.0005", "3 standard errors", "within 10%", "within 0.01"):
        assert band in legend
    # What looks like markup stays, and paths are not cut.
    assert f"{tmp_path / '[bold]'}: other than the paper's" in printed
    assert lines[-1] == "agrees in 3 of 4"
