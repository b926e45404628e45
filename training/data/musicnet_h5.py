"""MusicNet in HDF5: the published `musicnet.h5`, and paper 2's resampled files.

A group such as `id_2303` for each recording has its samples in `data` and a row for
each note in `labels`. Nothing is pickled. Both kinds look alike, so that the sampling
rate must be told.
"""

import functools

import h5py
import numpy as np

from training.data import DamagedDataError
from training.data.musicnet_recordings import (
    BLOCK,
    PUBLISHED_HERTZ,
    Recording,
    check_notes,
    check_sound,
    usable,
)

_PREFIX = "id_"
_FIELDS = ("start_time", "end_time", "note_id")


def recordings(path, hertz=PUBLISHED_HERTZ):
    """The usable recordings of a file, by their numbers.

    Args:
        path: The file.
        hertz: Sampling rate of the sound, which times of the labels count in: 44 100 of
            the published file; 11 000 of those that paper 2's `resample_h5` made of it.

    Raises:
        DamagedDataError: The file is not what it should be.
    """
    with _opened(path) as file:
        names = [key.removeprefix(_PREFIX) for key in file if key.startswith(_PREFIX)]
    return usable(
        functools.partial(_open, path, name, hertz)
        for name in sorted(filter(str.isdigit, names), key=int)
    )


def _open(path, name, hertz):
    """A recording; reads its labels."""
    key = _PREFIX + name
    source = f"{path}, {key}"
    with _opened(path) as file:
        try:
            sound, labels = file[key]["data"], file[key]["labels"]
            shape, dtype = sound.shape, sound.dtype
            fields = [labels[field].astype(np.int64) for field in _FIELDS]
        except (KeyError, ValueError, OSError, AttributeError, TypeError) as error:
            raise DamagedDataError(f"{source} is damaged: {error}") from error
    check_sound(source, hertz, shape, dtype, expected=hertz)
    # Nothing that was published says what the column of instruments is called.
    notes = np.stack([*fields, np.zeros_like(fields[0])], axis=1)
    notes = check_notes(source, notes, *shape)
    blocks = functools.partial(_blocks, path, key)
    return Recording(name, source, hertz, *shape, blocks, notes)


def _blocks(path, key):
    with _opened(path) as file:
        sound = file[key]["data"]
        for start in range(0, len(sound), BLOCK):
            try:
                block = sound[start : start + BLOCK]
            except OSError as error:
                raise DamagedDataError(f"{path}/{key} is damaged: {error}") from error
            yield block


def _opened(path):
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DamagedDataError(f"{path} is damaged: {error}") from error
