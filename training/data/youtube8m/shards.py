"""YouTube-8M's files by their names: which part of the data set each of them is.

A shard is called by its partition, a suffix and `.tfrecord`. Some releases have two of
the 62 characters 0-9A-Za-z as suffix (`trainA7`), others a number of four digits
(`train0441`); there are 62² of each partition. Numbers stand for the pairs in their
order here, so that `0441` counts as `77`. That is a choice: whether both hold the same
videos is not known.
"""

import dataclasses
import os
import re
import string
from pathlib import Path

from training.data import MissingDataError

PARTITIONS = ("train", "validate", "test")
# What networks are trained on, and held-out videos; both have labels.
SPLITS = ("train", "test")
# The videos without labels, of the competitions.
INFERENCE = "inference"
_CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
COUNT = len(_CHARACTERS) ** 2
_NAME = re.compile(rf"({'|'.join(PARTITIONS)})([0-9A-Za-z]{{2}}|[0-9]{{4}})\.tfrecord")

INSTRUCTIONS = (
    "Download shards as docs/video.md tells: `curl -O "
    "http://data.yt8m.org/download.py`, read that script, and run `shard=1,100 "
    "partition=2/frame/train mirror=us python download.py`"
)


@dataclasses.dataclass(frozen=True)
class Name:
    """What the name of a shard tells.

    Attributes:
        partition: One of `PARTITIONS`.
        number: Its place among the 3844 shards, from 0.
        digits: Length of the suffix, 2 or 4.
    """

    partition: str
    number: int
    digits: int

    @classmethod
    def read(cls, file):
        """That of a file's name, or `None` where it is no shard's."""
        match = _NAME.fullmatch(file)
        if match is None:
            return None
        partition, suffix = match.groups()
        if len(suffix) == 2:
            first, second = map(_CHARACTERS.index, suffix)
            number = first * len(_CHARACTERS) + second
        else:
            number = int(suffix)
        return cls(partition, number, len(suffix)) if number < COUNT else None

    def is_in(self, split, level):
        """Whether the shard belongs to a split.

        As in the papers' runs. Frames: training on `train*` and on those of `validate*`
        whose suffix begins with a letter, testing on those where it is a digit, 10/62
        of them. Means of videos: training on `train*`, testing on `validate1*`, 1/62.
        Segments are divided as frames are.
        """
        if split == INFERENCE:
            return self.partition == "test"
        first = self.number // len(_CHARACTERS)
        is_held_out = first == 1 if level == "video" else first < len(string.digits)
        if self.partition == "validate" and split == "test":
            return is_held_out
        if self.partition == "validate":
            return level != "video" and not is_held_out
        return self.partition == split == "train"


def sought(split, level):
    """The shards of a split, in words."""
    if split == INFERENCE:
        return "test*.tfrecord"
    if split == "test":
        return f"validate{'1' if level == 'video' else '[0-9]'}*.tfrecord"
    return "train*.tfrecord" + ("" if level == "video" else " or validate[A-Za-z]*")


def find(folder):
    """Paths of all shards in a folder, relative to it, sorted.

    Their folders do not matter: `2/frame/train/train00.tfrecord` is found as well as
    `train00.tfrecord`, and so is what links lead to.

    Raises:
        MissingDataError: There are none.
    """
    folder, seen, found = Path(folder).expanduser(), set(), []
    for place, inside, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            inside.clear()
            continue
        seen.add(real)
        paths = (Path(place, file) for file in files if Name.read(file))
        found += [path.relative_to(folder).as_posix() for path in paths]
    if not found:
        raise MissingDataError(
            f"There are no shards of YouTube-8M in {folder}, nor in folders below it. "
            f"Expected files called {' or '.join(PARTITIONS)}, then two of the "
            "characters 0-9A-Za-z or four digits, then .tfrecord, as in "
            f"2/frame/train/train00.tfrecord. {INSTRUCTIONS}, or give the folder where "
            "they are as --manual-dir."
        )
    return sorted(found)
