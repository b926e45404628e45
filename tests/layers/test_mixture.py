"""Context gating and mixtures of experts beside loops in float64."""

import keras
import numpy as np
import pytest

from cvzoo.layers import ContextGating, MixtureOfExperts
from tests.helpers import check_layer
from tests.layers import video_oracle
from tests.layers.test_aggregation import PROJECTIONS


def rows(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def made(layer, features=5):
    layer.build((None, features))
    video_oracle.randomize(layer)
    return layer


@pytest.mark.parametrize("arguments", PROJECTIONS)
@pytest.mark.parametrize("use_batch_norm", [True, False])
def test_gating_is_its_formula(use_batch_norm, arguments):
    layer = made(ContextGating(use_batch_norm=use_batch_norm, **arguments))
    x = rows(4, 5)
    expected = video_oracle.gated(layer, x.astype(np.float64))
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def test_gates_begin_as_in_the_code_of_paper_1():
    keras.utils.set_random_seed(0)
    for arguments in PROJECTIONS[:2]:
        layer = ContextGating(use_batch_norm=False, **arguments)
        layer.build((None, 400))
        for weight in layer.projected.weights:
            assert abs(np.asarray(weight).std() * 20 - 1) < 0.15


@pytest.mark.parametrize("arguments", PROJECTIONS)
def test_a_mixture_is_its_formula(arguments):
    layer = made(MixtureOfExperts(4, mixtures=3, **arguments))
    x = rows(6, 5)
    expected = video_oracle.mixture(layer, x.astype(np.float64))
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)
    assert np.asarray(layer(x[:, None])).shape == (6, 1, 4)


def test_the_dummy_expert_says_no():
    layer = made(MixtureOfExperts(2, mixtures=2))
    kernel = np.zeros((5, 6), np.float32)
    kernel[:, 5] = 50.0  # the dummy's gate of the second class
    layer.gates.kernel.assign(kernel)
    layer.experts.bias.assign(np.full(4, 50.0))
    found = np.asarray(layer(np.ones((1, 5), np.float32)))
    np.testing.assert_allclose(found, [[2 / 3, 0.0]], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, 9_886_720 + 7_909_376 + 15_448),
        ({"projection": "circulant"}, (38 + 31) * 512 + 15_448),
        ({"projection": "diagonal_circulant"}, 2 * (38 + 31) * 512 + 15_448),
    ],
)
def test_numbers_of_the_published_mixtures(arguments, expected):
    layer = MixtureOfExperts(3862, **arguments)
    layer.build((None, 512))
    assert layer.count_params() == expected


@pytest.mark.parametrize("arguments", PROJECTIONS)
def test_the_penalty_is_half_the_squares_without_the_bias(arguments):
    layer = made(MixtureOfExperts(3, mixtures=2, regularization=0.1, **arguments))
    weights = [
        weight
        for weight in (*layer.gates.weights, *layer.experts.weights)
        if weight is not layer.experts.bias
    ]
    expected = 0.05 * sum(np.sum(np.asarray(one, np.float64) ** 2) for one in weights)
    np.testing.assert_allclose(sum(map(float, layer.losses)), expected, rtol=1e-5)
    assert not made(MixtureOfExperts(3, regularization=0)).losses


def test_mixtures_begin_as_in_the_code_of_paper_1():
    keras.utils.set_random_seed(0)
    dense, circulant = (MixtureOfExperts(200, **one) for one in ({}, PROJECTIONS[1]))
    for layer in (dense, circulant):
        layer.build((None, 300))
    limit = (6 / (300 + 1000)) ** 0.5
    kernel = np.asarray(dense.gates.kernel)
    assert 0.99 * limit < np.abs(kernel).max() <= limit
    np.testing.assert_array_equal(dense.experts.bias, 0)
    np.testing.assert_allclose(circulant.experts.bias, 800**-0.5)
    for weight in circulant.gates.weights:
        assert abs(np.asarray(weight).std() * 1000**0.5 - 1) < 0.1


def test_large_activations_give_finite_probabilities():
    layer = made(MixtureOfExperts(3))
    found = np.asarray(layer(1e4 * rows(8, 5)))
    assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1


def test_probabilities_are_at_most_1():
    """Where sure experts share all of it, rounding must not add."""
    layer = made(MixtureOfExperts(5, mixtures=4), 6)
    kernel, bias = np.zeros((6, 20)), np.full(20, 40.0)
    layer.experts.kernel.assign(kernel)
    layer.experts.bias.assign(bias)
    gates = np.random.default_rng(0).normal(0, 3, (6, 5, 5))
    gates[..., 4] = -40.0
    layer.gates.kernel.assign(gates.reshape(6, 25))
    found = np.asarray(layer(np.abs(rows(500, 6))))
    assert found.max() == 1 and found.min() > 1 - 1e-5


@pytest.mark.parametrize("arguments", PROJECTIONS)
def test_the_shared_checks(arguments, tmp_path):
    check_layer(lambda: ContextGating(**arguments), rows(4, 6), tmp_path)
    make = lambda: MixtureOfExperts(3, mixtures=2, **arguments)  # noqa: E731
    check_layer(make, rows(4, 6), tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MixtureOfExperts(0), "`classes` must be a positive integer"),
        (lambda: MixtureOfExperts(2, mixtures=0), "`mixtures` must be a positive"),
        (lambda: MixtureOfExperts(2, regularization=-1), "`regularization` must not"),
        (lambda: ContextGating(projection="full"), "`projection` must be one of"),
        (lambda: ContextGating()(keras.Input((None,))), "a known last axis"),
        (lambda: MixtureOfExperts(2)(keras.Input((None,))), "a known last axis"),
    ],
)
def test_bad_arguments_and_inputs_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
