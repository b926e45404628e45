"""SYNTHETIC videos in the formats that YouTube-8M is published in.

    python -m training.data.youtube8m.synthetic DIR --videos 1000 --shards 10

For tests, quick tests and measurements of speed. Frames are noise; each class has a
direction, and a part of a video's frames is moved along the directions of its classes.
They say nothing about videos.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from training.data.youtube8m import records
from training.data.youtube8m.shards import PARTITIONS

# Deviation of the noise, and length of a class's direction, per feature.
NOISE, STRENGTH = 0.5, 0.5
# Share of its frames that show a class of a video.
SHOWN = (0.1, 0.5)
# A video has one class, and this many more in the mean.
MORE_CLASSES = 2
FOLDERS = {"frame": "2/frame", "video": "2/video", "segment": "3/frame"}


@dataclasses.dataclass(frozen=True)
class Synthetic:
    """What synthetic videos are drawn from; the same arguments give the same videos.

    Attributes:
        classes: Number of classes. Class k is drawn as often as 1/(k + 10) says.
        features: Stream → width.
        lengths: Fewest and most frames of a video.
        seed: Of everything.
    """

    classes: int = 3862
    features: dict = dataclasses.field(
        default_factory=lambda: {"rgb": 1024, "audio": 128}
    )
    lengths: tuple = (120, 300)
    seed: int = 0

    def videos(self, partition, number, count):
        """Videos of a shard, as `records.write_frames` takes them.

        Args:
            partition: Name of a partition.
            number: The shard's.
            count: How many.
        """
        place = (self.seed, *partition.encode(), number)
        random = np.random.default_rng(place)
        for video in range(count):
            labels = self._labels(random)
            streams = self._frames(random, labels)
            yield f"{partition[:2]}{number:04d}{video:05d}", labels, streams

    def _labels(self, random):
        chances = 1 / (np.arange(self.classes) + 10)
        count = min(1 + random.poisson(MORE_CLASSES), self.classes)
        chosen = random.choice(
            self.classes, count, replace=False, p=chances / chances.sum()
        )
        return np.sort(chosen)

    def _frames(self, random, labels):
        shortest, longest = self.lengths
        count = int(random.integers(shortest, longest + 1))
        spans = [_span(random, count) for _ in labels]
        streams = {}
        for stream, width in self.features.items():
            frames = NOISE * random.standard_normal((count, width), np.float32)
            for label, span in zip(labels, spans, strict=True):
                frames[span] += self.direction(stream, label)
            streams[stream] = records.quantize(frames)
        return streams

    def direction(self, stream, label):
        """What frames that show a class have besides, float32 `(width,)`."""
        random = np.random.default_rng((self.seed, *stream.encode(), int(label)))
        width = self.features[stream]
        return STRENGTH * random.standard_normal(width, np.float32)


def _span(random, count):
    """The frames that show a class."""
    length = max(1, int(count * random.uniform(*SHOWN)))
    start = int(random.integers(0, max(1, count - length + 1)))
    return slice(start, start + length)


def write(folder, names, videos, level="frame", source=None):
    """Writes shards where the published ones are.

    Args:
        folder: Folder above all of them. Frames of shard `train00` are written to
            `2/frame/train/train00.tfrecord` in it.
        names: Names of the shards without `.tfrecord`.
        videos: Number of videos in each.
        level: `"frame"`, `"video"` or `"segment"`.
        source: `Synthetic`; those of full size by default.

    Returns:
        List of the files' paths.
    """
    source, paths = source or Synthetic(), []
    for name in names:
        partition = next(one for one in PARTITIONS if name.startswith(one))
        number = int.from_bytes(name.removeprefix(partition).encode())
        path = Path(folder, FOLDERS[level], partition, f"{name}.tfrecord")
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = source.videos(partition, number, videos)
        if level == "video":
            records.write_means(path, map(_mean, drawn))
        else:
            rate = _rated if level == "segment" else tuple
            records.write_frames(path, map(rate, drawn))
        paths.append(path)
    return paths


def _mean(video):
    """A video's means, of what its bytes stand for."""
    name, labels, streams = video
    means = {
        stream: records.dequantize(frames).mean(axis=0)
        for stream, frames in streams.items()
    }
    return name, labels, means


def _rated(video):
    """A video with a rating of its first class, at its beginning and in its middle."""
    name, labels, streams = video
    middle = len(streams["rgb"]) // 2
    ratings = [(labels[0], 0, 0.0), (labels[0], middle, 1.0)]
    return name, labels, streams, ratings


def main(arguments=None):
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m training.data.youtube8m.synthetic",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--videos", type=int, default=1000, help="of a partition")
    parser.add_argument("--shards", type=int, default=10, help="of a partition")
    parser.add_argument("--level", choices=FOLDERS, default="frame")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    source = Synthetic(seed=options.seed)
    each = -(-options.videos // options.shards)
    for partition in ("train", "validate"):
        names = [f"{partition}{number:04d}" for number in range(options.shards)]
        write(options.folder, names, each, options.level, source)
    print(f"SYNTHETIC videos are in {options.folder / FOLDERS[options.level]}.")


if __name__ == "__main__":
    main()
