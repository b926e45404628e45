"""HDF5 files of MusicNet, good and bad, against what was written in them."""

import h5py
import numpy as np
import pytest

from tests.training.musicnet_samples import ENOUGH, TOO_FEW, names
from training.data import (
    DamagedDataError,
    musicnet_h5,
    musicnet_wav,
    synthetic_musicnet,
)


@pytest.fixture
def h5(written, tmp_path):
    path = tmp_path / "musicnet.h5"
    synthetic_musicnet.write_h5(path, written[1].values())
    return path


def test_hdf5_gives_what_the_archive_gives(written, h5):
    found = list(musicnet_h5.recordings(h5))
    expected = list(musicnet_wav.recordings(written[0]))
    assert names(found) == names(expected)
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(left.notes[:, :3], right.notes[:, :3])
        for one, other in zip(left.pieces(999), right.pieces(999), strict=True):
            np.testing.assert_array_equal(one, other)


def test_resampled_hdf5_is_taken_as_it_is(written, h5):
    (one, *_) = musicnet_h5.recordings(h5, hertz=11_000)
    expected = written[1]["1727"]
    assert one.length == len(expected.sound)
    found = np.concatenate(list(one.pieces(999)))
    np.testing.assert_array_equal(found, expected.sound)
    columns = one.resampled_notes()
    for key, column in zip(("begin", "end", "note"), expected.notes.T, strict=True):
        np.testing.assert_array_equal(columns[key], column)


def replace(key, value):
    def change(file):
        del file[key]
        if value is not None:
            file[key] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replace("id_1727/data", None), "musicnet.h5, id_1727 is damaged.*data"),
        (replace("id_1727/labels", None), "musicnet.h5, id_1727 is damaged.*labels"),
        (replace("id_1727/labels", np.zeros((3, 3))), "id_1727 is damaged"),
        (replace("id_1727", np.zeros(3)), "id_1727 is damaged"),
    ],
)
def test_damaged_groups_are_named(change, message, h5):
    with h5py.File(h5, "r+") as file:
        change(file)
    with pytest.raises(DamagedDataError, match=message):
        list(musicnet_h5.recordings(h5))


@pytest.mark.parametrize(
    ("sound", "message"),
    [
        (np.zeros((ENOUGH, 2), np.float32), "id_1727 is not mono"),
        (np.zeros(ENOUGH), "id_1727 has samples of float64"),
        (np.zeros(TOO_FEW, np.float32), "id_1727 is shorter than a window"),
    ],
)
def test_unusable_groups_are_left_out_and_named(sound, message, h5):
    with h5py.File(h5, "r+") as file:
        replace("id_1727/data", sound)(file)
    with pytest.warns(UserWarning, match=f"musicnet.h5, {message}.*left out"):
        assert names(musicnet_h5.recordings(h5)) == ["2131", "2303"]


def test_a_truncated_hdf5_file_is_named(h5):
    h5.write_bytes(h5.read_bytes()[:-100])
    with pytest.raises(DamagedDataError, match="musicnet.h5 is damaged"):
        list(musicnet_h5.recordings(h5))


def test_a_damaged_block_of_sound_is_named(h5):
    rate, length = 11_000, 200_000
    with h5py.File(h5, "r+") as file:
        del file["id_1727/data"]
        sound = np.random.default_rng(0).normal(size=length).astype(np.float32)
        file["id_1727"].create_dataset(
            "data", data=sound, chunks=(rate,), compression="gzip"
        )
        place = file["id_1727/data"].id.get_chunk_info(3).byte_offset
    written = bytearray(h5.read_bytes())
    written[place : place + 1000] = bytes(1000)
    h5.write_bytes(written)
    one = next(iter(musicnet_h5.recordings(h5)))
    with pytest.raises(DamagedDataError, match="musicnet.h5/id_1727 is damaged"):
        list(one.blocks())
