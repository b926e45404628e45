"""What all structured layers do: files, half precision, masks, clear errors."""

import keras
import numpy as np
import pytest

from cvzoo.layers.structured import (
    ACDC,
    DiagonalToeplitz,
    Fastfood,
    HashedDense,
    LowRank,
    Toeplitz,
)
from tests.helpers import check_layer

LAYERS = {
    "toeplitz": lambda units=3, **kwargs: Toeplitz(units, **kwargs),
    "diagonal_toeplitz": lambda units=3, **kwargs: DiagonalToeplitz(units, **kwargs),
    "acdc": lambda units=3, **kwargs: ACDC(units, permute=True, **kwargs),
    "acdc_outputs": lambda units=3, **kwargs: ACDC(
        units, diagonal_at="outputs", **kwargs
    ),
    "low_rank": lambda units=3, **kwargs: LowRank(units, 2, **kwargs),
    "fastfood": lambda units=3, **kwargs: Fastfood(units, **kwargs),
    "hashed": lambda units=3, **kwargs: HashedDense(units, compression=3, **kwargs),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_passes_the_shared_checks(name, tmp_path):
    inputs = np.random.default_rng(0).normal(size=(4, 5, 7)).astype("float32")
    make = LAYERS[name]
    check_layer(
        lambda: make(activation="tanh", bias_initializer="ones"), inputs, tmp_path
    )


@pytest.mark.parametrize("name", LAYERS)
def test_copies_have_the_same_matrix(name):
    """What a layer draws and does not train is part of its configuration."""
    layer = LAYERS[name]()
    copy = type(layer).from_config(layer.get_config())
    for one in (layer, copy):
        one.build((None, 7))
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy.to_dense(), layer.to_dense())


@pytest.mark.parametrize("name", LAYERS)
def test_no_bias_no_weight_of_it(name):
    layer = LAYERS[name](use_bias=False)
    layer.build((None, 7))
    assert "bias" not in [variable.name for variable in layer.weights]
    x = np.random.default_rng(0).normal(size=(2, 7)).astype("float32")
    np.testing.assert_allclose(layer(x), x @ np.asarray(layer.to_dense()), atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_sequences_of_unknown_length(name):
    x = keras.Input((None, 7))
    layer = LAYERS[name]()
    model = keras.Model(x, layer(x))
    assert model.output_shape == (None, None, 3)
    values = np.random.default_rng(0).normal(size=(2, 4, 7)).astype("float32")
    expected = values @ np.asarray(layer.to_dense()) + np.asarray(layer.bias)
    np.testing.assert_allclose(model(values), expected, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_a_mask_passes(name):
    x = np.zeros((1, 2, 7), "float32")
    x[0, 0] = 1
    masked = keras.layers.Masking()(x)
    assert LAYERS[name]()(masked)._keras_mask is not None


PAPER = 3072  # CIFAR-10, flat


@pytest.mark.parametrize(
    ("hidden", "last", "expected"),
    [
        # Figure 4a of paper 1: numbers of weights of networks of L hidden layers.
        (DiagonalToeplitz, DiagonalToeplitz, {1: 18_452, 30: 374_804}),
        (Toeplitz, Toeplitz, {2: 24_586, 40: 374_794}),
    ],
)
def test_numbers_of_parameters_of_toeplitz_networks_are_the_papers(
    hidden, last, expected
):
    count = {}
    for kind, units in ((hidden, PAPER), (last, 10)):
        layer = kind(units)
        layer.build((None, PAPER))
        count[units] = layer.count_params()
    for depth, published in expected.items():
        assert depth * count[PAPER] + count[10] == published


@pytest.mark.parametrize(("rank", "expected"), [(2, 21_534), (40, 372_122)])
def test_numbers_of_parameters_of_low_rank_networks_are_the_papers(rank, expected):
    layers = [LowRank(PAPER, rank), LowRank(10, rank, overcomplete=True)]
    for layer in layers:
        layer.build((None, PAPER))
    assert sum(layer.count_params() for layer in layers) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Toeplitz(0), "`units` must be a positive integer"),
        (lambda: Toeplitz(4, padding="same"), "`padding` must be one of"),
        (lambda: Toeplitz(4)(keras.Input((3, None))), "known last axis"),
        (lambda: LowRank(4, 2)(keras.Input((3, None))), "known last axis"),
        (lambda: LowRank(4, 0), "`rank` must be a positive integer"),
        (lambda: LowRank(4, 3)(keras.Input((2,))), "rank is at most 2"),
        (lambda: ACDC(4, diagonal_at="left"), "`diagonal_at` must be one of"),
        (
            lambda: ACDC(4, diagonal_at="both")(keras.Input((3,))),
            "as many inputs as units",
        ),
        (lambda: Fastfood(4, seed=-1), "`seed` must be None or an integer"),
        (lambda: Fastfood(4, seed=0.5), "`seed` must be None or an integer"),
        (lambda: HashedDense(4), "Pass one of `buckets` and `compression`"),
        (lambda: HashedDense(4, buckets=0), "`buckets` must be a positive integer"),
        (lambda: HashedDense(4, compression=0.5), "`compression` must be a number"),
        (lambda: HashedDense(4, buckets=9)(keras.Input((2,))), "a matrix of 8 entries"),
        (lambda: HashedDense(2**16, 9)(keras.Input((2**16,))), "It may have at most"),
    ],
)
def test_bad_input_is_refused_clearly(make, message):
    with pytest.raises(ValueError, match=message):
        make()
