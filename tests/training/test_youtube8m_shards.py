"""Names of shards, the splits that they tell, and synthetic ones."""

import numpy as np
import pytest

from training.data.youtube8m import shards
from training.data.youtube8m.synthetic import Synthetic, main, write


@pytest.mark.parametrize("digits", [2, 4])
def test_splits_are_those_of_the_papers(digits):
    characters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    pairs = [first + second for first in characters for second in characters]
    assert len(pairs) == shards.COUNT == 3844
    suffixes = pairs if digits == 2 else [f"{number:04d}" for number in range(3844)]
    for partition in shards.PARTITIONS:
        for pair, suffix in zip(pairs, suffixes, strict=True):
            name = shards.Name.read(f"{partition}{suffix}.tfrecord")
            found = {
                (split, level)
                for split in ("train", "test", "inference")
                for level in ("frame", "video")
                if name.is_in(split, level)
            }
            frame_split = "test" if pair[0].isdigit() else "train"
            expected = {
                "train": {("train", "frame"), ("train", "video")},
                "test": {("inference", "frame"), ("inference", "video")},
                "validate": {(frame_split, "frame")}
                | ({("test", "video")} if pair[0] == "1" else set()),
            }
            assert found == expected[partition], name


@pytest.mark.parametrize(
    "file",
    [
        *("train3844.tfrecord", "train1.tfrecord", "train-0.tfrecord"),
        *("train00.tfrecord.part", "training00.tfrecord"),
    ],
)
def test_other_names_are_no_shards(file):
    assert shards.Name.read(file) is None


def test_shards_are_found_in_both_layouts_and_behind_links(tmp_path):
    for path in ("flat/trainzZ.tfrecord", "2/frame/train/train0001.tfrecord"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    (tmp_path / "flat" / "loop").symlink_to(tmp_path)
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "test00.tfrecord").touch()
    (tmp_path / "2" / "frame" / "test").symlink_to(tmp_path / "disk")
    (tmp_path / "flat" / "notes.txt").touch()
    found = [path.rsplit("/", 1)[1] for path in shards.find(tmp_path)]
    expected = {"train0001.tfrecord", "trainzZ.tfrecord", "test00.tfrecord"}
    assert set(found) == expected and len(found) == 3


def test_synthetic_shards_are_the_same_for_the_same_seed(tmp_path):
    contents = []
    for place, seed in enumerate((0, 0, 1)):
        source = Synthetic(20, {"rgb": 6, "audio": 4}, (2, 5), seed)
        paths = write(tmp_path / str(place), ["train00", "train01"], 3, source=source)
        contents.append([path.read_bytes() for path in paths])
    assert contents[0] == contents[1] and contents[0] != contents[2]
    assert contents[0][0] != contents[0][1]


def test_synthetic_frames_show_the_classes_of_their_video():
    source = Synthetic(classes=40, lengths=(120, 300))
    directions = np.stack([source.direction("rgb", label) for label in range(40)])
    hits, counts, lengths = [], [], []
    for _, labels, streams in source.videos("train", 0, 12):
        features = streams["rgb"] * np.float32(4 / 255) - 2
        strongest = (features @ directions.T).max(axis=0)
        found = set(np.argsort(strongest)[-len(labels) :].tolist())
        hits.append(len(found & set(labels.tolist())) / len(labels))
        counts.append(len(labels))
        lengths.append(len(features))
    assert np.mean(hits) > 0.95 and 1.5 < np.mean(counts) < 5
    assert min(lengths) >= 120 and max(lengths) <= 300


def test_the_command_writes_synthetic_shards(tmp_path, capsys):
    options = ["--videos", "2", "--shards", "2", "--level", "video"]
    main([str(tmp_path), *options])
    assert "SYNTHETIC" in capsys.readouterr().out
    assert len(shards.find(tmp_path)) == 4
