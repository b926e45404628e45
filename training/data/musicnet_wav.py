"""The published archive of MusicNet: a wav and a csv of labels for each recording."""

import csv
import functools
import gzip
import re
import shutil
import struct
import tarfile
import warnings
import zlib
from pathlib import Path

import numpy as np
import scipy.io.wavfile

from training.data import DamagedDataError
from training.data.musicnet_recordings import (
    BLOCK,
    Recording,
    UnusableError,
    check_notes,
    check_sound,
    usable,
)

# The archive keeps ten recordings apart; here, both parts are one.
PARTS = ("train", "test")
# The columns that are read, in the order of `musicnet_recordings.COLUMNS`.
_FIELDS = ("start_time", "end_time", "note", "instrument")
_MEMBER = re.compile(r"(?:.*/)?((?:train|test)_(?:data|labels))/(\d+\.(?:wav|csv))")


def unpack(archive, folder):
    """Unpacks the wav and csv files of the archive into a folder.

    The extractor of TensorFlow Datasets is not used: it puts each whole file in the
    queue of its threads, which nothing bounds, and leaves half of them behind where an
    archive is truncated.

    Raises:
        DamagedDataError: The archive is truncated or not what its checksum says.
    """
    try:
        with gzip.open(archive) as raw, tarfile.open(fileobj=raw, mode="r:") as members:
            for member in members:
                match = _MEMBER.fullmatch(member.name)
                if match and member.isfile():
                    # Nothing else of its name is used, so it can lead nowhere else.
                    path = Path(folder, *match.groups())
                    path.parent.mkdir(exist_ok=True)
                    with open(path, "wb") as file:
                        shutil.copyfileobj(members.extractfile(member), file, 2**20)
            # The checksum stands behind the last of them.
            while raw.read(2**20):
                pass
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DamagedDataError(
            f"{archive} is damaged: {error}. Download it again."
        ) from error


def is_folder(path):
    """Whether a folder is the archive's, unpacked."""
    return any((path / f"{part}_data").is_dir() for part in PARTS)


def recordings(folder):
    """The usable recordings of the unpacked archive, by their numbers.

    Warns of files without their counterparts.

    Raises:
        DamagedDataError: A file is not what it should be.
    """
    sounds, labels = (
        _by_name(folder, kind, suffix)
        for kind, suffix in (("data", "wav"), ("labels", "csv"))
    )
    for here, there, what in ((sounds, labels, "csv"), (labels, sounds, "wav")):
        for name in sorted(here.keys() - there, key=int):
            warnings.warn(
                f"{here[name]} has no {name}.{what} beside it. It is left out.",
                stacklevel=2,
            )
    return usable(
        functools.partial(_open, name, sounds[name], labels[name])
        for name in sorted(sounds.keys() & labels, key=int)
    )


def _by_name(folder, kind, suffix):
    """Number → path of the files of both parts."""
    paths = {}
    for part in PARTS:
        for path in sorted((folder / f"{part}_{kind}").glob(f"*.{suffix}")):
            if not path.stem.isdigit():
                # Such as "._2303.wav", which macOS adds.
                continue
            if path.stem in paths:
                raise DamagedDataError(
                    f"{path} and {paths[path.stem]} have the same number."
                )
            paths[path.stem] = path
    return paths


def _open(name, sound, labels):
    """A recording; reads its labels and the header of its sound."""
    hertz, shape, dtype, blocks = _open_wav(sound)
    check_sound(sound, hertz, shape, dtype)
    notes = check_notes(labels, _read_labels(labels), *shape)
    return Recording(name, str(sound), hertz, *shape, blocks, notes)


def _open_wav(path):
    """Sampling rate, shape, dtype, and a function that yields blocks of the sound.

    Of SciPy, because it refuses truncated files, which libsndfile takes for shorter
    ones, and because Python's `wave` knows no float samples. Its memory map tells where
    samples begin. They are not read through it: pages of a map count as memory of the
    process as long as it lasts.
    """
    try:
        with warnings.catch_warnings():
            # Of chunks that hold no sound.
            warnings.simplefilter("ignore", scipy.io.wavfile.WavFileWarning)
            hertz, mapped = scipy.io.wavfile.read(path, mmap=True)
    except (ValueError, OSError, struct.error) as error:
        raise DamagedDataError(
            f"{path} cannot be read as a wav file: {error}"
        ) from error
    shape, dtype, offset = mapped.shape, mapped.dtype, mapped.offset

    def blocks():
        for start in range(0, shape[0], BLOCK):
            place = offset + start * dtype.itemsize
            count = min(BLOCK, shape[0] - start)
            yield np.fromfile(path, dtype, count, offset=place)

    return hertz, shape, dtype, blocks


def _read_labels(path):
    """The labels of a csv, int64 `(labels, 4)`."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        try:
            missing = sorted(set(_FIELDS) - set(rows.fieldnames or _FIELDS))
            found = [] if missing else [_label(row) for row in rows]
        except (ValueError, csv.Error) as error:
            raise DamagedDataError(
                f"{path} is damaged in line {rows.line_num}: {error}"
            ) from error
    if missing:
        raise DamagedDataError(f"{path} has no columns {missing}.")
    if not found:
        raise UnusableError(f"{path} has no labels")
    return np.array(found, np.int64)


def _label(row):
    # Those that are not read tell whether a line was written to its end.
    if None in row.values():
        raise ValueError("it has fewer columns than the first line")
    return [int(row[field]) for field in _FIELDS]
