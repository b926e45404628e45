"""The index of shards."""

import hashlib
import json
import os

import pytest

from tests.training import youtube8m_samples as samples
from training import prepare, workers
from training.data import DamagedDataError, DataError, MissingDataError, youtube8m
from training.data.youtube8m import checking, index
from training.data.youtube8m.synthetic import Synthetic, write


@pytest.fixture
def looked(monkeypatch):
    """Shards that were looked through, in order."""
    paths, check = [], index.check

    def listed(folder, path, known):
        paths.append(path)
        return check(folder, path, known)

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

        def stopped(folder, path, known):
            if path.endswith("validateA1.tfrecord"):
                raise OSError("No space left on device")
            return check(folder, path, known)

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
    (changed,) = write(downloads, ["train00"], 3, source=samples.SHORT)
    write(downloads, ["train01"], 2, source=samples.SHORT)
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


def test_a_changed_shard_of_the_same_size_is_refused(sets, downloads):
    youtube8m.prepare(manual_dir=downloads)
    path = downloads / "2/frame/train/train00.tfrecord"
    changed = bytearray(path.read_bytes())
    changed[40] ^= 1
    path.write_bytes(changed)
    with pytest.raises(DamagedDataError, match="does not fit 1 of 2") as error:
        youtube8m.videos("train")
    message = str(error.value)
    assert "train00.tfrecord has its size still, but was written on" in message
    assert "training.prepare" in message
    youtube8m.prepare()
    assert youtube8m.videos("train").counts == (2,)


def move_times(folder, nanoseconds):
    for path in folder.rglob("*.tfrecord"):
        time = path.stat().st_mtime_ns + nanoseconds
        os.utime(path, ns=(time, time))


def test_a_copy_with_other_times_has_its_checksums_made_only(
    sets, downloads, monkeypatch
):
    youtube8m.prepare(manual_dir=downloads)
    before = json.loads((sets / "youtube8m" / "index.json").read_text())["shards"]
    copy = downloads.rename(downloads.with_name("copy"))
    move_times(copy, 10**9)
    monkeypatch.setattr(checking, "_read", None)
    youtube8m.prepare(manual_dir=copy)
    after = json.loads((sets / "youtube8m" / "index.json").read_text())["shards"]
    for old, new in zip(before, after, strict=True):
        assert new == old | {"modified": old["modified"] + 10**9}
    assert youtube8m.videos("train").count == 4


def test_rounded_times_are_the_same(sets, downloads, looked):
    youtube8m.prepare(manual_dir=downloads)
    looked.clear()
    for path in downloads.rglob("*.tfrecord"):
        time = path.stat().st_mtime
        os.utime(path, (time, time))
        micro = path.stat().st_mtime_ns // 1000 * 1000
        os.utime(path, ns=(micro, micro))
    assert youtube8m.videos("train").count == 4
    youtube8m.prepare()
    assert looked == []


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


NARROW = Synthetic(features={"rgb": 100}, lengths=(2, 4))


def test_a_shard_of_other_features_is_one_of_the_bad_ones(sets, downloads, capsys):
    write(downloads, ["train07"], 1, source=NARROW)
    youtube8m.prepare(manual_dir=downloads)
    printed = capsys.readouterr().out
    assert "1 bad shards" in printed
    assert "train07.tfrecord: 0 videos, then record 0 is none of YouTube-8M" in printed
    assert "'rgb' has 100 numbers, and 1024 were expected" in printed
    assert youtube8m.videos("train").counts == (2, 2)


def test_a_level_of_other_features_is_refused_and_no_index_is_written(sets, downloads):
    """Whatever there is of another level."""
    write(downloads, ["train00", "train01"], 1, "video", NARROW)
    with pytest.raises(DamagedDataError, match=r"2/video/train/train00.tfrecord is no"):
        youtube8m.prepare(manual_dir=downloads)
    assert not (sets / "youtube8m" / "index.json").exists()


@pytest.mark.slow
def test_processes_share_what_is_large(sets, downloads, monkeypatch, capsys):
    monkeypatch.setattr(index, "_SMALL", 0)
    monkeypatch.setattr(workers, "WORKERS", 1)
    started, pool = [], workers.pool
    monkeypatch.setattr(workers, "pool", lambda: started.append(1) or pool())
    youtube8m.prepare(manual_dir=downloads)
    assert started and youtube8m.videos("train").count == 4
    assert "looking through 3 shards" in capsys.readouterr().out
