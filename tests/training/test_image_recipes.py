"""Recipes of paper 2's networks for images: all of them, by the paper's protocol."""

import dataclasses
import itertools

import numpy as np
import pytest

from training import config as configs
from training import recipe_parts
from training.callbacks import StepDecay
from training.published import cells, protocol, runs
from zoo_configs import mnist, vgg

MNIST_LIKE = ("mnist", "kmnist", "fashion_mnist", "emnist_letters")
NAMES = configs.names()


def recipe(name):
    module, arguments = NAMES[name]
    return module.get_config(**arguments)


def test_the_papers_grid_is_there():
    variants = {
        "raw": ("half_complex", "real", "complex"),
        "fft": ("real", "complex", "double_real"),
    }
    expected = {
        (model, variant, features, method, dataset)
        for model, features, method, dataset in itertools.product(
            ("two_layer_dense", "simple_conv"), variants, ("vd", "ard"), MNIST_LIKE
        )
        for variant in variants[features]
    }
    keys = ("model", "variant", "features", "method", "dataset")
    found = {
        tuple(arguments[key] for key in keys)
        for arguments in mnist.names().values()
        if arguments["dataset"] in MNIST_LIKE
    }
    assert found == expected
    assert len(found) == 96
    for depth, field, method in itertools.product(
        (8, 11, 13, 16, 19), ("real", "complex"), ("vd", "ard")
    ):
        assert f"vgg{depth}_{field}_{method}_cifar10" in vgg.names()


def published_recipes():
    """Cell of an uncompressed network → recipes of it."""
    found = {}
    for name, (module, arguments) in NAMES.items():
        if module in (mnist, vgg) and arguments["dataset"] in (*MNIST_LIKE, "cifar10"):
            found.setdefault(runs.network(recipe(name)), []).append(name)
    return found


def test_every_published_cell_has_a_recipe_that_the_paper_would_have_run():
    recipes = published_recipes()
    assert set(cells.UNCOMPRESSED) <= set(recipes)
    for cell in cells.COMPRESSED:
        key = dataclasses.replace(cell, method=None, k=None)
        (name,) = [
            one for one in recipes[key] if NAMES[one][1]["method"] == cell.method
        ]
        strength = configs.strengths(name)[cell.k]
        changed = configs.with_strength(recipe(name), strength)
        assert protocol.deviations(changed, key) == []
        assert runs.compressed_cell(changed, key) == (cell, None)


@pytest.mark.parametrize(
    ("name", "epochs"),
    [
        ("simple_conv_complex_vd_mnist", [40, 75, 40]),
        ("two_layer_dense_real_raw_ard_kmnist", [40, 75, 40]),
        ("vgg16_complex_ard_cifar10", [20, 40, 20]),
    ],
)
def test_rates_fall_at_epoch_ten_of_each_stage(name, epochs):
    config = recipe(name)
    assert [stage["epochs"] for stage in config["stages"].values()] == epochs
    optimizer = config["optimizer"]
    for count in epochs:
        decay = StepDecay(
            optimizer["learning_rate"],
            recipe_parts.drop_factors(config),
            recipe_parts.drops(config),
            count,
        )
        rates = [decay.rate(epoch) for epoch in range(count)]
        np.testing.assert_allclose(rates, [1e-3] * 10 + [1e-4] * (count - 10))


def test_strengths_times_one_over_n_are_the_papers_c_times_kappa():
    by_k = configs.strengths("simple_conv_complex_vd_mnist")
    assert list(by_k) == list(range(2, 39))
    np.testing.assert_allclose([by_k[2], by_k[10]], [0.75, 0.046875])
    assert recipe("simple_conv_complex_vd_mnist")["data"]["n_train"] == 10_000
    by_k = configs.strengths("vgg16_real_vd_cifar10")
    assert list(by_k) == list(range(7, 16))
    # C of k = 8 is 1.5 / 16; κ is 1e-4.
    np.testing.assert_allclose(by_k[8] / 50_000, 1.5 / 16 * 1e-4)


def test_a_recipe_without_strengths_is_named():
    with pytest.raises(configs.ConfigError, match="dcnn.py gives no strengths"):
        configs.strengths("dcnn_digits")


def test_repetitions_are_folds_or_else_seeds():
    digits, cifar10 = (
        recipe("simple_conv_complex_vd_digits"),
        recipe("vgg16_complex_vd_cifar10"),
    )
    other = configs.repetition(digits, 3)
    assert (other["data"]["fold"], other["seed"]) == (3, 0)
    assert digits["data"]["fold"] == 0
    other = configs.repetition(digits, 3, seed=2)
    assert (other["data"]["fold"], other["seed"]) == (3, 2)
    other = configs.repetition(cifar10, 3)
    assert other["seed"] == 3 and other["data"] == cifar10["data"]
    with pytest.raises(configs.ConfigError, match="'cifar10' has no folds"):
        configs.repetition(cifar10, 3, seed=2)
