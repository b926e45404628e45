"""Recipes of paper 1's networks: every one has a label, a rival and its counts."""

import pytest

import cvzoo
from zoo_configs import dcnn

NAMES = dcnn.names()
MODELS = {name: dcnn.get_config(**NAMES[name])["model"] for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_is_compared_with_one_that_there_is(name):
    plain = dcnn.uncompressed(**NAMES[name])
    assert plain in NAMES
    expected = {"mnist": "lenet"}.get(NAMES[name]["dataset"], "dcnn_dense")
    assert NAMES[plain]["method"] == expected


def test_labels_are_there_and_tell_methods_of_a_data_set_apart():
    for dataset, settings in dcnn.DATASETS.items():
        labels = [dcnn.LABELS[method] for method in settings["methods"]]
        assert len(set(labels)) == len(labels), dataset
    methods = {arguments["method"] for arguments in NAMES.values()}
    assert set(dcnn.LABELS) == methods


# Figure 4a, in thousands whose rest is cut off.
COUNTS = {
    "dcnn_depth": {2: 21, 10: 95, 20: 187, 30: 279, 40: 371},
    "dcnn_diagonal_toeplitz_depth": {
        **{1: 18, 3: 43, 5: 67, 10: 129, 15: 190, 20: 251, 23: 288, 30: 374}
    },
    "dcnn_toeplitz_depth": {2: 24, 5: 52, 10: 98, 20: 190, 30: 282, 40: 374},
    "dcnn_low_rank": {2: 21, 5: 49, 10: 95, 20: 187, 30: 279, 40: 372},
}


@pytest.mark.parametrize("start", COUNTS)
def test_recipes_of_figure_4a_have_its_counts(start):
    for value, thousands in COUNTS[start].items():
        model = MODELS[f"{start}{value}_cifar10"]
        assert cvzoo.create_model(**model).count_params() // 1000 == thousands


def test_sweeps_of_figure_2_have_its_settings():
    """Depths of facts on the figure's data; either spacing or slope is swept."""
    found = {}
    for name, model in MODELS.items():
        is_flat = NAMES[name]["dataset"] == "cifar10"
        if is_flat and model["layer"] == "diagonal_circulant":
            key = model.get("activation_every", 1), model.get("negative_slope", 0.5)
            found.setdefault(key, set()).add(model["depth"])
    assert found == {
        (1, 0.0): {2, 6, 10, 20, 30, 40},
        (2, 0.0): {6, 10, 20, 30, 40},
        (3, 0.0): {3, 9, 15, 21, 30, 39},
        (1, 0.2): {2, 6, 10, 20, 30, 40},
        (1, 0.3): {2, 5, 10, 20, 30, 40},
        (1, 0.5): {2, 5, 10, 20, 30, 40},
    }


@pytest.mark.parametrize("depth", [2, 5, 10])
def test_acdc_networks_of_figure_3b_have_relu_and_are_built(depth):
    model = cvzoo.create_model(**MODELS[f"dcnn_acdc_depth{depth}_cifar10"])
    relus = [layer for layer in model.layers if layer.name.startswith("relu")]
    assert [relu.negative_slope for relu in relus] == [0.0] * depth
