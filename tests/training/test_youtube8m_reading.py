"""Batches of videos, from records that were put together by hand."""

import numpy as np
import pytest
import tensorflow as tf

import cvzoo
from tests.training import youtube8m_samples as samples
from tests.training.youtube8m_samples import frame_record, frames, only
from training.data import DataError
from training.data.youtube8m import reading
from training.data.youtube8m.reading import Videos
from training.data.youtube8m.records import quantize

LENGTHS = (3, 1, 4)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """File of three videos of `LENGTHS`."""
    records = [
        frame_record(
            b"id%d" % place, (place, 4), frames(n, 6, place), frames(n, 4, 10 + place)
        )
        for place, n in enumerate(LENGTHS)
    ]
    return samples.write(tmp_path_factory.mktemp("three") / "a.tfrecord", records)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Ten files of five videos each, whose ids tell their places."""
    folder = tmp_path_factory.mktemp("many")
    paths = [
        samples.write(
            folder / f"{file}.tfrecord",
            [
                frame_record(b"%d-%d" % (file, place), (), frames(2, 6))
                for place in range(5)
            ],
        )
        for file in range(10)
    ]
    files = tuple(map(str, paths))
    return Videos(files, (5,) * 10, samples.CLASSES, "frame", {"rgb": 6})


def padded(seed, width):
    """All of `LENGTHS`, with zeros behind their ends."""
    whole = np.zeros((3, 4, width), np.uint8)
    for place, n in enumerate(LENGTHS):
        whole[place, :n] = frames(n, width, seed + place)
    return whole


def test_frames_stay_bytes_and_end_in_zeros(three):
    dataset = samples.videos(three, 3).batches(8, audio=True, with_ids=True)
    (rgb, audio, count), labels, names = only(dataset)
    assert rgb.dtype == audio.dtype == np.uint8 and count.dtype == np.int32
    np.testing.assert_array_equal(rgb, padded(0, 6))
    np.testing.assert_array_equal(audio, padded(10, 4))
    np.testing.assert_array_equal(count, LENGTHS)
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(labels, np.eye(5)[[0, 1, 2]] + np.eye(5)[4])
    assert names.tolist() == [b"id0", b"id1", b"id2"]


def test_shapes_that_models_need_are_known(three):
    (rgb, count), labels = samples.videos(three, 3).batches(2).element_spec
    assert rgb.shape.as_list() == [None, None, 6] and count.shape.as_list() == [None]
    assert labels.shape.as_list() == [None, samples.CLASSES]


def test_a_batch_is_as_long_as_its_longest_video(three):
    dataset = samples.videos(three, 3).batches(2)
    shapes = [rgb.shape for (rgb, _), _ in dataset.as_numpy_iterator()]
    assert shapes == [(2, 3, 6), (1, 4, 6)]


def test_the_older_key_of_ids_is_read(tmp_path):
    records = [
        frame_record(b"old", rgb=frames(1, 6), id_key="video_id"),
        frame_record(b"new", rgb=frames(1, 6)),
        frame_record(None, rgb=frames(1, 6)),
    ]
    path = samples.write(tmp_path / "a.tfrecord", records)
    dataset = samples.videos(path, 3).batches(3, with_ids=True)
    assert samples.ids(dataset) == [b"old", b"new", b""]


def test_half_videos_are_first_halves_and_then_second_ones(three):
    dataset = samples.videos(three, 3).batches(
        3, audio=True, half_videos=True, with_ids=True
    )
    (rgb, audio, count), labels, names = only(dataset)
    whole = padded(0, 6), padded(10, 4)
    # By numpy: the odd frame to the first half; a single frame has no second one.
    expected = [2, 1, 2, 1, 0, 2]
    np.testing.assert_array_equal(count, expected)
    for found, stream in zip((rgb, audio), whole, strict=True):
        assert found.shape == (6, 2, stream.shape[-1])
        for place, n in enumerate(LENGTHS):
            first, second = np.split(stream[place, :n], [-(-n // 2)])
            for row, half in ((place, first), (place + 3, second)):
                np.testing.assert_array_equal(found[row, : len(half)], half)
                assert not found[row, len(half) :].any()
    np.testing.assert_array_equal(labels[:3], labels[3:])
    assert names.tolist() == [b"id0", b"id1", b"id2"] * 2


def test_means_have_images_first(tmp_path):
    rgb, audio = np.arange(6, dtype=np.float32), -np.arange(4, dtype=np.float32)
    path = samples.write(
        tmp_path / "a.tfrecord", [samples.mean_record(b"a", (0, 3), rgb, audio)]
    )
    dataset = samples.videos(path, 1, "video").batches(4, with_ids=True)
    inputs, labels, names = only(dataset)
    assert inputs.dtype == np.float32
    np.testing.assert_array_equal(inputs, [np.concatenate([rgb, audio])])
    np.testing.assert_array_equal(labels, [[1, 0, 0, 1, 0]])
    assert names.tolist() == [b"a"]


def test_without_a_seed_each_video_comes_once_in_order(many):
    expected = [b"%d-%d" % (file, place) for file in range(10) for place in range(5)]
    assert samples.ids(many.batches(7, with_ids=True)) == expected
    assert many.count == 50 and many.steps(7) == 8


def test_a_seed_fixes_the_order_whatever_the_global_seed_is(many):
    first, other = (
        samples.ids(many.batches(7, seed=[1, epoch], with_ids=True)) for epoch in (0, 1)
    )
    tf.random.set_seed(123)
    again = samples.ids(many.batches(7, seed=[1, 0], with_ids=True))
    assert first == again and first != other
    assert sorted(first) == sorted(other) == samples.ids(many.batches(7, with_ids=True))


def test_seeds_of_zero_are_seeds(many):
    passes = [
        samples.ids(many.batches(7, seed=[0, 0], with_ids=True)) for _ in range(2)
    ]
    assert passes[0] == passes[1]


def test_epochs_may_be_numbered_inside_of_a_graph(many):
    epochs = tf.data.Dataset.range(2, 4).flat_map(
        lambda epoch: many.batches(7, seed=[1, epoch], with_ids=True)
    )
    single = [
        samples.ids(many.batches(7, seed=[1, epoch], with_ids=True)) for epoch in (2, 3)
    ]
    assert samples.ids(epochs) == single[0] + single[1]


def test_an_epoch_is_mixed_over_files_and_within_them(many):
    found = samples.ids(many.batches(50, seed=[0, 3], with_ids=True))
    order = sorted(found)
    moved = [abs(order.index(name) - place) for place, name in enumerate(found)]
    assert np.mean(moved) > 8


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_share_all_videos_among_them(many, workers):
    shares = [
        many.batches(4, seed=[0, 0], share=(index, workers), with_ids=True)
        for index in range(workers)
    ]
    found = [name for share in shares for name in samples.ids(share)]
    assert len(found) == 50 and len(set(found)) == 50
    steps = [many.steps(4, (index, workers)) for index in range(workers)]
    assert steps == [len(list(share)) for share in shares]


def test_a_pass_ends_and_its_length_is_not_promised(many):
    """Damage may shorten it; `steps` is what callers may assert."""
    dataset = many.batches(7, with_ids=True)
    assert int(dataset.cardinality()) == tf.data.UNKNOWN_CARDINALITY
    asserted = dataset.apply(tf.data.experimental.assert_cardinality(many.steps(7)))
    assert len(samples.ids(asserted)) == 50


def test_more_workers_than_files_are_refused(many):
    with pytest.raises(DataError, match="too few for 11 workers: share 10 is empty"):
        many.batches(4, share=(10, 11))


def test_what_is_shuffled_is_bounded_in_bytes_and_in_number(many):
    published = Videos(("a",), (1,), 3862, "frame", {"rgb": 1024, "audio": 128})
    largest = 300 * (1024 + 128)
    assert largest * published.shuffled_records <= reading.SHUFFLE_BYTES
    assert largest * published.shuffled_records > 0.9 * reading.SHUFFLE_BYTES
    assert many.shuffled_records == reading.SHUFFLE_RECORDS
    huge = Videos(("a",), (1,), 3, "frame", {"rgb": 1024}, largest=2**40)
    assert huge.shuffled_records == 1


def test_no_more_records_wait_than_were_promised(many, monkeypatch):
    monkeypatch.setattr(reading, "SHUFFLE_RECORDS", 1)
    monkeypatch.setattr(reading, "FILES_AT_ONCE", 1)
    found = samples.ids(many.batches(5, seed=[0, 0], with_ids=True))
    # One record waits: only files are in another order.
    files = [name.split(b"-")[0] for name in found]
    assert all(len(set(files[at : at + 5])) == 1 for at in range(0, 50, 5))
    assert found != sorted(found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"audio": True}, "`audio` needs videos with sound"),
        ({"seed": [1]}, "`seed` must be two integers"),
        ({"share": (2, 2)}, r"`share` must be \(index, count\)"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(many, options, message):
    with pytest.raises(ValueError, match=message):
        many.batches(4, **options)


def test_videos_that_do_not_fit_together_are_refused():
    files = (("a",), (1,), 3)
    with pytest.raises(ValueError, match="`level` must be one of"):
        Videos(*files, "clip", {"rgb": 6})
    with pytest.raises(ValueError, match="widths of 'rgb'"):
        Videos(*files, "frame", {"audio": 6})
    with pytest.raises(ValueError, match="of one length, and not empty"):
        Videos(("a", "b"), (1,), 3, "frame", {"rgb": 6})
    with pytest.raises(ValueError, match="for the level 'segment'"):
        Videos(*files, "segment", {"rgb": 6})


def test_quantizing_is_undone_on_the_device():
    features = np.random.default_rng(0).uniform(-2.5, 2.5, (1, 7, 6))
    layer = cvzoo.layers.DequantizeFrames(normalize=False)
    error = np.asarray(layer(quantize(features))) - np.clip(features, -2, 2)
    assert np.abs(error).max() <= 2 / 255 + 4 / 512 + 1e-6
    # All of the half step is in one direction.
    assert abs(error.mean() - 4 / 512) < 2e-3


def test_halves_are_of_whole_videos_only(tmp_path):
    path = samples.write(tmp_path / "a.tfrecord", [samples.mean_record()])
    with pytest.raises(ValueError, match="`half_videos` is for frames"):
        samples.videos(path, 1, "video").batches(1, half_videos=True)
