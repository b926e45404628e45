"""Records and shards that are not what they should be."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.training import youtube8m_samples as samples
from tests.training.youtube8m_samples import FEATURES, frame_record, frames, only
from training.data.youtube8m import checking
from training.data.youtube8m.parsing import SILENCE
from training.data.youtube8m.reading import MAX_FRAMES, Videos


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(checking, "FEATURES", FEATURES)


def written(tmp_path, records):
    """A shard, and what the index says of it."""
    path = samples.write(tmp_path / "train00.tfrecord", records)
    return path, checked(path)


def checked(path):
    return checking.Shard.of(checking.check(path.parent, path.name))


def good(count):
    return [
        frame_record(b"%d" % n, (1,), frames(3, 6, n), frames(3, 4, n))
        for n in range(count)
    ]


def offsets(records):
    """Where each record begins in a file, and where the last one ends."""
    return np.cumsum([0] + [len(record) + 16 for record in records])


def damage(path, records, kind):
    """Damages the third record of a file."""
    content, at = bytearray(path.read_bytes()), offsets(records)[2]
    if kind == "truncated":
        content = content[: at + 40]
    elif kind == "length":
        content[at] ^= 255
    elif kind == "bit":
        content[at + 30] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["truncated", "length", "bit"])
def test_what_comes_before_damage_is_read(tmp_path, kind):
    records = good(5)
    path = samples.write(tmp_path / "train00.tfrecord", records)
    damage(path, records, kind)
    shard = checked(path)
    assert shard.videos == 2
    begin, size = offsets(records)[2], path.stat().st_size
    assert shard.damage == f"no whole record begins at byte {begin:,} of {size:,}"
    dataset = samples.videos(path, shard.videos).batches(9, with_ids=True)
    assert samples.ids(dataset) == [b"0", b"1"]


@pytest.mark.parametrize("seed", [None, [0, 0]])
@pytest.mark.parametrize("kind", ["truncated", "length", "bit"])
def test_damage_after_the_index_does_not_end_a_pass(tmp_path, kind, seed):
    records = good(5)
    paths = [samples.write(tmp_path / f"{n}.tfrecord", records) for n in range(3)]
    files = tuple(map(str, paths))
    videos = Videos(files, (5, 5, 5), 5, "frame", FEATURES)
    damage(paths[1], records, kind)
    found = samples.ids(videos.batches(4, seed=seed, with_ids=True))
    # The 12 that can be read, once.
    expected = [b"%d" % n for n in [*range(5), 0, 1, *range(5)]]
    assert sorted(found) == sorted(expected)
    assert found == expected or seed is not None


def removed(path):
    path.unlink()


def replaced_by_a_folder(path):
    path.unlink()
    path.mkdir()


def forbidden(path):
    if os.geteuid() == 0:
        pytest.skip("root may read all")
    path.chmod(0)


@pytest.mark.parametrize("seed", [None, [0, 0]])
@pytest.mark.parametrize("lose", [removed, replaced_by_a_folder, forbidden])
def test_files_that_cannot_be_opened_any_more_are_left_out(tmp_path, lose, seed):
    paths = [
        samples.write(tmp_path / f"{n}.tfrecord", good(5)[2 * n : 2 * n + 2])
        for n in range(2)
    ]
    videos = Videos(tuple(map(str, paths)), (2, 2), 5, "frame", FEATURES)
    lose(paths[1])
    found = samples.ids(videos.batches(4, seed=seed, with_ids=True))
    assert sorted(found) == [b"0", b"1"]
    lose_all = Videos((str(paths[1]),), (2,), 5, "frame", FEATURES)
    assert list(lose_all.batches(4, seed=seed)) == []


@pytest.mark.parametrize("lose", [replaced_by_a_folder, forbidden])
def test_files_that_cannot_be_opened_are_bad(tmp_path, lose):
    path = samples.write(tmp_path / "train00.tfrecord", good(2))
    lose(path)
    shard = checked(path)
    assert shard.damage.startswith("it cannot be read") and not shard.videos
    assert not shard.sha256


@pytest.mark.slow
def test_files_that_cannot_be_opened_are_named_once(tmp_path):
    """In a process of its own: the log of this one may be silent."""
    path = samples.write(tmp_path / "0.tfrecord", good(2))
    files = (str(path), str(tmp_path / "gone.tfrecord"))
    code = (
        "from training.data.youtube8m.reading import Videos\n"
        f"videos = Videos({files}, (2, 2), 5, 'frame', {FEATURES})\n"
        "print(len(list(videos.batches(1))))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.stdout.split() == ["2"]
    assert process.stderr.count("gone.tfrecord; No such file") == 1


def test_a_record_that_is_no_video_ends_its_shard(tmp_path):
    records = good(5)
    records[3] = b"\xff\xff not a record"
    path, shard = written(tmp_path, records)
    assert (shard.videos, shard.damage) == (3, "record 3 is no video of level frame")
    dataset = samples.videos(path, shard.videos).batches(9, with_ids=True)
    assert samples.ids(dataset) == [b"0", b"1", b"2"]
    # Nor does it end a pass that knows nothing of it: its batch is left out.
    dataset = samples.videos(path, 5).batches(1, with_ids=True)
    assert samples.ids(dataset) == [b"0", b"1", b"2", b"4"]


@pytest.mark.parametrize("content", [b"", b"\x00", b"<html>404 Not Found</html>" * 9])
def test_files_that_hold_no_record_are_bad(tmp_path, content):
    path = tmp_path / "train00.tfrecord"
    path.write_bytes(content)
    shard = checked(path)
    assert shard.videos == 0 and shard.bytes == len(content)
    where = f"no whole record begins at byte 0 of {len(content)}"
    assert shard.damage == (where if content else "it is empty")


def test_missing_sound_is_the_byte_nearest_to_zero(tmp_path):
    rgb, audio = frames(3, 6), frames(1, 4)
    records = [
        frame_record(b"no list", rgb=rgb),
        frame_record(b"empty list", rgb=rgb, audio=[]),
        frame_record(b"short", rgb=rgb, audio=audio),
        frame_record(b"shorter video", rgb=rgb[:2]),
    ]
    path, shard = written(tmp_path, records)
    assert shard.problems.missing_audio == 4
    (_, found, _), _ = only(samples.videos(path, 4).batches(4, audio=True))
    expected = np.full((4, 3, 4), SILENCE)
    expected[2, 0] = audio[0]
    expected[3, 2] = 0
    np.testing.assert_array_equal(found, expected)
    assert abs(SILENCE * 4 / 255 + 4 / 512 - 2) < 2 / 255


def test_sound_behind_the_last_image_is_cut_off(tmp_path):
    path, _ = written(tmp_path, [frame_record(rgb=frames(2, 6), audio=frames(3, 4))])
    (rgb, audio, count), _ = only(samples.videos(path, 1).batches(1, audio=True))
    assert rgb.shape[:2] == audio.shape[:2] == (1, 2) and count.tolist() == [2]


@pytest.mark.parametrize("half_videos", [False, True])
def test_videos_without_frames_have_none_and_a_time_of_one(tmp_path, half_videos):
    path, shard = written(tmp_path, [frame_record(rgb=[]), frame_record()])
    assert shard.problems.no_frames == 2 and shard.frames == 0
    (rgb, audio, count), _ = only(
        samples.videos(path, 2).batches(2, audio=True, half_videos=half_videos)
    )
    batch = 4 if half_videos else 2
    assert rgb.shape == (batch, 1, 6) and audio.shape == (batch, 1, 4)
    assert not rgb.any() and not count.any()


def test_more_than_300_frames_are_cut_off(tmp_path):
    rgb, audio = frames(305, 6), frames(305, 4)
    path, shard = written(tmp_path, [frame_record(rgb=rgb, audio=audio), *good(1)])
    assert shard.problems.too_long == 1 and shard.frames == MAX_FRAMES + 3
    (found, heard, count), _ = only(samples.videos(path, 2).batches(2, audio=True))
    assert count.tolist() == [MAX_FRAMES, 3] and found.shape == (2, MAX_FRAMES, 6)
    np.testing.assert_array_equal(found[0], rgb[:MAX_FRAMES])
    np.testing.assert_array_equal(heard[0], audio[:MAX_FRAMES])
    (found, count), _ = only(samples.videos(path, 2, max_frames=4).batches(2))
    assert count.tolist() == [4, 3] and found.shape == (2, 4, 6)


def test_unknown_labels_are_left_out_and_counted(tmp_path):
    labels = (-1, 4, 4, 5, 3862, 4715, 4716, 2**40)
    path, shard = written(tmp_path, [frame_record(b"", labels, frames(1, 6))])
    assert shard.problems.unknown_labels == {"3862": 5, "4716": 3}
    assert shard.problems.no_id == 1
    _, found = only(samples.videos(path, 1).batches(1))
    np.testing.assert_array_equal(found, [[0, 0, 0, 0, 1]])


def test_numbers_that_are_not_finite_become_zero(tmp_path):
    rgb = [1, np.nan, 3, np.inf, -np.inf, 6]
    records = [
        samples.mean_record(rgb=rgb, audio=[1, 2, 3, 4]),
        samples.mean_record(rgb=rgb),
        samples.mean_record(audio=[1, 2, 3, 4]),
    ]
    path, shard = written(tmp_path, records)
    assert (shard.level, shard.videos, shard.damage) == ("video", 3, None)
    problems = shard.problems
    assert (problems.not_finite, problems.missing_audio, problems.no_frames) == (
        6,
        1,
        1,
    )
    found, _ = only(samples.videos(path, 3, "video").batches(3))
    clean, sound = [1, 0, 3, 0, 0, 6], [1, 2, 3, 4]
    np.testing.assert_array_equal(
        found, [clean + sound, clean + [0] * 4, [0] * 6 + sound]
    )


WIDTHS = [
    (frame_record(rgb=frames(2, 5)), "'rgb' has 5 numbers, and 6 were expected"),
    (
        frame_record(rgb=frames(2, 6), audio=frames(2, 8)),
        "'audio' has 8 numbers, and 4 were expected",
    ),
]


@pytest.mark.parametrize(("record", "message"), WIDTHS, ids=["rgb", "audio"])
def test_a_frame_of_another_width_ends_its_shard(tmp_path, record, message):
    _, shard = written(tmp_path, [*good(70), record, *good(2)])
    assert (shard.videos, shard.frames, shard.is_foreign) == (70, 210, False)
    assert shard.damage == f"record 70 is none of YouTube-8M: {message}"
    assert shard.sha256


def test_a_mean_of_another_width_ends_its_shard(tmp_path):
    means = [samples.mean_record(rgb=[1] * width) for width in (6, 7, 6)]
    _, shard = written(tmp_path, means)
    assert (shard.level, shard.videos, shard.is_foreign) == ("video", 1, False)
    assert shard.damage.endswith("'mean_rgb' has 7 numbers, and 6 were expected")


def test_a_first_record_of_another_width_is_another_data_set(tmp_path):
    _, shard = written(tmp_path, [WIDTHS[0][0], *good(2)])
    # It is not read to its end for a checksum.
    assert shard.is_foreign and not shard.videos and not shard.sha256
