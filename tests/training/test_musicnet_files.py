"""Archive and wav files of MusicNet against loops over what was written in them."""

import csv
import os
import tarfile

import numpy as np
import pytest
import scipy.io.wavfile
from hypothesis import given
from hypothesis import strategies as st

from tests.training.musicnet_samples import ENOUGH, TOO_FEW, names
from training.data import (
    DamagedDataError,
    musicnet_recordings,
    musicnet_wav,
    synthetic_musicnet,
)
from training.data.musicnet_recordings import UnusableError, check_notes, split_of

RATE = 44_100


@pytest.fixture
def folder(written, tmp_path):
    """The unpacked archive of three recordings, which a test may damage."""
    for path in written[0].rglob("*.*"):
        copied = tmp_path / path.relative_to(written[0])
        copied.parent.mkdir(exist_ok=True)
        copied.write_bytes(path.read_bytes())
    return tmp_path


def wav(folder, name="1727"):
    (path,) = folder.glob(f"*_data/{name}.wav")
    return path


def labels(folder, name="1727"):
    (path,) = folder.glob(f"*_labels/{name}.csv")
    return path


def sound_of(recording):
    return np.concatenate(list(recording.blocks()))


def test_sound_and_labels_are_those_of_the_files(written):
    folder, expected = written
    found = list(musicnet_wav.recordings(folder))
    assert names(found) == ["1727", "2131", "2303"]
    for one in found:
        np.testing.assert_array_equal(sound_of(one), expected[one.name].sound)
        assert (one.hertz, one.samples) == (RATE, len(expected[one.name].sound))
        assert one.length == one.samples * 11_000 // 44_100
        with open(labels(folder, one.name), newline="") as file:
            rows = list(csv.DictReader(file))
        for row, note in zip(rows, one.notes.tolist(), strict=True):
            keys = ("start_time", "end_time", "note", "instrument")
            assert note == [int(row[key]) for key in keys]


def test_blocks_join_without_a_gap(written, monkeypatch):
    monkeypatch.setattr(musicnet_wav, "BLOCK", 1000)
    folder, expected = written
    for one in musicnet_wav.recordings(folder):
        assert len(list(one.blocks())) == 27
        np.testing.assert_array_equal(sound_of(one), expected[one.name].sound)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8])
def test_integer_samples_are_converted_without_rounding(dtype, folder):
    limits = np.iinfo(dtype)
    levels = np.linspace(limits.min, limits.max, 26_460).astype(dtype)
    scipy.io.wavfile.write(wav(folder), RATE, levels)
    one = next(iter(musicnet_wav.recordings(folder)))
    assert sound_of(one).dtype == dtype
    found = musicnet_recordings.as_float32(sound_of(one))
    silence = {np.int16: 0, np.uint8: 128}[dtype]
    one_is = {np.int16: 32_768, np.uint8: 128}[dtype]
    expected = (levels.astype(np.float64) - silence) / one_is
    np.testing.assert_array_equal(found.astype(np.float64), expected)
    assert found.dtype == np.float32 and found[0] == -1 and 0 in found


def rewrite(rate=RATE, dtype=np.float32, shape=(ENOUGH,)):
    """Writes another wav."""
    return lambda folder: scipy.io.wavfile.write(
        wav(folder), rate, np.zeros(shape, dtype)
    )


def keep_labels(rows):
    """Keeps the first lines of the labels; none at all for 0."""

    def change(folder):
        lines = labels(folder).read_text().splitlines(keepends=True)
        labels(folder).write_text("".join(lines[:rows]))

    return change


LEFT_OUT = {
    "1727.wav is not mono: it has 2 channels": rewrite(shape=(ENOUGH, 2)),
    "1727.wav has 48,000 samples a second, not 44,100": rewrite(rate=48_000),
    "1727.wav has samples of int32": rewrite(dtype=np.int32),
    "1727.wav has samples of float64": rewrite(dtype=np.float64),
    "1727.wav is shorter than a window": rewrite(shape=(TOO_FEW,)),
    "1727.csv has no labels": keep_labels(1),
    "train_labels/1727.csv has no labels": keep_labels(0),
    "1727.wav has no 1727.csv": lambda folder: labels(folder).unlink(),
    "1727.csv has no 1727.wav": lambda folder: wav(folder).unlink(),
}


@pytest.mark.parametrize("message", LEFT_OUT)
def test_unusable_recordings_are_left_out_and_named(message, folder):
    LEFT_OUT[message](folder)
    with pytest.warns(UserWarning, match=f"{folder}.*{message}.*left out"):
        found = list(musicnet_wav.recordings(folder))
    assert names(found) == ["2131", "2303"]


def test_a_window_is_long_enough(folder):
    rewrite()(folder)
    with pytest.warns(UserWarning, match="1727.csv: .*cut"):
        assert next(iter(musicnet_wav.recordings(folder))).length == 4096


def change_label(line, field, value):
    """Changes one number of the labels."""

    def change(folder):
        lines = labels(folder).read_text().splitlines()
        row = lines[line].split(",")
        row[synthetic_musicnet.HEADER.index(field)] = value
        lines[line] = ",".join(row)
        labels(folder).write_text("\n".join(lines))

    return change


def cut(path, left):
    """Leaves the first bytes of a file."""
    return lambda folder: path(folder).write_bytes(path(folder).read_bytes()[:left])


def rename_note(folder):
    labels(folder).write_text(labels(folder).read_text().replace("note,", "key,", 1))


DAMAGES = {
    r"1727.csv has no columns \['note'\]": rename_note,
    "1727.csv is damaged in line 3: .*'x'": change_label(2, "start_time", "x"),
    "1727.csv is damaged in line 2: .*''": change_label(1, "note", ""),
    "1727.csv is damaged in line 6: it has fewer columns": cut(labels, -12),
    "1727.csv is damaged in line .: .*decode": lambda folder: labels(
        folder
    ).write_bytes(b"\xff\xfe"),
    "1727.csv is damaged: its notes are no MIDI": change_label(1, "note", "128"),
    "1727.wav cannot be read": cut(wav, -5000),
    "data/1727.wav cannot be read": cut(wav, 20),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_damaged_files_are_named(message, folder):
    DAMAGES[message](folder)
    with pytest.raises(DamagedDataError, match=f"{folder}.*{message}"):
        list(musicnet_wav.recordings(folder))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_named(value, written, folder):
    sound = written[1]["1727"].sound.copy()
    sound[20_000] = value
    scipy.io.wavfile.write(wav(folder), RATE, sound)
    one = next(iter(musicnet_wav.recordings(folder)))
    with pytest.raises(DamagedDataError, match="1727.wav is damaged: .*finite"):
        list(one.pieces(1000))


def test_a_file_that_is_cut_after_it_was_opened_is_named(folder):
    one = next(iter(musicnet_wav.recordings(folder)))
    cut(wav, -4000)(folder)
    with pytest.raises(DamagedDataError, match="1727.wav .* have 26,460 .* 25,460"):
        list(one.pieces(1000))


def test_other_chunks_of_a_wav_are_passed_over(written, folder):
    whole = wav(folder).read_bytes()
    # A chunk of an odd size before the sound, as editors write them.
    at = whole.index(b"fact")
    chunk = b"odd " + (3).to_bytes(4, "little") + b"abc\0"
    size = (len(whole) + len(chunk) - 8).to_bytes(4, "little")
    wav(folder).write_bytes(whole[:4] + size + whole[8:at] + chunk + whole[at:])
    one = next(iter(musicnet_wav.recordings(folder)))
    np.testing.assert_array_equal(sound_of(one), written[1]["1727"].sound)


def test_the_same_number_twice_is_refused(folder):
    (folder / "test_data" / "1727.wav").write_bytes(wav(folder).read_bytes())
    with pytest.raises(DamagedDataError, match="1727.wav.*same number"):
        musicnet_wav.recordings(folder)


def test_files_that_macos_adds_are_passed_over(folder):
    wav(folder).with_name("._1727.wav").write_bytes(b"\0")
    assert len(list(musicnet_wav.recordings(folder))) == 3


notes = st.lists(
    st.tuples(st.integers(-9, 50), st.integers(-9, 60), st.integers(0, 127)),
    min_size=1,
    max_size=6,
)


@pytest.mark.filterwarnings("ignore:somewhere")
@given(notes, st.integers(1, 45))
def test_only_notes_within_the_recording_are_kept(drawn, samples):
    expected = [
        [max(begin, 0), min(end, samples), note, 1]
        for begin, end, note in drawn
        if begin < end and begin < samples and end > 0
    ]
    given_notes = np.array([[*note, 1] for note in drawn], np.int64)
    if not expected:
        with pytest.raises(UnusableError, match="somewhere has no notes"):
            check_notes("somewhere", given_notes, samples)
        return
    assert check_notes("somewhere", given_notes, samples).tolist() == expected


def test_notes_past_the_end_are_told_of(written, folder):
    end = len(written[1]["1727"].sound)
    change_label(-1, "end_time", str(end + 1))(folder)
    change_label(-2, "start_time", str(end))(folder)
    count = len(written[1]["1727"].notes)
    message = f"1727.csv: of {count} notes, 1 lie outside .*, and 1 reach beyond it"
    with pytest.warns(UserWarning, match=message):
        one = next(iter(musicnet_wav.recordings(folder)))
    assert len(one.notes) == count - 1
    assert one.notes[-1, 1] == end


def test_splits_are_those_of_paper_2_over_both_parts(tmp_path):
    names = {*synthetic_musicnet.ARCHIVE_TEST, *musicnet_recordings.VALIDATION}
    names |= {str(number) for number in range(1, 330 - len(names) + 1)}
    note = np.array([[0, 100, 60]])
    silence = np.zeros(ENOUGH, np.float32)
    synthetic_musicnet.write_unpacked(
        tmp_path,
        (synthetic_musicnet.Synthetic(name, silence, note) for name in names),
    )
    assert len(list(tmp_path.glob("test_data/*.wav"))) == 10
    splits = {"train": [], "validation": [], "test": []}
    for one in musicnet_wav.recordings(tmp_path):
        splits[split_of(one.name)].append(one.name)
    assert splits["test"] == ["1819", "2303", "2382"]
    assert splits["validation"] == ["1792", "1876", "2131", "2384", "2514", "2567"]
    assert len(splits["train"]) == 321
    others = {"2298", "2191", "2556", "2416", "2628", "1759", "2106"}
    assert others < set(splits["train"])


@pytest.fixture
def archive(written, tmp_path):
    """An archive of three recordings."""
    synthetic_musicnet.write(tmp_path, written[1].values())
    return tmp_path / "musicnet.tar.gz"


def files_in(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*.*"))


def test_the_archive_unpacks_to_the_same_files(written, archive, tmp_path):
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    musicnet_wav.unpack(archive, unpacked)
    # All but the table of recordings.
    assert files_in(unpacked) == files_in(written[0])[1:]
    for path in files_in(unpacked):
        assert (unpacked / path).read_bytes() == (written[0] / path).read_bytes()


@pytest.mark.parametrize("left", [0.5, 0.999, 1000, 0])
def test_truncated_archives_are_named(left, archive, tmp_path):
    whole = archive.read_bytes()
    size = left if isinstance(left, int) else int(left * len(whole))
    archive.write_bytes(whole[:size])
    with pytest.raises(DamagedDataError, match="musicnet.tar.gz is damaged.*again"):
        musicnet_wav.unpack(archive, tmp_path)


def test_a_flipped_bit_is_found(archive, tmp_path):
    changed = bytearray(archive.read_bytes())
    changed[len(changed) // 2] ^= 1
    archive.write_bytes(changed)
    with pytest.raises(DamagedDataError, match="musicnet.tar.gz is damaged"):
        musicnet_wav.unpack(archive, tmp_path)


def test_names_in_an_archive_lead_nowhere_else(written, tmp_path):
    source = written[0] / "train_data" / "1727.wav"
    odd = ("../train_data/1.wav", "/train_data/2.wav", "a/../../train_data/3.wav")
    path = tmp_path / "musicnet.tar.gz"
    with tarfile.open(path, "w:gz") as members:
        for name in odd:
            member = members.gettarinfo(source)
            member.name = name
            with open(source, "rb") as file:
                members.addfile(member, file)
        link = tarfile.TarInfo("train_data/4.wav")
        link.type, link.linkname = tarfile.SYMTYPE, os.fspath(source)
        members.addfile(link)
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    musicnet_wav.unpack(path, unpacked)
    names = [str(path) for path in files_in(unpacked)]
    assert names == [f"train_data/{number}.wav" for number in (1, 2, 3)]
    assert sorted(os.listdir(tmp_path)) == ["musicnet.tar.gz", "unpacked"]
