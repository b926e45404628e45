"""Frames of videos: bytes made features, samples of frames, and what padding does."""

import keras
import numpy as np
import pytest

from cvzoo.layers import DequantizeFrames, FrameSampler
from tests.helpers import check_layer, gradients


def frames(batch, time, features, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(batch, time, features)).astype(np.float32)


def counts(*values):
    return np.array(values, np.int32)


def test_bytes_are_dequantized_with_the_half_step():
    values = np.arange(256, dtype=np.uint8).reshape(2, 32, 4)
    found = DequantizeFrames(normalize=False)([values, counts(32, 32)])
    # The reference code: q * (range / 255) + (range / 512) + minimum.
    expected = values.astype(np.float64) * (4.0 / 255.0) + 4.0 / 512.0 - 2.0
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_frames_of_all_streams_together_have_length_one():
    generator = np.random.default_rng(0)
    rgb = generator.integers(0, 256, (3, 5, 6)).astype(np.uint8)
    audio = generator.integers(0, 256, (3, 5, 2)).astype(np.uint8)
    found = DequantizeFrames()([rgb, audio, counts(5, 2, 0)])
    both = np.concatenate([rgb, audio], axis=-1) * (4 / 255) + 4 / 512 - 2
    both /= np.sqrt((both**2).sum(axis=-1, keepdims=True))
    both[1, 2:] = both[2] = 0
    np.testing.assert_allclose(np.concatenate(found, axis=-1), both, atol=1e-6)


def test_floats_stay_as_they_are_and_numbers_of_frames_may_be_too_large():
    x = frames(2, 3, 4)
    layer = DequantizeFrames(normalize=False)
    np.testing.assert_array_equal(layer([x, counts(300, 2)])[0], x[0])
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer([x, counts(-1, 0)]), 0 * x)


def test_lengths_of_zeros_have_finite_gradients():
    (found,) = gradients(
        lambda x: keras.ops.sum(DequantizeFrames()(x)), np.zeros((1, 2, 3), np.float32)
    )
    assert np.isfinite(found).all()


def test_shared_checks_of_dequantized_frames(tmp_path):
    inputs = [frames(3, 4, 5), counts(4, 1, 2)]
    check_layer(DequantizeFrames, inputs, tmp_path)
    both = [frames(3, 4, 5), frames(3, 4, 2), counts(4, 1, 2)]
    check_layer(DequantizeFrames, both, tmp_path)


@pytest.mark.parametrize("time", [1, 2, 7, 300])
def test_even_samples_are_spread_over_the_frames_that_count(time):
    x = np.tile(np.arange(400.0, dtype=np.float32)[:, None], (2, 1, 1))
    found = np.asarray(FrameSampler(2, 3)([x, counts(time, 1)]))[..., 0]
    # Of bag b, frame f: the middle of part 2f + b of six equal parts.
    expected = [[int((2 * f + b + 0.5) / 6 * time) for f in range(3)] for b in range(2)]
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(found[1], np.zeros((2, 3)))


def test_as_many_even_samples_as_frames_take_each_once():
    x = np.arange(30.0, dtype=np.float32).reshape(1, 30, 1)
    found = np.asarray(FrameSampler(5, 6)(x))
    assert sorted(found.ravel()) == list(range(30))


def test_random_samples_are_drawn_with_replacement_from_all_that_count():
    x = np.tile(np.arange(50.0, dtype=np.float32)[:, None], (2, 1, 1))
    sampler = FrameSampler(40, 50, seed=0)
    found = np.asarray(sampler([x, counts(50, 7)], training=True))[..., 0]
    for video, number in zip(found.reshape(2, -1), (50, 7), strict=True):
        times = np.bincount(video.astype(int), minlength=number)
        assert len(times) == number
        # 2000 draws: five standard deviations of a binomial number.
        mean = 2000 / number
        assert np.abs(times - mean).max() < 5 * mean**0.5
    again = np.asarray(sampler([x, counts(50, 7)], training=True))[..., 0]
    assert not np.array_equal(found, again)


def test_evaluation_is_even_unless_it_is_asked_to_be_random():
    x = frames(2, 30, 3)
    even, random = FrameSampler(2, 5), FrameSampler(2, 5, evaluation="random", seed=1)
    np.testing.assert_array_equal(even(x), even(x))
    assert not np.array_equal(random(x), random(x))


def test_masks_choose_frames_anywhere():
    x = np.arange(8.0, dtype=np.float32).reshape(1, 8, 1)
    mask = np.array([[False, True, False, True, True, False, False, True]])
    found = np.asarray(FrameSampler(1, 4)(x, mask=mask)).ravel()
    np.testing.assert_array_equal(found, [1, 3, 4, 7])
    found = np.asarray(FrameSampler(1, 3)([x, counts(5)], mask=mask)).ravel()
    np.testing.assert_array_equal(found, [1, 3, 4])


def test_the_mask_of_a_keras_layer_is_used():
    x = np.ones((1, 5, 2), np.float32)
    x[0, :2] = 0
    model = keras.Sequential([keras.layers.Masking(), FrameSampler(1, 4)])
    np.testing.assert_array_equal(model(x), np.ones((1, 1, 4, 2)))


def test_streams_are_drawn_alike_and_keep_their_types():
    rgb = np.tile(np.arange(20, dtype=np.uint8)[:, None], (1, 1, 3))
    audio = rgb[..., :2].astype(np.float32)
    layer = FrameSampler(2, 5)
    left, right = layer([rgb, audio, counts(20)], training=True)
    assert keras.backend.standardize_dtype(left.dtype) == "uint8"
    np.testing.assert_array_equal(np.asarray(left)[..., :2], np.asarray(right))
    inputs = [keras.Input((None, 3), dtype="uint8"), keras.Input((), dtype="int32")]
    bags = FrameSampler(2, 5)(inputs)
    assert bags.dtype == "uint8" and bags.shape == (None, 2, 5, 3)


@pytest.mark.parametrize("training", [False, True])
def test_videos_without_frames_give_zeros(training):
    x = np.full((2, 4, 3), np.nan, np.float32)
    found = FrameSampler(2, 3)([x, counts(0, 0)], training=training)
    np.testing.assert_array_equal(found, np.zeros((2, 2, 3, 3)))


def test_shared_checks_of_samples(tmp_path):
    check_layer(
        lambda: FrameSampler(2, 3), [frames(3, 6, 5), counts(4, 1, 9)], tmp_path
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FrameSampler(0, 3), "`bags` must be a positive integer"),
        (lambda: FrameSampler(2, 1.5), "`frames` must be a positive integer"),
        (lambda: FrameSampler(evaluation="odd"), "`evaluation` must be one of even, r"),
        (
            lambda: FrameSampler()([frames(2, 3, 4), frames(2, 3, 1)]),
            r"their numbers \(batch,\) at its end. Received shapes \[\(2, 3, 4\), \(2",
        ),
        (lambda: DequantizeFrames()([frames(2, 3, 4)]), "a list of frames"),
    ],
)
def test_bad_arguments_and_inputs_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
