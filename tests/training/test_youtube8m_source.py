"""The data set that a recipe names: its videos and the names of its classes."""

import pytest

from tests.training import youtube8m_samples as samples
from training import data
from training.data import DamagedDataError, youtube8m


def vocabulary(classes):
    """The text of one."""
    rows = [f'{n},1,/m/0,"Game, {n}",http://a,Arts,,,' for n in range(classes)]
    header = "Index,TrainVideoCount,KnowledgeGraphId,Name,WikiUrl,Vertical1"
    return "\n".join([f"{header},Vertical2,Vertical3,WikiDescription", *rows])


@pytest.mark.parametrize("classes", [3862, 4716])
def test_classes_have_the_names_of_a_vocabulary(sets, downloads, classes):
    assert [str(number) for number in range(3862)] == youtube8m.CLASSES
    (downloads / "vocabulary.csv").write_text(vocabulary(classes), encoding="utf-8")
    youtube8m.prepare(manual_dir=downloads)
    names = youtube8m.names_of_classes(classes)
    assert names[7] == "Game, 7" and len(names) == classes
    # Of another release.
    assert youtube8m.names_of_classes(3862 + 4716 - classes)[7] == "7"
    # A file beside the shards that goes away changes nothing.
    (downloads / "vocabulary.csv").unlink()
    youtube8m.prepare()
    assert youtube8m.names_of_classes(classes) == names


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"a,b\n1,2\n", b"\xff\xfe\x00", b"<html>404 Not Found</html>"),
        vocabulary(3861).encode(),
        vocabulary(3862).removesuffix('"Game, 3861",http://a,Arts,,,').encode(),
    ],
)
def test_a_damaged_vocabulary_is_told_of_at_once(sets, downloads, content):
    youtube8m.prepare(manual_dir=downloads)
    kept = sets / "youtube8m" / "vocabulary.csv"
    (downloads / "vocabulary.csv").write_bytes(content)
    with pytest.raises(DamagedDataError, match="columns Index and Name") as error:
        youtube8m.prepare(manual_dir=downloads)
    assert str(downloads / "vocabulary.csv") in str(error.value)
    assert not kept.exists() and youtube8m.videos("train").count == 4
    kept.write_bytes(content)
    for call in (youtube8m.names_of_classes, lambda: youtube8m.videos("train")):
        with pytest.raises(DamagedDataError, match="prepare the set again, or delete"):
            call()
    (downloads / "vocabulary.csv").write_text(vocabulary(3862))
    youtube8m.prepare(manual_dir=downloads)
    assert youtube8m.CLASSES[7] == "Game, 7"


def test_a_vocabulary_is_read_once(sets, downloads, monkeypatch):
    (downloads / "vocabulary.csv").write_text(vocabulary(3862))
    youtube8m.prepare(manual_dir=downloads)
    names = youtube8m.names_of_classes()
    monkeypatch.setattr(youtube8m.csv, "DictReader", None)
    assert youtube8m.names_of_classes() == names


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
