"""YouTube-8M: what are videos about? Features of their frames, and of their sound.

The shards must be downloaded by hand, all or some of them; docs/video.md tells how.
They are read where they lie: `python -m training.prepare youtube8m --manual-dir DIR`
looks through them once, and writes an index of what is there and what is damaged.

Splits are those of the runs of paper 1 and of its code; see `shards.Name.is_in`.
"""

import atexit
import csv
import functools
import shutil
import tempfile
from pathlib import Path

from training.data import DamagedDataError, DataError
from training.data.folders import sets_folder
from training.data.youtube8m import summary
from training.data.youtube8m.checking import FEATURES, VOCABULARIES
from training.data.youtube8m.index import Index, make
from training.data.youtube8m.reading import LEVELS, Videos
from training.data.youtube8m.shards import INFERENCE, SPLITS

# Google's evaluation takes the best of each video into the mean over classes.
MAP_OF_BEST = 20
ABOUT = {
    "name": "YouTube-8M",
    "source": "Abu-El-Haija et al., 2016, research.google.com/youtube8m",
    "licence": "CC BY 4.0",
    "inputs": "features of a frame each second, bytes, or their means over a video",
}
_VOCABULARY, _INDEX = "vocabulary.csv", "index.json"
# SYNTHETIC shards, with the published splits' share for the test, and their videos.
_SYNTHETIC = {
    "frame": ("train00", "train01", "validate0A", "validateA0", "test00"),
    "video": ("train00", "train01", "validate1A", "test00"),
    "segment": ("validate0A", "validateA0"),
}
_SYNTHETIC_VIDEOS, _SYNTHETIC_LENGTHS = 16, (10, 30)


def __getattr__(name):
    # Read when it is asked for: the folder is known then.
    if name == "CLASSES":
        return names_of_classes()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def videos(split, level="frame", synthetic=0, classes=VOCABULARIES[0]):
    """Videos of a split.

    Args:
        split: `"train"`, `"test"`, or `"inference"` for those without labels.
        level: `"frame"`, `"video"` or `"segment"`; see `Videos`.
        synthetic: 1 for SYNTHETIC videos, a few short ones, which need no files.
        classes: Size of the vocabulary: 3862, or 4716 of the release of 2017.

    Returns:
        `Videos`.

    Raises:
        MissingDataError: The set was not prepared, or has no shard of the split.
        DamagedDataError: The index does not fit its files, or the vocabulary is not
            as published.
    """
    _check("split", split, (*SPLITS, INFERENCE))
    _check("level", level, LEVELS)
    _check("synthetic", synthetic, (0, 1))
    _check("classes", classes, VOCABULARIES)
    folder = _synthetic() if synthetic else _folder()
    index = Index.open(folder / _INDEX)
    found = index.chosen(split, level)
    if not synthetic:
        names_of_classes(classes)  # Raises now, and not at the end of a training.
    return Videos(
        files=tuple(str(index.folder / shard.path) for shard in found),
        counts=tuple(shard.videos for shard in found),
        classes=classes,
        level=level,
        features=dict(FEATURES),
        segments=_segments(found) if level == "segment" else None,
        largest=max(shard.largest for shard in found),
    )


def _check(name, value, choices):
    if value not in choices or isinstance(value, bool):
        raise ValueError(
            f"`{name}` must be one of {choices}. Received: {name}={value!r}"
        )


def _segments(found):
    return tuple(shard.segments for shard in found)


def prepare(data_dir=None, manual_dir=None):
    """Writes the index of shards, prints what is there, and returns its folder.

    Args:
        data_dir: Folder of all sets; see `training.data.folders`.
        manual_dir: Folder of the shards, at any depth, and of `vocabulary.csv`, where
            it was downloaded. Defaults to that of the index that is there.

    Raises:
        DamagedDataError: The vocabulary is not as published.
        DataError: It could not be, and the index is as it was.
    """
    folder = _folder(data_dir)
    if manual_dir is None:
        manual_dir = Index.open(folder / _INDEX).folder
    kept, downloaded = (
        Path(place, _VOCABULARY).expanduser() for place in (folder, manual_dir)
    )
    # Raises where it is damaged.
    _vocabulary(downloaded if downloaded.exists() else kept)
    index = make(folder / _INDEX, manual_dir)
    if downloaded.exists():
        _copy(downloaded, kept)
    print("\n".join(summary.lines(index)))
    return folder


def _copy(downloaded, kept):
    try:
        kept.write_bytes(downloaded.read_bytes())
    except OSError as error:
        raise DataError(
            f"{downloaded} could not be copied to {kept}: {error}. Once that is put "
            "right, start the same command again."
        ) from error


def names_of_classes(classes=VOCABULARIES[0]):
    """Names of the classes: those of `vocabulary.csv`, or else numbers as text.

    A vocabulary of the other number of classes is not used.

    Args:
        classes: Their number, one of 3862 and 4716.

    Raises:
        DamagedDataError: The vocabulary is not as published.
    """
    names = _vocabulary(_folder() / _VOCABULARY)
    numbers = _numbers(classes)
    if names.keys() != set(numbers):
        return numbers
    return [names[number] or number for number in numbers]


def _vocabulary(path):
    """Number → name of each class, text; empty where there is no such file."""
    try:
        if not path.exists():
            return {}
        # Read once, as long as it is the same one.
        return _names(path, path.stat().st_mtime_ns, path.stat().st_size)
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise DamagedDataError(
            f"{path} is damaged: {error!r}. It should have columns Index and Name, and "
            f"a row for each of {' or '.join(map(str, VOCABULARIES))} classes. "
            "Download it again, and prepare the set again, or delete it."
        ) from error


@functools.lru_cache(maxsize=1)
def _names(path, *when):
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = {row["Index"]: row["Name"] for row in rows}
    if names.keys() not in [set(_numbers(classes)) for classes in VOCABULARIES]:
        raise ValueError(f"it has {len(names)} classes, or not these")
    if None in rows[-1].values():
        raise ValueError("it ends within a row")
    return names


def _numbers(classes):
    return [str(number) for number in range(classes)]


def _folder(data_dir=None):
    return sets_folder(data_dir) / "youtube8m"


@functools.cache
def _synthetic():
    """A folder with an index of synthetic videos, until this process ends."""
    # Here, because it is a command, too, which must not be imported before it is run.
    from training.data.youtube8m.synthetic import Synthetic, write

    folder = Path(tempfile.mkdtemp(prefix="synthetic_youtube8m_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source = Synthetic(lengths=_SYNTHETIC_LENGTHS)
    for level, names in _SYNTHETIC.items():
        write(folder, names, _SYNTHETIC_VIDEOS, level, source)
    make(folder / _INDEX, folder)
    return folder
