"""Segments of videos and the ratings that people gave."""

import numpy as np
import pytest
import tensorflow as tf

from tests.training import youtube8m_samples as samples
from tests.training.youtube8m_samples import (
    CLASSES,
    FEATURES,
    floats,
    frame_record,
    frames,
    integers,
    only,
)
from training.data.youtube8m import checking


def rated(name, length, ratings, **options):
    """A record with `(class, start, score)` of each rating."""
    classes, starts, scores = zip(*ratings, strict=True)
    context = {
        "segment_labels": integers(*classes),
        "segment_start_times": integers(*starts),
        "segment_end_times": integers(*(start + 5 for start in starts)),
        "segment_scores": floats(*scores),
    }
    rgb, audio = frames(length, 6), frames(length, 4, 1)
    return frame_record(name, (0,), rgb, audio, **(context | options))


def segments_of(path, records, count):
    samples.write(path, records)
    return samples.videos(path, len(records), "segment", segments=(count,))


def read(path, records, count, **options):
    videos = segments_of(path, records, count)
    return videos.batches(64, audio=True, with_ids=True, **options)


def test_each_segment_is_an_example_with_its_frames_and_scores(tmp_path):
    records = [
        rated(b"a", 20, [(1, 0, 1.0), (2, 10, 0.0), (3, 10, 1.0)]),
        rated(b"b", 12, [(4, 9, 0.0)]),
    ]
    dataset = read(tmp_path / "a.tfrecord", records, 3)
    (rgb, audio, count), labels, asked, names = only(dataset)
    assert names.tolist() == [b"a:0", b"a:10", b"b:9"]
    whole = frames(20, 6)
    np.testing.assert_array_equal(rgb[0], whole[:5])
    np.testing.assert_array_equal(rgb[1], whole[10:15])
    np.testing.assert_array_equal(audio[1], frames(20, 4, 1)[10:15])
    # The last one is cut off by the video's end.
    np.testing.assert_array_equal(count, [5, 5, 3])
    np.testing.assert_array_equal(rgb[2, :3], frames(12, 6)[9:])
    assert not rgb[2, 3:].any()
    np.testing.assert_array_equal(
        labels, [[0, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]]
    )
    # A score of 0 is a no; where nobody was asked is 0, too, and is told here.
    np.testing.assert_array_equal(
        asked, [[0, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]
    )


def test_segments_without_ratings_are_examples(tmp_path):
    starts = {"segment_start_times": integers(0, 5)}
    record = frame_record(b"a", (), frames(10, 6), frames(10, 4), **starts)
    _, labels, asked, names = only(read(tmp_path / "a.tfrecord", [record], 2))
    assert names.tolist() == [b"a:0", b"a:5"]
    assert not labels.any() and not asked.any() and labels.shape == (2, CLASSES)


def test_bad_ratings_are_left_out(tmp_path):
    records = [
        rated(b"a", 10, [(1, 0, 1.0), (2, 5, 1.0)], segment_scores=floats(1.0)),
        rated(b"b", 10, [(1, -3, 1.0), (99, 5, 1.0), (-1, 5, 1.0), (2, 500, 1.0)]),
    ]
    (_, _, count), labels, asked, names = only(
        read(tmp_path / "a.tfrecord", records, 2)
    )
    # One begins before its video, and one behind its end; classes are unknown.
    assert names.tolist() == [b"b:5", b"b:500"]
    np.testing.assert_array_equal(count, [5, 0])
    np.testing.assert_array_equal(labels, [[0] * 5, [0, 0, 1, 0, 0]])
    np.testing.assert_array_equal(labels, asked)


@pytest.mark.parametrize("seed", [None, [0, 1]])
def test_batches_and_steps_are_of_segments(tmp_path, seed):
    records = [rated(b"%d" % n, 30, [(1, 0, 1.0), (1, 5, 1.0)]) for n in range(25)]
    videos = segments_of(tmp_path / "a.tfrecord", records, 50)
    dataset = videos.batches(8, seed=seed, with_ids=True)
    assert videos.steps(8) == len(list(dataset)) == 7
    found = samples.ids(dataset)
    expected = [b"%d:%d" % (n, start) for n in range(25) for start in (0, 5)]
    assert found == expected if seed is None else found != expected
    assert sorted(found) == sorted(expected)


def test_the_index_counts_segments_and_bad_ratings(tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "FEATURES", FEATURES)
    records = [
        rated(b"a", 10, [(1, 0, 1.0), (2, 0, 1.0), (2, 5, 1.0)]),
        rated(b"b", 10, [(1, 0, 1.0), (2, 5, 1.0)], segment_scores=floats(1.0)),
    ]
    samples.write(tmp_path / "validate00.tfrecord", records)
    shard = checking.Shard.of(checking.check(tmp_path, "validate00.tfrecord"))
    assert (shard.level, shard.videos, shard.segments) == ("segment", 2, 2)
    assert shard.problems.bad_ratings == 1 and shard.damage is None


def test_frames_of_rated_videos_are_read_whole_as_well(tmp_path):
    path = samples.write(
        tmp_path / "a.tfrecord", [rated(b"a", 20, [(1, 0, 1.0), (2, 10, 1.0)])]
    )
    (rgb, _), labels = only(samples.videos(path, 1).batches(1))
    assert rgb.shape == (1, 20, 6)
    np.testing.assert_array_equal(labels, tf.one_hot([0], CLASSES))
