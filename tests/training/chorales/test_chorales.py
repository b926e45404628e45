"""The data set: rendered once, kept whole, read by split."""

import concurrent.futures
import shutil

import numpy as np
import pytest

from training import data, prepare
from training.data import DamagedDataError, DataError, MissingDataError, chorales
from training.data.chorales import cache, rendering, scores, works
from training.data.recordings import HERTZ, LOWEST_NOTE, Recordings

# Short works.
TABLE = (
    works.Work("bwv281.mxl", "copyright", "bwv281", "train"),
    works.Work("bwv324.mxl", "permission", "bwv324", "train"),
    works.Work("bwv323.mxl", "permission", "bwv323", "validation"),
    works.Work("bwv286.mxl", "permission", "bwv286", "test"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory, bach):
    """A folder of data sets with a small one in it."""
    root = tmp_path_factory.mktemp("sets")
    assert cache.prepare(root, TABLE) == root / "chorales" / cache.VERSION
    return root


@pytest.fixture
def copied(made, tmp_path, monkeypatch):
    """A copy of it that a test may damage, where commands look for it."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return shutil.copytree(made / "chorales", tmp_path / "chorales") / cache.VERSION


@pytest.fixture
def no_rendering(monkeypatch):
    def render(*args):
        raise AssertionError("It is rendered already.")

    monkeypatch.setattr(cache, "_render", render)


def test_the_set_says_what_it_is():
    source = data.find("chorales")
    assert source.SPLITS == ("train", "validation", "test", "test_unseen")
    assert len(source.CLASSES) == 84
    assert source.CLASSES[0] == "A0" and source.CLASSES[-1] == "G#7"
    assert source.CLASSES[69 - LOWEST_NOTE] == "A4"
    assert "synthesised" in source.ABOUT["name"]
    told = {"name", "source", "licence", "notice", "inputs", "range", "sample_rate"}
    assert set(source.ABOUT) == told


def test_splits_have_their_works(made):
    folder = made / "chorales" / cache.VERSION
    found = {split: Recordings.open(folder / split).names for split in chorales.SPLITS}
    assert [name.split()[0] for name in found["train"]] == ["bwv281", "bwv324"]
    assert found["validation"] == ("bwv323",)
    assert found["test"] == found["test_unseen"] == ("bwv286",)
    # No pieces, no lock of a split, nothing of what was on its way.
    assert {path.name for path in folder.iterdir()} == set(chorales.SPLITS)


def test_sound_and_labels_are_those_of_the_renderings(made, bach):
    for split, file in (("train", "bwv281.mxl"), ("validation", "bwv323.mxl")):
        score = scores.read(bach / file)
        expected = rendering.render(score, 0, is_transposed=split == "train")
        played = expected.performance
        found = Recordings.open(made / "chorales" / cache.VERSION / split)
        length = found.lengths[0]
        np.testing.assert_array_equal(found.audio[:length], expected.audio)
        positions = np.arange(0, length, 500)
        roll = np.zeros((len(positions), 84), np.uint8)
        for begin, end, pitch in zip(
            played.begins, played.ends, played.pitches, strict=True
        ):
            is_on = (begin <= positions) & (positions < end)
            roll[is_on, pitch - LOWEST_NOTE] = 1
        np.testing.assert_array_equal(found.labels(positions), roll)


def test_the_unseen_have_the_labels_of_test(made):
    folder = made / "chorales" / cache.VERSION
    test, unseen = (Recordings.open(folder / name) for name in ("test", "test_unseen"))
    np.testing.assert_array_equal(test.changes, unseen.changes)
    np.testing.assert_array_equal(test.sounding, unseen.sounding)
    size = min(len(test.audio), len(unseen.audio))
    assert not np.array_equal(test.audio[:size], unseen.audio[:size])


def test_only_training_is_transposed(made, bach):
    folder = made / "chorales" / cache.VERSION
    for work in TABLE:
        pitches = np.unique(scores.read(bach / work.file).pitches) - LOWEST_NOTE
        for split, _ in cache.renderings_of(work.split):
            found = Recordings.open(folder / split)
            place = [name.split()[0] for name in found.names].index(work.name)
            begin, end = found.starts[place : place + 2]
            heard = found.labels(np.arange(begin, end, 200)).any(axis=0).nonzero()[0]
            if split == "train":
                key = int(found.names[place].split()[1])
                assert -5 <= key <= 6
            else:
                assert found.names[place] == work.name
                key = 0
            np.testing.assert_array_equal(heard, pitches + key)


def test_what_is_there_is_not_rendered_again(copied, no_rendering):
    assert len(chorales.recordings("train").names) == 2
    assert chorales.prepare() == copied


def test_another_version_is_rendered_anew(copied, monkeypatch):
    monkeypatch.setattr(cache, "VERSION", "0.0.0")
    asked = []
    monkeypatch.setattr(cache, "_render", lambda folder, table: asked.append(folder))
    cache.prepare()
    assert asked == [copied.with_name("0.0.0.part")]
    assert copied.with_name("0.0.0").is_dir()


@pytest.mark.parametrize("name", ["audio.float32", "notes.npz", "index.json"])
def test_damaged_files_are_told_of(copied, no_rendering, name, capsys):
    path = copied / "test" / name
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DamagedDataError, match="test are damaged"):
        chorales.recordings("test")
    assert prepare.main(["chorales"]) == 2
    assert "are damaged" in capsys.readouterr().err


def test_of_two_that_ask_at_once_one_renders(tmp_path, monkeypatch, bach):
    asked = []

    def render(folder, table):
        asked.append(folder)

    monkeypatch.setattr(cache, "_render", render)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(cache.prepare, [tmp_path] * 4))
    assert len(asked) == 1
    assert set(found) == {tmp_path / "chorales" / cache.VERSION}


def test_what_fails_leaves_nothing(tmp_path, monkeypatch, bach):
    def full(**options):
        raise OSError("No space left on device")

    monkeypatch.setattr(cache.workers, "pool", full)
    # Of a process that was killed.
    left = tmp_path / "chorales" / f"{cache.VERSION}.part"
    left.mkdir(parents=True)
    with pytest.raises(DataError, match="could not be made.+No space left"):
        cache.prepare(tmp_path, TABLE)
    assert [path.name for path in (tmp_path / "chorales").iterdir()] == ["lock"]


def test_the_command_says_where_it_is(copied, no_rendering, capsys):
    root = copied.parent.parent
    assert prepare.main(["chorales", "--data-dir", str(root)]) == 0
    assert f"chorales is in {copied}." in capsys.readouterr().out


def test_without_music21_and_files_the_error_says_what_to_install(
    tmp_path, monkeypatch
):
    def folder():
        raise MissingDataError("music21 is not installed")

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(scores, "folder", folder)
    with pytest.raises(MissingDataError, match="music21"):
        chorales.recordings("test")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("split", chorales.SPLITS)
def test_synthetic_recordings_need_no_files(split, tmp_path, monkeypatch, no_rendering):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(scores, "folder", None)
    found, again = (chorales.recordings(split, synthetic=1) for _ in range(2))
    assert list(tmp_path.iterdir()) == []
    assert len(found.names) == 4 and 5 < found.seconds < 30
    assert found.lengths.min() > HERTZ
    np.testing.assert_array_equal(found.audio, again.audio)
    labels = found.labels(np.arange(0, len(found.audio), 100))
    assert labels.any() and labels.sum(axis=1).max() <= 4


def test_synthetic_splits_differ():
    found = {
        len(chorales.recordings(split, synthetic=1).audio)
        for split in ("train", "validation", "test")
    }
    assert len(found) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "dev"}, "`split` must be one of"),
        ({"split": "test", "synthetic": 2}, "`synthetic` must be 0 or 1"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        chorales.recordings(**options)
