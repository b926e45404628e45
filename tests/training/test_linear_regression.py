"""The regression of paper 1's Figure 3a: its data, models, descent, table, picture."""

import csv
import dataclasses
import itertools

import keras
import matplotlib.image
import numpy as np
import pytest
import scipy.fft

from training import linear_regression
from training.linear_regression import SETTINGS

EVERY_MODEL = [
    (setting, name) for setting, its in SETTINGS.items() for name in its.models
]


def test_the_noise_floor_is_that_of_the_text():
    x, y = linear_regression.draw_data(SETTINGS["text"], seed=0, examples=20_000)
    assert (x.min(), x.max()) == pytest.approx((-1, 1), abs=1e-3)
    # Variance 0.01, less the share of 33 of 20 000 numbers that the fit takes.
    assert linear_regression.least_squares(x, y) == pytest.approx(0.01, rel=0.01)


def test_targets_of_the_code_are_cut_to_integers():
    x, y = linear_regression.draw_data(SETTINGS["code"], seed=0, examples=20_000)
    assert (x.min(), x.max()) == pytest.approx((0, 1), abs=1e-3)
    np.testing.assert_array_equal(y, np.round(y))
    # Nearly all are positive, so what is cut off is uniform on [0, 1).
    floor = 1 + 1 / 12
    assert linear_regression.least_squares(x, y) == pytest.approx(floor, rel=0.01)


def test_the_sum_of_the_inputs_alone_explains_the_floor_of_the_paper():
    x, y = linear_regression.draw_data(SETTINGS["code"], seed=0)
    total = x.sum(axis=1, keepdims=True)
    # 1 + 1/12, and of 32 weights of variance 1/12 times inputs of variance 1/12.
    expected = 1 + 1 / 12 + 32 / 144
    found = linear_regression.least_squares(total, y)
    assert found == pytest.approx(expected, rel=0.02)


def test_a_dense_layer_comes_down_to_least_squares():
    setting = SETTINGS["text"]
    x, y = linear_regression.draw_data(setting, seed=0, size=4, examples=500)
    features = np.concatenate([x, np.ones((500, 1))], axis=1).astype(float)
    solution = np.linalg.solve(features.T @ features, features.T @ y)
    floor = np.mean((features @ solution - y) ** 2)
    keras.utils.set_random_seed(0)
    model = linear_regression.build("dense", setting, size=4)
    losses = linear_regression.train(model, x, y, steps=500, rate=0.5, batch=500)
    assert losses[0] > 10 * floor
    assert losses[-1] == pytest.approx(floor, rel=1e-4)
    np.testing.assert_allclose(model.layers[0].kernel, solution[:4], atol=1e-3)


def test_steps_are_those_of_plain_gradient_descent():
    setting = SETTINGS["code"]
    x, y = linear_regression.draw_data(setting, seed=0, size=3, examples=25)
    model = linear_regression.build("dense", setting, size=3)
    kernel, bias = (np.array(one, float) for one in model.get_weights())
    # Two batches an epoch; the last five examples do not fill one.
    losses = linear_regression.train(model, x, y, steps=3, rate=0.05, batch=10)
    expected = []
    for start in (0, 10, 0):
        inputs, targets = x[start : start + 10], y[start : start + 10]
        errors = inputs @ kernel + bias - targets
        expected.append(np.mean(errors**2))
        kernel -= 0.05 * 2 * inputs.T @ errors / errors.size
        bias -= 0.05 * 2 * errors.sum(axis=0) / errors.size
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


@pytest.mark.parametrize(("setting", "name"), EVERY_MODEL)
def test_networks_are_affine(setting, name):
    model = linear_regression.build(name, SETTINGS[setting], size=6)
    generator = np.random.default_rng(0)
    x, y, z = generator.normal(size=(3, 6))
    inputs = np.stack([x, y, z, x + y - z]).astype("float32")
    of_x, of_y, of_z, joined = model(inputs).numpy()
    np.testing.assert_allclose(joined, of_x + of_y - of_z, atol=1e-4)
    assert not np.allclose(of_x, of_y)


@pytest.mark.parametrize("size", [5, 32])
def test_acdc_of_the_code_is_that_of_transforms_without_norm(size):
    model = linear_regression.build("ACDC 2", SETTINGS["code"], size=size)
    for variable in model.trainable_variables:
        variable.assign(keras.random.normal(variable.shape, seed=len(variable.name)))
    x = np.random.default_rng(0).normal(size=(3, size))
    found = model(x.astype("float32")).numpy()
    for layer in model.layers[1::3]:
        diagonal, response, bias = (np.asarray(one, float) for one in layer.weights)
        inner = response * scipy.fft.dct(diagonal * x, type=2)
        x = 0.01 * (diagonal * scipy.fft.dct(inner, type=3) + bias)
    np.testing.assert_allclose(found, x, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("setting", "deviation"), [("text", 2**0.5), ("code", 1.41 / 2**0.5)]
)
def test_circulants_begin_as_described(setting, deviation):
    keras.utils.set_random_seed(0)
    model = linear_regression.build("DC 8", SETTINGS[setting], size=512)
    values = np.concatenate(
        [np.asarray(block.circulant_parts[0]) for block in model.layers[0].blocks]
    )
    assert values.std() * 512**0.5 == pytest.approx(deviation, rel=0.05)


def test_bins_are_means_that_cover_every_step():
    losses = np.random.default_rng(0).normal(size=(2, 777))
    middles, means = linear_regression.binned(losses, bins=20)
    edges = [0]
    for middle in middles:  # bins are side by side, and steps count from 1
        edges.append(int(2 * middle - edges[-1]) - 1)
    assert edges[-1] == 777
    expected = [losses[:, a:b].mean(axis=1) for a, b in itertools.pairwise(edges)]
    np.testing.assert_allclose(means.T, expected)


def test_divergence_is_told_and_infinite():
    losses = np.ones((2, 400))
    losses[1, 20:] = np.nan
    result = linear_regression.Result(parameters=7, losses=losses)
    assert result.early().tolist() == result.last().tolist() == [1, np.inf]
    (row,) = linear_regression.rows({"text": {"DC 4": result}})
    assert row["diverged"] == "1 of 2"


@pytest.mark.slow
def test_the_command_saves_a_picture_and_a_table(tmp_path, monkeypatch, capsys):
    for name, model in (("text", "dense"), ("code", "DC 2")):
        fewer = dataclasses.replace(SETTINGS[name], models=(model,))
        monkeypatch.setitem(SETTINGS, name, fewer)
    out = tmp_path / "pictures" / "regression.png"
    arguments = ["--out", str(out), "--seeds", "1", "--steps", "300"]
    assert linear_regression.main(arguments) == 0
    assert matplotlib.image.imread(out).std() > 0
    with out.with_suffix(".csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == ["dense", "DC 2"]
    assert [row["numbers"] for row in rows] == ["1056", "192"]
    # Where the paper's network is from its figure's early step on.
    assert float(rows[1]["loss at the end"]) == pytest.approx(1.35, abs=0.15)
    assert "least squares 0.0100" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--seeds", "0"], ["--steps", "299"]])
def test_too_few_seeds_or_steps_are_refused(wrong, capsys):
    assert linear_regression.main(wrong) == 2
    assert "--seeds must be at least 1" in capsys.readouterr().err
