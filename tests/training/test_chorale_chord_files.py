"""The shards of chords of chorales: what is in them, and when they are refused."""

import concurrent.futures
import itertools
import json
import shutil

import numpy as np
import pytest

from tests.training import youtube8m_samples as samples
from training import prepare
from training.data import DamagedDataError, MissingDataError, chorale_chords
from training.data.chorale_chords import chords, files, spectra
from training.data.chorales import rendering, scores, works
from training.data.youtube8m.records import quantize

# Short works.
TABLE = (
    works.Work("bwv281.mxl", "copyright", "bwv281", "train"),
    works.Work("bwv323.mxl", "permission", "bwv323", "validation"),
    works.Work("bwv286.mxl", "permission", "bwv286", "test"),
)


def make(folder):
    """Renders `TABLE` in this process: others take seconds to begin."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            files.workers,
            "pool",
            lambda **options: concurrent.futures.ThreadPoolExecutor(1),
        )
        files._make(folder, TABLE)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory, bach):
    return make(tmp_path_factory.mktemp("made") / "chords")


@pytest.fixture
def copied(made, tmp_path, monkeypatch):
    """A copy that a test may damage, where commands look for it."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(files, "_make", None)
    return shutil.copytree(made, tmp_path / "chorale_chords" / files.VERSION)


def triads(begins, ends, pitches):
    """Places of those that sound for a quarter, span by span."""
    spans = list(itertools.pairwise(sorted({*begins, *ends})))
    notes = list(zip(begins, ends, pitches, strict=True))
    heard = [{p % 12 for b, e, p in notes if b <= at < e} for at, _ in spans]
    found = []
    for kind, root in itertools.product(chords.KINDS.values(), range(12)):
        run = longest = 0
        for (begin, end), classes in zip(spans, heard, strict=True):
            is_there = {(root + step) % 12 for step in kind} <= classes
            run = run + end - begin if is_there else 0
            longest = max(longest, run)
        found.append(longest > 1 - 1e-6)
    return np.flatnonzero(found).tolist()


@pytest.mark.parametrize("file", ["bwv281.mxl", "bwv286.mxl"])
def test_labels_are_those_of_the_pitches_that_are_played(bach, monkeypatch, file):
    played, render = [], rendering.render

    def kept(*args, **options):
        played.append(render(*args, **options))
        return played[-1]

    monkeypatch.setattr(rendering, "render", kept)
    score, keys = scores.read(bach / file), set()
    for copy in range(files.RENDERINGS):
        name, labels, features = files.record(score, copy)
        one = played[-1].performance
        assert labels == triads(score.begins, score.ends, one.pitches)
        assert 3 < len(labels) < 36
        assert name == f"{score.name} {one.transposition:+d} {copy}"
        np.testing.assert_array_equal(
            features["rgb"], quantize(spectra.spectra(played[-1].audio))
        )
        keys.add(one.transposition)
    # Several keys, or else nothing was seen of which way chords go.
    assert len(keys) > 1


def test_renderings_differ_from_those_of_chorales(bach, made):
    """Sounds are drawn anew: a network that heard those has not heard these."""
    score = scores.read(bach / "bwv281.mxl")
    features = {
        files.record(score, copy)[2]["rgb"].tobytes()
        for copy in range(files.RENDERINGS)
    }
    other = rendering.render(score, 0, is_transposed=True)
    features.add(quantize(spectra.spectra(other.audio)).tobytes())
    assert len(features) == files.RENDERINGS + 1


def test_splits_have_their_works_in_four_shards_each(copied):
    names = [f"{split}0{n}.tfrecord" for split in files.SPLITS for n in range(4)]
    assert sorted(path.name for path in copied.iterdir()) == sorted(
        ["index.json", *names]
    )
    for split, work in zip(files.SPLITS, TABLE, strict=True):
        counts = list(files.shards(copied, split).values())
        assert counts == [1, 1, 1, 1]
        videos = chorale_chords.videos(split)
        assert videos.count == files.RENDERINGS and videos.features == {"rgb": 256}
        found = [
            name.decode().split() for name in samples.ids(videos.batches(3, with_ids=1))
        ]
        assert [(name, int(copy)) for name, _, copy in found] == [
            (work.name, copy) for copy in range(files.RENDERINGS)
        ]


def test_the_same_works_give_the_same_bytes(made, tmp_path, bach):
    again = make(tmp_path / "again")
    for path in made.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_the_set_is_of_all_works(tmp_path, monkeypatch, bach):
    """No part of them may be taken for it later."""
    asked = []
    monkeypatch.setattr(files, "_make", lambda *arguments: asked.append(arguments))
    folder = files.prepare(tmp_path)
    assert folder == tmp_path / "chorale_chords" / files.VERSION
    ((where, table),) = asked
    assert where == folder and len(table) == len(works.used()) == 409


def test_without_music21_the_error_says_what_to_install(tmp_path, monkeypatch):
    def folder():
        raise MissingDataError("music21 is not installed")

    monkeypatch.setattr(scores, "folder", folder)
    with pytest.raises(MissingDataError, match="music21"):
        files.prepare(tmp_path)
    assert list(tmp_path.iterdir()) == []


def missing(folder):
    (folder / "test02.tfrecord").unlink()


def truncated(folder):
    path = folder / "test02.tfrecord"
    path.write_bytes(path.read_bytes()[:-1])


def foreign(folder):
    shutil.copy(folder / "train00.tfrecord", folder / "test02.tfrecord")


def a_folder(folder):
    missing(folder)
    (folder / "test02.tfrecord").mkdir()


@pytest.mark.parametrize("damage", [missing, truncated, foreign, a_folder])
def test_shards_that_are_not_as_written_are_refused(copied, damage, capsys):
    damage(copied)
    with pytest.raises(DamagedDataError, match="test02.tfrecord is not as it was"):
        chorale_chords.videos("test")
    assert chorale_chords.videos("train").count == 4
    assert prepare.main(["chorale_chords"]) == 2
    assert f"{copied} is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    "index",
    [
        None,
        "",
        "[]",
        "{}",
        '{"test00.tfrecord": 3}',
        '{"test00.tfrecord": {"bytes": 1}}',
        json.dumps({"train00.tfrecord": {"records": 1, "bytes": 1}}),
    ],
)
def test_an_index_that_is_not_as_written_is_refused(copied, index):
    (copied / "index.json").unlink()
    if index is not None:
        (copied / "index.json").write_text(index)
    with pytest.raises(DamagedDataError, match="Delete that folder, and run"):
        files.shards(copied, "test")
