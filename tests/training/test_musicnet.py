"""MusicNet from what is downloaded to what is trained on, on small synthetic files."""

import concurrent.futures
import shutil
import sys
import tarfile
import warnings

import numpy as np
import pytest
import tensorflow_datasets as tfds

from training import data, prepare
from training.data import (
    DamagedDataError,
    DataError,
    MissingDataError,
    musicnet,
    musicnet_builder,
    synthetic_musicnet,
    tfds_files,
)
from training.data.recordings import Recordings, Writer

RATE, TARGET = 44_100, 11_000
# Shorter than those of `synthetic=1`.
SECONDS = 0.6
NAMES = ("1727", "2628", "2131", "2303")
SPLITS = {"train": ("1727", "2628"), "validation": ("2131",), "test": ("2303",)}


@pytest.fixture(scope="module")
def written():
    return [synthetic_musicnet.recording(name, SECONDS) for name in NAMES]


@pytest.fixture(scope="module")
def manual(written, tmp_path_factory):
    """A folder with an archive of four recordings."""
    folder = tmp_path_factory.mktemp("manual")
    synthetic_musicnet.write(folder, written)
    return folder


def prepared_in(folder, manual):
    """Prepares a set, which has fewer recordings than the published one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*of what was published")
        musicnet.prepare(folder, manual)
    return folder


@pytest.fixture(scope="module")
def prepared(manual, tmp_path_factory):
    return prepared_in(tmp_path_factory.mktemp("prepared"), manual)


@pytest.fixture
def data_dir(prepared, tmp_path, monkeypatch):
    """The prepared set, whose files a test may damage."""
    shutil.copytree(prepared, tmp_path / "sets")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "sets"))
    return tmp_path / "sets"


def piano_roll(notes, length):
    """Labels by loops over the notes, at 11 kHz."""
    roll = np.zeros((length, 84), np.uint8)
    for begin, end, note in notes.tolist():
        roll[begin * TARGET // RATE : end * TARGET // RATE, note - 21] = 1
    return roll


def assert_as_written(found, written):
    """Compares recordings with what they were made of."""
    written = list(written)
    assert found.names == tuple(one.name for one in written)
    starts = found.starts[:-1]
    for start, length, one in zip(starts, found.lengths, written, strict=True):
        assert length == len(one.sound) * 110 // 441
        places = np.arange(start, start + length)
        np.testing.assert_array_equal(
            found.labels(places), piano_roll(one.notes, length)
        )


def test_labels_of_all_splits_are_those_of_the_csv(prepared, written, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    for split, names in SPLITS.items():
        found = musicnet.recordings(split)
        assert_as_written(found, [one for one in written if one.name in names])
        assert found.audio.dtype == np.float32 and not found.audio.flags.writeable


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """Recordings of clicks, each where a note begins; a record of them has a second."""
    recordings = []
    for name in NAMES:
        random = np.random.default_rng(int(name))
        begins = np.sort(random.choice(np.arange(1, 110), 20, False)) * 1000 + 77
        sound = np.zeros(int(2.7 * RATE))
        times = np.arange(len(sound))
        for begin in begins:
            sound += np.exp(-0.5 * ((times - begin) / 20) ** 2)
        notes = np.stack([begins, begins + 400, np.full(20, 60)], axis=1)
        recordings.append(
            synthetic_musicnet.Synthetic(name, sound.astype(np.float32), notes)
        )
    folder = tmp_path_factory.mktemp("marked")
    synthetic_musicnet.write(folder / "manual", recordings)
    with pytest.MonkeyPatch.context() as patch:
        # Recordings of three records, files of two: neither ends with the other.
        patch.setattr(musicnet_builder, "PIECE", TARGET)
        patch.setattr(musicnet_builder, "PIECES_PER_FILE", 2)
        return prepared_in(folder / "sets", folder / "manual"), recordings


def test_a_note_begins_where_it_is_heard(marked, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(marked[0]))
    for split in SPLITS:
        found = musicnet.recordings(split)
        on = found.labels(np.arange(len(found.audio)))[:, 60 - 21].astype(int)
        begins = np.flatnonzero(np.diff(on) > 0) + 1
        assert len(begins) == 20 * len(found.names)
        for begin in begins:
            peak = begin - 5 + np.argmax(found.audio[begin - 5 : begin + 6])
            # The label is truncated to the sample before, at most.
            assert peak - begin in (0, 1)


def test_records_and_files_join_without_a_gap(marked, tmp_path, monkeypatch):
    folder, recordings = marked
    shards = sorted((folder / "musicnet" / "1.0.0").glob("*-train.tfrecord*"))
    assert len(shards) == 3
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
    synthetic_musicnet.write(tmp_path / "manual", recordings)
    whole = prepared_in(tmp_path / "sets", tmp_path / "manual")
    for split in SPLITS:
        found = musicnet.recordings(split)
        monkeypatch.setenv("TFDS_DATA_DIR", str(whole))
        expected = musicnet.recordings(split)
        monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
        np.testing.assert_array_equal(found.audio, expected.audio)
        np.testing.assert_array_equal(found.starts, expected.starts)


def test_records_tell_what_the_table_tells(prepared):
    records = list(
        tfds.load("musicnet", data_dir=prepared, split="train").as_numpy_iterator()
    )
    assert [one["name"] for one in records] == [b"1727", b"2628"]
    assert records[0]["composition"] == b"Random notes"
    assert records[1]["movement"] == b"No. 2628"
    assert records[0]["length"] == len(records[0]["audio"]) == 6600
    assert set(records[0]["notes"]["instrument"]) == {1}


def unpacked(manual, folder):
    """The folder that the archive unpacks to."""
    with tarfile.open(manual / "musicnet.tar.gz") as members:
        members.extractall(folder, filter="data")


def bare(manual, folder):
    """What is within that folder."""
    unpacked(manual, folder)
    for path in (folder / "musicnet").iterdir():
        path.rename(folder / path.name)


def hdf5(manual, folder):
    synthetic_musicnet.write_h5(
        folder / "musicnet.h5",
        [synthetic_musicnet.recording(name, SECONDS) for name in NAMES],
    )


@pytest.mark.parametrize("lay", [unpacked, bare, hdf5])
def test_other_forms_of_the_archive_give_the_same(lay, prepared, manual, tmp_path):
    lay(manual, tmp_path)
    again = prepared_in(tmp_path / "sets", tmp_path)
    for split in SPLITS:
        place = f"musicnet/1.0.0/recordings/{split}"
        for name in ("audio.float32", "notes.npz", "index.json"):
            expected = (prepared / place / name).read_bytes()
            assert (again / place / name).read_bytes() == expected


def test_files_that_paper_2_resampled_are_taken_as_they_are(tmp_path):
    written = [synthetic_musicnet.recording(name, 0.1) for name in NAMES]
    parts = {"train": "train", "validation": "valid", "test": "test"}
    for split, part in parts.items():
        path = tmp_path / f"musicnet_11khz_{part}.h5"
        of_split = [one for one in written if one.name in SPLITS[split]]
        synthetic_musicnet.write_h5(path, of_split)
    files = tfds_files.Files("musicnet", "musicnet", tmp_path / "sets")
    prepared_in(tmp_path / "sets", tmp_path)
    for split, names in SPLITS.items():
        records = list(files.records(split))
        assert [one["name"].decode() for one in records] == list(names)
        for record in records:
            (one,) = [one for one in written if one.name == record["name"].decode()]
            np.testing.assert_array_equal(record["audio"], one.sound)
            np.testing.assert_array_equal(record["notes"]["begin"], one.notes[:, 0])


def test_the_mapped_files_are_made_again_where_they_are_missing(data_dir):
    expected = musicnet.recordings("train")
    shutil.rmtree(data_dir / "musicnet" / "1.0.0" / "recordings")
    found = musicnet.recordings("train")
    np.testing.assert_array_equal(found.audio, expected.audio)
    assert found.names == expected.names


def test_several_may_make_them_at_a_time(data_dir):
    folder = data_dir / "musicnet" / "1.0.0" / "recordings"
    expected = np.array(musicnet.recordings("train").audio)
    shutil.rmtree(folder)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(musicnet.recordings, ["train"] * 4))
    for one in found:
        np.testing.assert_array_equal(one.audio, expected)
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "train"]


def test_what_is_not_prepared_says_how_to_prepare_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    message = (
        "'musicnet' is not here.*Run `python -m training.prepare musicnet --manual-dir "
        r"MANUAL \[--data-dir DIR\]` once. .*musicnet.tar.gz.*zenodo.org/records/"
    )
    with pytest.raises(MissingDataError, match=message):
        musicnet.recordings("train")
    assert not list(tmp_path.iterdir())


def everything_in(folder):
    return [path for path in folder.rglob("*") if not path.is_dir()]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_folder_without_musicnet_is_answered_with_where_it_is(
    is_there, tmp_path, capsys
):
    manual = tmp_path / "manual"
    if is_there:
        manual.mkdir()
        (manual / "other.tar.gz").write_bytes(b"")
    options = ["--data-dir", str(tmp_path / "sets"), "--manual-dir", str(manual)]
    assert prepare.main(["musicnet", *options]) == 2
    message = capsys.readouterr().err
    assert str(manual) in message and "https://zenodo.org/records/5120004" in message
    assert not everything_in(tmp_path / "sets")


def truncate(folder):
    path = folder / "musicnet.tar.gz"
    path.write_bytes(path.read_bytes()[:-2000])


def spoil(folder):
    """The last recording to be read has a sample that is no number."""
    written = [synthetic_musicnet.recording(name, SECONDS) for name in NAMES]
    written[-1].sound[25_000] = np.nan
    synthetic_musicnet.write(folder, written)


def without_validation(folder):
    written = [synthetic_musicnet.recording(name, SECONDS) for name in NAMES]
    synthetic_musicnet.write(folder, [one for one in written if one.name != "2131"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (truncate, "musicnet.tar.gz is damaged: .*Download it again"),
        (spoil, "test_data/2303.wav is damaged: samples from .* finite numbers"),
        (without_validation, r"There are no recordings of \['validation'\]"),
    ],
)
def test_what_was_begun_is_not_kept(change, message, manual, tmp_path):
    shutil.copytree(manual, tmp_path / "manual")
    change(tmp_path / "manual")
    with pytest.raises(DataError, match=message):
        musicnet.prepare(tmp_path / "sets", tmp_path / "manual")
    assert not everything_in(tmp_path / "sets")
    shutil.copytree(manual, tmp_path / "manual", dirs_exist_ok=True)
    prepared_in(tmp_path / "sets", tmp_path / "manual")


def test_nothing_but_the_set_is_left(prepared):
    folder = prepared / "musicnet" / "1.0.0"
    assert {path.relative_to(prepared) for path in prepared.rglob("*.wav")} == set()
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        *("LICENSE", "dataset_info.json", "features.json"),
        *(f"musicnet-{s}.tfrecord-00000-of-00001" for s in ("test", "train")),
        "musicnet-validation.tfrecord-00000-of-00001",
        "recordings",
    ]


def test_a_full_disk_is_told_of(manual, tmp_path, monkeypatch):
    def full(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(musicnet_builder.musicnet_wav.shutil, "copyfileobj", full)
    with pytest.raises(DataError, match="could not be prepared.*No space left"):
        musicnet.prepare(tmp_path / "sets", manual)
    assert not everything_in(tmp_path / "sets")


def test_recordings_that_are_missing_are_told_of(manual, tmp_path, capsys):
    options = ["--data-dir", str(tmp_path), "--manual-dir", str(manual)]
    with pytest.warns(UserWarning) as caught:
        assert prepare.main(["musicnet", *options]) == 0
    assert f"musicnet is in {tmp_path / 'musicnet'}." in capsys.readouterr().out
    assert [str(one.message).partition(" has ")[2] for one in caught] == [
        "2 recordings for train; of what was published, it should have 321.",
        "1 recordings for validation; of what was published, it should have 6.",
        "1 recordings for test; of what was published, it should have 3.",
    ]


def test_a_missing_package_is_named(manual, tmp_path, monkeypatch):
    # Before the archive is unpacked.
    monkeypatch.setattr(musicnet_builder.musicnet_wav, "unpack", None)
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(DataError, match=r'pip install "cvzoo\[music\]"'):
        musicnet.prepare(tmp_path, manual)


def test_a_damaged_file_of_the_set_is_told_of(data_dir):
    folder = data_dir / "musicnet" / "1.0.0"
    (shard,) = folder.glob("*-train.tfrecord*")
    shard.write_bytes(shard.read_bytes()[:-9])
    shutil.rmtree(folder / "recordings")
    message = "'musicnet' in .* is damaged: .*--manual-dir MANUAL .*again"
    with pytest.raises(DamagedDataError, match=message):
        musicnet.recordings("train")
    assert [path.name for path in everything_in(folder / "recordings")] == ["lock"]


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_missing_records_are_told_of(missing, marked, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(marked[0]))
    files = musicnet._files()
    records = [one for one in files.records("train") if one["name"] == b"1727"]
    del records[missing]
    with pytest.raises(DamagedDataError, match="records of 1727 are missing"):
        for _, pieces, *_ in musicnet._recordings(files, records):
            list(pieces)


def test_synthetic_recordings_need_no_files(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    found = {split: musicnet.recordings(split, synthetic=1) for split in SPLITS}
    assert {split: len(one.names) for split, one in found.items()} == {
        **{"train": 6, "validation": 2, "test": 1}
    }
    for one in found.values():
        assert isinstance(one, Recordings)
        assert all(one.lengths >= 2 * 4096)
        count = one.labels(np.arange(0, len(one.audio), 50)).sum(axis=1)
        assert {1, 2} <= set(count) <= {0, 1, 2}
        assert_as_written(one, map(synthetic_musicnet.recording, one.names))
    assert not list(tmp_path.iterdir())


def test_synthetic_recordings_are_the_same_each_time():
    left, right = (synthetic_musicnet.recording("1727") for _ in range(2))
    np.testing.assert_array_equal(left.sound, right.sound)
    np.testing.assert_array_equal(left.notes, right.notes)
    other = synthetic_musicnet.recording("1788")
    assert not np.array_equal(left.sound, other.sound)


def test_a_synthetic_note_has_the_frequency_that_its_number_says():
    for note, hertz in ((69, 440), (60, 261.63), (81, 880)):
        sound = synthetic_musicnet.tone(note, RATE)
        assert np.argmax(np.abs(np.fft.rfft(sound))) == round(hertz)


def test_classes_are_the_keys_of_a_piano():
    assert len(musicnet.CLASSES) == 84
    assert musicnet.CLASSES[:4] == ["A0", "A#0", "B0", "C1"]
    assert musicnet.CLASSES[60 - 21] == "C4" and musicnet.CLASSES[69 - 21] == "A4"
    assert musicnet.CLASSES[-1] == "G#7"


def test_it_is_found_by_its_name():
    assert data.find("musicnet") is musicnet


@pytest.mark.parametrize(
    ("split", "options", "message"),
    [
        ("dev", {}, "`split` must be one of .*'validation'.*split='dev'"),
        ("train", {"synthetic": 2}, "`synthetic` must be 0 or 1. .*synthetic=2"),
        ("train", {"synthetic": True}, "`synthetic` must be 0 or 1"),
    ],
)
def test_options_that_cannot_be_are_refused(split, options, message):
    with pytest.raises(ValueError, match=message):
        musicnet.recordings(split, **options)


def test_files_of_another_version_are_refused(data_dir):
    folder = data_dir / "musicnet" / "1.0.0" / "recordings" / "train"
    shutil.rmtree(folder)
    with Writer(folder) as writer:
        writer.add("1", [np.zeros(5)], [], [], [])
    index = folder / "index.json"
    index.write_text(index.read_text().replace('"version": 1', '"version": 0'))
    with pytest.raises(DamagedDataError, match="train are damaged"):
        musicnet.recordings("train")
