"""Aggregations of frames beside loops in float64; padding changes nothing."""

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import strategies
from keras import ops as kops

from cvzoo.layers import DBoF, NetFV, NetRVLAD, NetVLAD, SoftDBoF
from tests.helpers import check_layer, gradients, weight_gradients
from tests.layers import video_oracle

PROJECTIONS = [
    {},
    {"projection": "diagonal_circulant"},
    {"projection": "circulant", "initialization": "paper"},
    {"projection": "low_rank", "rank": 2},
]
LAYERS = [
    (DBoF, {}, video_oracle.dbof),
    (DBoF, {"pooling": "average"}, video_oracle.dbof),
    (SoftDBoF, {}, video_oracle.soft_dbof),
    (SoftDBoF, {"with_max": True}, video_oracle.soft_dbof),
    (NetRVLAD, {}, video_oracle.netrvlad),
    (NetVLAD, {}, video_oracle.netvlad),
    (NetFV, {}, video_oracle.netfv),
    (NetFV, {"second_order": "intra"}, video_oracle.netfv),
    (NetFV, {"tied_centres": True}, video_oracle.netfv),
]
CASES = [
    (kind, {**arguments, **projection}, oracle)
    for kind, arguments, oracle in LAYERS
    for projection in PROJECTIONS
    if not (arguments.get("tied_centres") and projection)
]
ONE_EACH = [(DBoF, {}), (SoftDBoF, {"with_max": True}), (NetVLAD, {}), (NetFV, {})]
FEATURES, CLUSTERS = 5, 12


def made(kind, axes=3, **arguments):
    layer = kind(CLUSTERS, **arguments)
    layer.build((*[None] * (axes - 1), FEATURES))
    video_oracle.randomize(layer)
    return layer


def frames(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def counts(*values):
    return np.array(values, np.int32)


@pytest.mark.parametrize(("kind", "arguments", "oracle"), CASES)
def test_aggregations_are_their_formulas(kind, arguments, oracle):
    layer, x = made(kind, **arguments), frames(3, 6, FEATURES)
    expected = np.array([oracle(layer, video) for video in x.astype(np.float64)])
    np.testing.assert_allclose(layer(x), expected, atol=2e-5)
    assert layer.compute_output_shape(x.shape) == expected.shape


@pytest.mark.parametrize(("kind", "arguments", "oracle"), LAYERS)
def test_in_training_statistics_are_those_of_the_frames_that_count(
    kind, arguments, oracle
):
    layer, x = made(kind, **arguments), frames(3, 6, FEATURES)
    number = counts(6, 1, 4)
    videos = [one[:n] for one, n in zip(x.astype(np.float64), number, strict=True)]
    together = np.concatenate(videos)
    expected = np.array([oracle(layer, video, together) for video in videos])
    mean, variance = (np.asarray(one) for one in layer.norm.non_trainable_weights)
    found = layer([x, number], training=True)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    projected = video_oracle.linear(layer.projected, together)
    for moving, before, batch in zip(
        layer.norm.non_trainable_weights,
        (mean, variance),
        (projected.mean(axis=0), projected.var(axis=0)),
        strict=True,
    ):
        expected = 0.999 * before + 0.001 * batch
        np.testing.assert_allclose(moving, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("kind", "arguments"), ONE_EACH)
def test_bags_are_aggregated_one_by_one(kind, arguments):
    x, number = frames(2, 3, 4, FEATURES), counts(4, 2, 0, 1, 3, 4).reshape(2, 3)
    bags, single = made(kind, axes=4, **arguments), made(kind, **arguments)
    each = [np.asarray(single(x[:, bag])) for bag in range(3)]
    np.testing.assert_allclose(bags(x), np.stack(each, axis=1), atol=1e-5)
    each = [np.asarray(single([x[:, bag], number[:, bag]])) for bag in range(3)]
    np.testing.assert_allclose(bags([x, number]), np.stack(each, axis=1), atol=1e-5)


GARBAGE = strategies.sampled_from([0.0, 1.0, -1e6, 1e30, np.nan, np.inf, -np.inf])


@pytest.mark.parametrize(("kind", "arguments"), [(k, a) for k, a, _ in LAYERS])
@hypothesis.settings(max_examples=2 if keras.backend.backend() == "jax" else 6)
@hypothesis.given(data=strategies.data())
def test_what_padding_holds_changes_nothing(kind, arguments, data):
    """Neither outputs, nor gradients, nor moving statistics."""
    # Always three videos: JAX compiles all anew for each shape.
    number = counts(*data.draw(strategies.tuples(*[strategies.integers(0, 4)] * 3)))
    padded = frames(len(number), 4, FEATURES)
    is_padding = np.arange(4) >= number[:, None]
    spoilt = padded.copy()
    spoilt[is_padding] = data.draw(GARBAGE)
    spoilt[is_padding, 0] = data.draw(GARBAGE)
    by_mask = data.draw(strategies.booleans())

    def outcome(x):
        layer = made(kind, **arguments)

        def outputs(x, training):
            if by_mask:
                return layer(x, mask=~is_padding, training=training)
            return layer([x, number], training=training)

        def total(x):
            return kops.sum(outputs(x, False) ** 2)

        inputs = x if by_mask else [x, number]
        masks = {"mask": ~is_padding} if by_mask else {}
        return [
            np.asarray(outputs(x, False)),
            *gradients(total, x),
            *weight_gradients(layer, inputs, training=True, **masks),
            np.asarray(outputs(x, True)),
            *(np.asarray(one) for one in layer.weights),
        ]

    for found, expected in zip(outcome(spoilt), outcome(padded), strict=True):
        assert np.isfinite(expected).all()
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("kind", "arguments"), ONE_EACH)
def test_a_padded_video_gives_what_it_gives_alone(kind, arguments):
    layer, x = made(kind, **arguments), frames(3, 6, FEATURES)
    number = counts(6, 1, 4)
    found = np.asarray(layer([x, number]))
    for video, n, row in zip(x, number, found, strict=True):
        np.testing.assert_allclose(row, layer(video[None, :n])[0], atol=1e-5)


@pytest.mark.parametrize(("kind", "arguments"), ONE_EACH)
def test_of_videos_without_frames_all_is_zero(kind, arguments):
    layer, x = made(kind, **arguments), frames(2, 3, FEATURES)
    found = layer([x, counts(0, 0)], training=True)
    np.testing.assert_array_equal(found, np.zeros(found.shape))


def test_an_empty_batch_leaves_the_moving_statistics_alone():
    layer, x = made(DBoF), frames(2, 3, FEATURES)
    before = [np.asarray(one) for one in layer.norm.weights]
    layer([x, counts(0, 0)], training=True)
    for old, new in zip(before, layer.norm.weights, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("kind", [NetVLAD, NetRVLAD, NetFV])
def test_frames_of_zeros_have_finite_gradients(kind):
    layer = kind(3)
    x = np.zeros((2, 4, FEATURES), np.float32)
    (found,) = gradients(lambda x: kops.sum(layer(x) ** 2), x)
    assert np.isfinite(found).all()
    for gradient in weight_gradients(layer, x, training=True):
        assert np.isfinite(gradient).all()


def test_one_cluster_is_enough():
    layer, x = DBoF(1), frames(2, 3, FEATURES)
    assert layer([x, counts(3, 1)], training=True).shape == (2, 1)


def test_masks_of_keras_layers_are_used():
    x = frames(2, 6, FEATURES)
    x[:, 4:] = 0
    layer = made(NetVLAD)
    model = keras.Sequential([keras.layers.Masking(), layer])
    np.testing.assert_allclose(model(x), layer(x[:, :4]), atol=1e-6)


@pytest.mark.parametrize(
    ("projection", "expected"),
    [
        ({}, 1024 * 8192),
        ({"projection": "diagonal_circulant"}, 2 * 8 * 1024),
        ({"projection": "circulant"}, 8 * 1024),
        ({"projection": "low_rank", "rank": 3}, 3 * (1024 + 8192)),
    ],
)
def test_numbers_of_the_published_projection(projection, expected):
    layer = DBoF(8192, **projection)
    layer.build((None, None, 1024))
    assert layer.projected.count_params() == expected


def test_weights_begin_as_in_the_code_of_paper_1():
    keras.utils.set_random_seed(0)
    dense, circulant = DBoF(600), DBoF(6000, projection="diagonal_circulant")
    fisher = NetFV(50)
    for layer in (dense, circulant, fisher):
        layer.build((None, None, 300))
    for variable, mean, variance in (
        (dense.projected.kernel, 0, 1 / 300),
        (circulant.projected.circulant, 0, 1 / 6000),
        (circulant.projected.diagonal, 0, 1 / 6000),
        (fisher.centres, 0, 1 / 300),
        (fisher.root_deviation, 1, 1 / 300),
    ):
        values = np.asarray(variable)
        assert abs(values.std() / variance**0.5 - 1) < 0.03
        assert abs(values.mean() - mean) < 5 * (variance / values.size) ** 0.5
    left, right = (np.asarray(one) for one in circulant.projected.weights)
    assert not np.array_equal(left, right)
    assert (dense.norm.momentum, dense.norm.epsilon) == (0.999, 1e-3)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        *ONE_EACH,
        (NetRVLAD, PROJECTIONS[3]),
        (NetFV, {"tied_centres": True}),
        (DBoF, {"pooling": "average", **PROJECTIONS[1]}),
        (DBoF, PROJECTIONS[2]),
    ],
)
def test_the_shared_checks(kind, arguments, tmp_path):
    inputs = [frames(3, 4, FEATURES), counts(4, 1, 2)]
    check_layer(lambda: kind(CLUSTERS, **arguments), inputs, tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DBoF(0), "`clusters` must be a positive integer"),
        (lambda: DBoF(4, pooling="min"), "`pooling` must be one of max, average"),
        (lambda: DBoF(4, projection="hashed"), "`projection` must be one of dense, d"),
        (lambda: DBoF(4, projection="low_rank"), "`rank` must be a whole number for p"),
        (
            lambda: DBoF(4, rank=2),
            "None for others. Received: rank=2 for projection='d",
        ),
        (lambda: DBoF(4, initialization="he"), "`initialization` must be one of yout"),
        (lambda: NetFV(4, second_order="no"), "`second_order` must be one of global"),
        (
            lambda: NetFV(4, tied_centres=True, projection="circulant"),
            "`tied_centres=True` needs projection='dense'",
        ),
        (
            lambda: DBoF(4)([frames(1, 2, 3), frames(1, 2, 3), counts(1)]),
            "takes one stream of frames. Received 2",
        ),
        (lambda: DBoF(4)(keras.Input((None, None))), "a known last axis"),
    ],
)
def test_bad_arguments_and_inputs_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
