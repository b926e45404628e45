"""The data set that a recipe names: its videos and the names of its classes."""

import pytest

from tests.training import youtube8m_samples as samples
from training import data
from training.data import DamagedDataError, youtube8m


@pytest.fixture
def sets(tmp_path, monkeypatch):
    """Folder of all data sets."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "sets"))
    return tmp_path / "sets"


@pytest.fixture
def downloads(tmp_path):
    return samples.downloads(tmp_path / "downloads")


def test_classes_have_the_names_of_a_vocabulary(sets, downloads):
    assert [str(number) for number in range(3862)] == youtube8m.CLASSES
    rows = [f'{n},1,/m/0,"Game, {n}",http://a,Arts,,,' for n in range(3862)]
    header = "Index,TrainVideoCount,KnowledgeGraphId,Name,WikiUrl,Vertical1"
    text = "\n".join([f"{header},Vertical2,Vertical3,WikiDescription", *rows])
    (downloads / "vocabulary.csv").write_text(text, encoding="utf-8")
    youtube8m.prepare(manual_dir=downloads)
    assert youtube8m.CLASSES[7] == "Game, 7" and len(youtube8m.CLASSES) == 3862
    # Of another release.
    assert youtube8m.names_of_classes(4716)[7] == "7"
    (sets / "youtube8m" / "vocabulary.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DamagedDataError, match="columns Index and Name"):
        youtube8m.names_of_classes()


def test_both_vocabularies_are_read(sets, downloads):
    path = downloads / "2/frame/validate/validate0B.tfrecord"
    rgb = samples.frames(1, 1024)
    samples.write(path, [samples.frame_record(b"a", (5, 4000), rgb)])
    youtube8m.prepare(manual_dir=downloads)
    for classes, expected in ((3862, 1), (4716, 2)):
        videos = youtube8m.videos("test", classes=classes)
        *_, (_, labels) = videos.batches(2).as_numpy_iterator()
        assert labels.shape == (1, classes) and labels.sum() == expected


@pytest.mark.parametrize("level", ["frame", "video", "segment"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_synthetic_videos_need_no_files(split, level):
    videos = youtube8m.videos(split, level, synthetic=1)
    inputs, labels, *_ = next(videos.batches(4).as_numpy_iterator())
    first = inputs[0] if level != "video" else inputs
    assert videos.count >= 16 and labels.shape == (4, 3862) and len(first) == 4
    assert first.shape[-1] == (1152 if level == "video" else 1024)


def test_the_data_set_is_known_by_its_name():
    source = data.find("youtube8m")
    assert data.has_videos(source) and not data.has_videos(data.find("digits"))
    assert source.SPLITS == ("train", "test") and "CC BY" in source.ABOUT["licence"]


@pytest.mark.parametrize(
    "options",
    [{"split": "validation"}, {"level": "clip"}, {"synthetic": 2}, {"classes": 10}],
)
def test_unknown_options_are_refused(options):
    ((name, _),) = options.items()
    with pytest.raises(ValueError, match=f"`{name}` must be one of"):
        youtube8m.videos(**({"split": "train"} | options))
