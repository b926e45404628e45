"""The index of shards, and the data set that a recipe names."""

import hashlib
import json

import pytest

from tests.training import youtube8m_samples as samples
from training import data, prepare, workers
from training.data import DamagedDataError, DataError, MissingDataError, youtube8m
from training.data.youtube8m import index
from training.data.youtube8m.synthetic import Synthetic, write

SHORT = Synthetic(lengths=(2, 4))


@pytest.fixture
def sets(tmp_path, monkeypatch):
    """Folder of all data sets."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "sets"))
    return tmp_path / "sets"


@pytest.fixture
def downloads(tmp_path):
    """Folder of three shards of two videos each."""
    folder = tmp_path / "downloads"
    write(folder, ["train00", "validate0A", "validateA1"], 2, source=SHORT)
    return folder


@pytest.fixture
def looked(monkeypatch):
    """Shards that were looked through, in order."""
    paths, check = [], index.check

    def listed(folder, path):
        paths.append(path)
        return check(folder, path)

    monkeypatch.setattr(index, "check", listed)
    return paths


def command(*arguments):
    return prepare.main(["youtube8m", *map(str, arguments)])


def test_prepare_writes_an_index_and_nothing_else(sets, downloads, capsys):
    assert command("--manual-dir", downloads) == 0
    files = [path for path in sets.rglob("*") if path.is_file()]
    assert files == [sets / "youtube8m" / "index.json"]
    printed = capsys.readouterr().out
    assert "frame level, train: 1 of 3,844 shards" in printed
    assert "validate: 2 of 3,844 shards" in printed and "4 videos" in printed
    assert "bad" not in printed and "Problems" not in printed
    entries = json.loads(files[0].read_text())["shards"]
    for entry in entries:
        content = (downloads / entry["path"]).read_bytes()
        assert entry["bytes"] == len(content)
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    train = youtube8m.videos("train")
    assert [path.rsplit("/", 1)[1] for path in train.files] == [
        "train00.tfrecord",
        "validateA1.tfrecord",
    ]
    assert train.count == 4 and youtube8m.videos("test").count == 2
    (rgb, count), labels = samples.only(train.batches(4))
    assert rgb.shape[2] == 1024 and labels.shape == (4, 3862) and count.min() >= 2


def test_bad_shards_are_named_and_what_is_whole_is_used(sets, downloads, capsys):
    path = downloads / "2/frame/train/train00.tfrecord"
    path.write_bytes(path.read_bytes()[:-1])
    assert command("--manual-dir", downloads) == 0
    printed = capsys.readouterr().out
    assert "1 bad shards" in printed
    assert "2/frame/train/train00.tfrecord: 1 videos, then no whole record" in printed
    assert youtube8m.videos("train").counts == (1, 2)


def test_shards_that_are_all_bad_are_an_error(sets, downloads):
    for path in downloads.rglob("validate0A.tfrecord"):
        path.write_bytes(b"")
    youtube8m.prepare(manual_dir=downloads)
    with pytest.raises(MissingDataError, match=r"validate\[0-9\].*All 1 are bad"):
        youtube8m.videos("test")


def test_a_stopped_run_goes_on(sets, downloads, looked, monkeypatch):
    with monkeypatch.context() as patch:
        check = index.check

        def stopped(folder, path):
            if path.endswith("validateA1.tfrecord"):
                raise OSError("No space left on device")
            return check(folder, path)

        patch.setattr(index, "check", stopped)
        with pytest.raises(DataError, match="No space left.*start the same command"):
            youtube8m.prepare(manual_dir=downloads)
    assert len(looked) == 2
    assert not (sets / "youtube8m" / "index.json").exists()
    # The process was killed while it wrote.
    with open(sets / "youtube8m" / "index.json.done", "a") as file:
        file.write('{"path": "2/fr')
    youtube8m.prepare(manual_dir=downloads)
    assert len(looked) == 3 and youtube8m.videos("train").count == 4
    assert not (sets / "youtube8m" / "index.json.done").exists()


def test_only_new_and_changed_shards_are_looked_through_again(sets, downloads, looked):
    youtube8m.prepare(manual_dir=downloads)
    (changed,) = write(downloads, ["train00"], 3, source=SHORT)
    write(downloads, ["train01"], 2, source=SHORT)
    looked.clear()
    youtube8m.prepare()
    assert looked == [
        f"2/frame/train/{name}.tfrecord" for name in ("train00", "train01")
    ]
    assert youtube8m.videos("train").counts == (3, 2, 2) and changed.exists()


def test_an_index_that_no_longer_fits_is_refused(sets, downloads):
    youtube8m.prepare(manual_dir=downloads)
    (downloads / "2/frame/validate/validateA1.tfrecord").unlink()
    path = downloads / "2/frame/train/train00.tfrecord"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(DamagedDataError) as error:
        youtube8m.videos("train")
    message = str(error.value)
    assert "does not fit 2 of 2 shards" in message and "training.prepare" in message
    assert f"train00.tfrecord has {size + 4:,} bytes, and had {size:,}" in message
    assert youtube8m.videos("test").count == 2
    downloads.rename(downloads.with_name("elsewhere"))
    with pytest.raises(DamagedDataError, match=r"validate0A.tfrecord is missing"):
        youtube8m.videos("test")


def test_shards_that_the_system_cannot_read_are_tried_again(
    sets, downloads, looked, monkeypatch
):
    def unreadable(file, kind):
        raise OSError("Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", unreadable)
        found = index.make(sets / "youtube8m" / "index.json", downloads)
    assert {one.damage for one in found.shards} == {
        "it cannot be read: Input/output error"
    }
    looked.clear()
    youtube8m.prepare(manual_dir=downloads)
    assert len(looked) == 3 and youtube8m.videos("train").count == 4


def test_a_folder_that_moved_is_not_read_again(sets, downloads, looked):
    youtube8m.prepare(manual_dir=downloads)
    moved = downloads.rename(downloads.with_name("elsewhere"))
    looked.clear()
    youtube8m.prepare(manual_dir=moved)
    assert looked == [] and youtube8m.videos("test").count == 2


def test_a_damaged_index_is_refused_and_written_anew(sets, downloads):
    youtube8m.prepare(manual_dir=downloads)
    path = sets / "youtube8m" / "index.json"
    for content in ("", "[]", '{"version": 9}', path.read_text().replace("sha256", "")):
        path.write_text(content)
        with pytest.raises(DamagedDataError, match="is damaged.*Delete it, and run"):
            youtube8m.videos("train")
    youtube8m.prepare(manual_dir=downloads)
    assert youtube8m.videos("train").count == 4


def test_without_an_index_one_is_told_how_to_get_the_shards(sets):
    with pytest.raises(MissingDataError, match="download.py.*training.prepare"):
        youtube8m.videos("train")
    assert command() == 2


def test_a_folder_without_shards_is_an_error(sets, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "training00.tfrecord").touch()
    assert command("--manual-dir", tmp_path / "empty") == 2
    message = capsys.readouterr().err
    assert f"no shards of YouTube-8M in {tmp_path / 'empty'}" in message
    assert "Expected files called train or validate or test" in message
    assert "download.py" in message and not (sets / "youtube8m").exists()


def test_the_same_shard_twice_is_refused(sets, downloads):
    other = downloads / "train00.tfrecord"
    other.write_bytes((downloads / "2/frame/train/train00.tfrecord").read_bytes())
    with pytest.raises(DamagedDataError, match="are the same shard"):
        youtube8m.prepare(manual_dir=downloads)
    # The other style of its name.
    other.rename(downloads / "train0000.tfrecord")
    with pytest.raises(DamagedDataError, match="are the same shard"):
        youtube8m.prepare(manual_dir=downloads)


def test_other_features_are_refused_and_no_index_is_written(sets, downloads):
    source = Synthetic(features={"rgb": 100}, lengths=(2, 4))
    write(downloads, ["train07"], 1, source=source)
    with pytest.raises(DamagedDataError, match=r"train07.*100 numbers, and 1024"):
        youtube8m.prepare(manual_dir=downloads)
    assert not (sets / "youtube8m" / "index.json").exists()


def test_processes_share_what_is_large(sets, downloads, monkeypatch, capsys):
    monkeypatch.setattr(index, "_SMALL", 0)
    monkeypatch.setattr(workers, "WORKERS", 1)
    started, pool = [], workers.pool
    monkeypatch.setattr(workers, "pool", lambda: started.append(1) or pool())
    youtube8m.prepare(manual_dir=downloads)
    assert started and youtube8m.videos("train").count == 4
    assert "looking through 3 shards" in capsys.readouterr().out


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
