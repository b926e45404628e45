"""Networks of paper 1: the published numbers of weights, and how they begin."""

import keras
import numpy as np
import pytest
import scipy.linalg

import cvzoo

DIGITS = {"input_shape": (28, 28, 1), "pad_images": 2}
YOUTUBE = {"input_shape": (1152,), "classes": 3862}
LDR = {"depth": 1, "head": "dense", "negative_slope": 0.0}
MNIST = {"depth": 8, **DIGITS}


def _thousands(argument, counts, **arguments):
    """Networks by the values of an argument, with counts whose rest is cut off."""
    return [
        ("dcnn", {**arguments, argument: value}, f"{count}K")
        for value, count in counts.items()
    ]


PUBLISHED = [
    # Table 1.
    ("dcnn", {"depth": 2}, 21_524),
    ("dcnn", {"depth": 5}, 49_172),
    ("dcnn", {"depth": 1, "layer": "dense"}, 9_470_986),
    ("dcnn", {"layer": "ldr_tridiagonal", "rank": 2, **LDR}, 64_518),
    ("dcnn", {"layer": "ldr_tridiagonal", "rank": 3, **LDR}, 70_662),
    ("dcnn", {"layer": "toeplitz_like", "rank": 2, **LDR}, 46_090),
    ("dcnn", {"layer": "toeplitz_like", "rank": 3, **LDR}, 52_234),
    # Figure 4a, its ends; the others are in thousands.
    ("dcnn", {"depth": 1, "layer": "diagonal_toeplitz"}, 18_452),
    ("dcnn", {"depth": 30, "layer": "diagonal_toeplitz"}, 374_804),
    ("dcnn", {"depth": 2, "layer": "toeplitz"}, 24_586),
    ("dcnn", {"depth": 40, "layer": "toeplitz"}, 374_794),
    ("dcnn", {"depth": 1, "layer": "low_rank", "rank": 2}, 21_534),
    ("dcnn", {"depth": 1, "layer": "low_rank", "rank": 40}, 372_122),
    *_thousands("depth", {2: 21, 5: 49, 10: 95, 20: 187, 30: 279, 40: 371}),
    *_thousands(
        "depth",
        {1: 18, 3: 43, 5: 67, 10: 129, 15: 190, 20: 251, 23: 288, 30: 374},
        layer="diagonal_toeplitz",
    ),
    *_thousands(
        "depth", {2: 24, 5: 52, 10: 98, 20: 190, 30: 282, 40: 374}, layer="toeplitz"
    ),
    *_thousands(
        "rank",
        {2: 21, 5: 49, 10: 95, 20: 187, 30: 279, 40: 372},
        **{"layer": "low_rank", "depth": 1},
    ),
    # Table 2.
    ("scattering_dcnn", {"depth": 1}, 124_436),
    ("scattering_dcnn", {"depth": 3}, 217_748),
    ("scattering_dcnn", {"depth": 3, "ensemble": 5}, 1_088_740),
    ("scattering_dcnn", {"layer": "ldr_subdiagonal", "rank": 1, "depth": 1}, 139_966),
    ("scattering_dcnn", {"layer": "ldr_subdiagonal", "rank": 10, "depth": 1}, 419_902),
    ("scattering_dcnn", {"layer": "toeplitz_like", "rank": 10, "depth": 1}, 388_800),
    # Table 3.
    ("dcnn", MNIST, 25_620),
    ("lenet", {}, 4_257_674),
    # Table 4.
    ("dcnn", {"depth": 4, **YOUTUBE}, 25_410),
    ("dcnn", {"depth": 32, **YOUTUBE}, 122_178),
    ("dcnn", {"depth": 4, "head": "dense", **YOUTUBE}, 4_466_710),
    ("dcnn", {"depth": 1, "layer": "dense", **YOUTUBE}, 5_781_142),
]


@pytest.mark.parametrize(("name", "arguments", "published"), PUBLISHED)
def test_networks_have_the_papers_counts(name, arguments, published):
    count = cvzoo.create_model(name, **arguments).count_params()
    if isinstance(published, str):
        count = f"{count // 1000}K"
    assert count == published


def test_weights_begin_as_in_the_code_of_each_data_set():
    expected = {
        "paper": ((2 / 800) ** 0.5, (2 / 800) ** 0.5),
        "cifar10": (1.414 / 1600**0.5, 1.414 / 810**0.5),
        "scattering": ((1.414 / 800) ** 0.5, (1.414 / 800) ** 0.5),
        "youtube8m": (1.5 / 1600**0.5, 1.5 / 810**0.5),
        "mnist": (1.414 / 800**0.5, 1.414 / 10**0.5),
    }
    keras.utils.set_random_seed(0)
    for initialization, deviations in expected.items():
        model = cvzoo.create_model(
            "dcnn", input_shape=(800,), depth=1, initialization=initialization
        )
        for name, deviation in zip(("hidden1", "logits"), deviations, strict=True):
            layer = model.get_layer(name)
            circulant, diagonal, bias = (np.asarray(w) for w in layer.weights)
            assert circulant.shape == (800,)
            # Its standard error is 1/√1600 of it.
            assert abs(circulant.std() / deviation - 1) < 0.1
            assert set(np.unique(diagonal)) == {-1.0, 1.0}
            if initialization == "scattering":
                np.testing.assert_allclose(bias, 0.1)
            else:
                assert 0 < np.abs(bias).max() < 0.05


def test_dense_kernels_of_the_video_networks_begin_as_in_the_code():
    """Deviation 1/√inputs, and 1/√classes of the output layer."""
    keras.utils.set_random_seed(0)
    model = cvzoo.create_model(
        "dcnn",
        **{"input_shape": (400,), "depth": 1, "layer": "dense", "classes": 100},
        **{"units": 200, "initialization": "youtube8m"},
    )
    for name, fan in (("hidden1", 400), ("logits", 100)):
        kernel, bias = (np.asarray(w) for w in model.get_layer(name).weights)
        assert abs(kernel.std() * fan**0.5 - 1) < 0.02
        assert abs(bias.std() / 0.01 - 1) < 0.3


def test_outputs_are_products_with_the_layers_matrices():
    model = cvzoo.create_model(
        "dcnn",
        **{"input_shape": (3, 2, 1), "depth": 4, "activation_every": 2, "classes": 9},
        **{"negative_slope": 0.25, "pad_images": 1, "centred": True},
    )
    pixels = np.random.default_rng(0).uniform(size=(5, 3, 2, 1)).astype(np.float32)
    padded = np.zeros((5, 5, 4, 1))
    padded[:, 1:-1, 1:-1] = pixels
    x = 2 * padded.reshape(5, 20) - 1
    for number, name in enumerate(["hidden1", "hidden2", "hidden3", "hidden4"], 1):
        x = _explicit(model.get_layer(name), x)
        if number % 2 == 0:
            x = np.where(x > 0, x, 0.25 * x)
    expected = _explicit(model.get_layer("logits"), x)
    np.testing.assert_allclose(model(pixels), expected, atol=1e-4)


def test_more_classes_than_inputs_are_padded_on_the_left():
    model = cvzoo.create_model("dcnn", input_shape=(3,), depth=1, classes=5)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    hidden = _explicit(model.get_layer("hidden1"), x)
    hidden = np.where(hidden > 0, hidden, 0.5 * hidden)
    expected = _explicit(model.get_layer("logits"), hidden)
    np.testing.assert_allclose(model(x), expected, atol=1e-5)


def _explicit(layer, x):
    """D C x + b, with zeros before x where the matrix is larger."""
    circulant, diagonal, bias = (np.asarray(w, np.float64) for w in layer.weights)
    missing = len(circulant) - x.shape[-1]
    x = np.concatenate([np.zeros((len(x), missing)), x], axis=-1)
    outputs = x @ scipy.linalg.circulant(circulant).T
    return outputs[:, : len(bias)] * diagonal + bias


def test_acdc_networks_scale_outputs_as_in_the_code_for_cifar():
    model = cvzoo.create_model(
        "dcnn", input_shape=(6,), depth=1, layer="acdc", classes=3
    )
    for name, units in (("hidden1", 6), ("logits", 3)):
        layer = model.get_layer(name)
        assert (layer.diagonal_at, layer.permute) == ("outputs", False)
        assert layer.count_params() == 6 + units + units


def test_the_penalty_is_the_sum_of_squares_of_all_weights():
    model = cvzoo.create_model(
        "dcnn", input_shape=(6,), depth=2, classes=3, regularization=0.01
    )
    expected = 0.01 * sum(np.sum(np.square(w)) for w in model.get_weights())
    np.testing.assert_allclose(sum(map(float, model.losses)), expected, rtol=1e-5)


def test_an_ensemble_averages_the_logits_of_its_members():
    model = cvzoo.create_model(
        "scattering_dcnn",
        **{"input_shape": (8, 8, 1), "scales": 1, "angles": 2, "classes": 3},
        **{"depth": 1, "ensemble": 3},
    )
    pixels = np.random.default_rng(0).uniform(size=(4, 8, 8, 1)).astype(np.float32)
    names = [f"logits_{member}" for member in (1, 2, 3)]
    parts = keras.Model(model.input, [model.get_layer(n).output for n in names])
    found = np.stack(parts(pixels))
    assert np.ptp(found, axis=0).max() > 1e-3
    np.testing.assert_allclose(model(pixels), found.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "low_rank"}, "`rank` must be a whole number for .*rank=None"),
        ({"rank": 2}, "None for others. Received: rank=2 for layer='diagonal_circ"),
        ({"layer": "circular"}, "`layer` must be one of"),
        ({"head": "other"}, "`head` must be one of"),
        ({"depth": 0}, "`depth`"),
        ({"activation_every": 0}, "`activation_every`"),
        ({"initialization": "he"}, "`initialization` must be one of"),
        ({"units": 0}, "`units` must be a positive integer. Received: 0"),
        ({"pad_images": 2}, r"`pad_images` adds zeros around.*input_shape=\(6,\)"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        cvzoo.create_model("dcnn", input_shape=(6,), **arguments)


def test_networks_of_low_displacement_rank_on_scattering_have_one_layer():
    with pytest.raises(ValueError, match="`depth` must be 1 for layer='toeplitz_like'"):
        cvzoo.create_model("scattering_dcnn", layer="toeplitz_like", rank=1)


def test_logits_that_are_features_are_at_most_as_many():
    arguments = {"input_shape": (4, 4, 1), "scales": 2, "angles": 1, "depth": 1}
    with pytest.raises(ValueError, match="at most the number of features, 4, .*=5"):
        cvzoo.create_model(
            "scattering_dcnn", layer="toeplitz_like", rank=1, classes=5, **arguments
        )


def test_numpy_integers_are_sizes():
    model = cvzoo.create_model(
        "dcnn",
        **{"input_shape": (6,), "depth": np.int64(1), "classes": np.int32(3)},
        **{"layer": "low_rank", "rank": np.uint8(2), "units": np.int64(5)},
    )
    config = model.get_layer("hidden1").get_config()
    assert [type(config[name]) for name in ("units", "rank")] == [int, int]
