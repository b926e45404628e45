"""Recordings in files against plain loops over samples and notes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data import DamagedDataError
from training.data.recordings import NOTES, Recordings, Writer, changes_of

notes = st.lists(
    st.tuples(
        st.integers(-5, 60), st.integers(0, 70), st.integers(15, 110)
    ),  # begin, end, MIDI number
    max_size=12,
)


def roll(played, length):
    """Piano roll by loops: (length, 84), as the paper's rule begin <= t < end says."""
    found = np.zeros((length, NOTES), np.uint8)
    for begin, end, note in played:
        for sample in range(max(begin, 0), min(end, length)):
            if 21 <= note <= 104:
                found[sample, note - 21] = 1
    return found


def columns(played):
    return np.array(played, int).reshape(-1, 3).T


def written(folder, recordings):
    with Writer(folder) as writer:
        for name, pieces, played in recordings:
            writer.add(name, pieces, *columns(played))
    return Recordings.open(folder)


@given(st.lists(st.tuples(notes, st.integers(1, 50)), min_size=1, max_size=4))
def test_labels_are_those_of_a_piano_roll(tmp_path_factory, drawn):
    folder = tmp_path_factory.mktemp("notes") / "train"
    found = written(
        folder,
        [
            (str(place), [np.zeros(length)], played)
            for place, (played, length) in enumerate(drawn)
        ],
    )
    expected = np.concatenate([roll(played, length) for played, length in drawn])
    np.testing.assert_array_equal(found.labels(np.arange(len(expected))), expected)
    np.testing.assert_array_equal(found.present(), expected.any(axis=0))
    np.testing.assert_array_equal(found.lengths, [length for _, length in drawn])


def test_changes_are_where_notes_begin_or_end():
    changes, sounding = changes_of([2, 4], [6, 9], [21, 23], length=8)
    assert changes.tolist() == [0, 2, 4, 6]
    first_keys = np.unpackbits(sounding, axis=1)[:, :3]
    assert first_keys.tolist() == [[0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1]]


def test_windows_are_slices_of_the_sound(tmp_path):
    sound = np.random.default_rng(0).normal(size=300).astype(np.float32)
    found = written(
        tmp_path / "train",
        [("a", [sound[:70], sound[70:100]], []), ("b", [sound[100:]], [])],
    )
    assert found.starts.tolist() == [0, 100, 300]
    assert found.names == ("a", "b")
    windows = found.windows([0, 3, 236], 64)
    expected = [sound[start : start + 64] for start in (0, 3, 236)]
    np.testing.assert_array_equal(windows, expected)
    assert windows.dtype == np.float32


def test_what_breaks_off_cannot_be_opened(tmp_path):
    def broken():
        yield np.zeros(5)
        raise OSError("a truncated file")

    with pytest.raises(OSError, match="truncated"), Writer(tmp_path / "x") as writer:
        writer.add("a", broken(), [], [], [])
    with pytest.raises(DamagedDataError, match="x are damaged"):
        Recordings.open(tmp_path / "x")


@pytest.mark.parametrize("name", ["audio.float32", "notes.npz", "index.json"])
def test_damaged_files_are_named(tmp_path, name):
    written(tmp_path / "train", [("a", [np.zeros(50)], [(1, 5, 60)])])
    path = tmp_path / "train" / name
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DamagedDataError, match="train are damaged"):
        Recordings.open(tmp_path / "train")
