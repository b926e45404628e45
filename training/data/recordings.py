"""Sound of recordings with the notes that sound in them, in files read in place.

A folder holds one split of a data set: recordings laid end to end in one file, which is
mapped into memory, and the notes as a list of changes. Batches of windows and their
labels are a few numpy operations, however long the recordings are.
"""

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np

from training.data import DamagedDataError

# Piano keys that networks tell apart: MIDI notes 21 (A0) to 104, as in paper 2.
LOWEST_NOTE = 21
NOTES = 84
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
NOTE_NAMES = [
    f"{PITCH_CLASSES[note % 12]}{note // 12 - 1}"
    for note in range(LOWEST_NOTE, LOWEST_NOTE + NOTES)
]
HERTZ = 11_000
_VERSION = 1
_AUDIO, _NOTES, _INDEX = "audio.float32", "notes.npz", "index.json"
_SAMPLE = np.dtype("<f4")


@dataclasses.dataclass(frozen=True)
class Recordings:
    """Some recordings and the notes that sound in them.

    Attributes:
        names: Name of each.
        audio: Samples of all of them, float32 `(samples,)` at 11 kHz.
        starts: Where each begins in `audio`, and where the last one ends, int64
            `(recordings + 1,)`.
        changes: Samples of `audio` from which on another set of notes sounds, rising,
            int64 `(changes,)`. Each recording begins with one.
        sounding: That set, a bit a note as `numpy.packbits` lays them, uint8
            `(changes, 11)`.
    """

    names: tuple
    audio: np.ndarray
    starts: np.ndarray
    changes: np.ndarray
    sounding: np.ndarray

    @classmethod
    def open(cls, folder):
        """Those of a folder that `Writer` wrote; the sound stays in its file."""
        folder = Path(folder)
        try:
            index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
            with open(folder / _NOTES, "rb") as file:
                notes = np.load(file, allow_pickle=False)
                changes, sounding = notes["changes"], notes["sounding"]
            found = cls(
                names=tuple(index["names"]),
                audio=np.memmap(folder / _AUDIO, _SAMPLE, "r"),
                starts=np.array(index["starts"], np.int64),
                changes=changes,
                sounding=sounding,
            )
            sizes = [len(found.audio), len(changes), len(sounding)]
            is_whole = (index["version"], index["sizes"]) == (_VERSION, sizes)
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise _damaged(folder, error) from error
        if not is_whole:
            raise _damaged(folder, "its index and its files do not fit together")
        return found

    @property
    def lengths(self):
        """Samples of each recording."""
        return np.diff(self.starts)

    @property
    def seconds(self):
        """Length of all of them."""
        return len(self.audio) / HERTZ

    def windows(self, starts, size):
        """Sound from some samples of `audio` on: float32 `(len(starts), size)`."""
        return np.lib.stride_tricks.sliding_window_view(self.audio, size)[starts]

    def labels(self, positions):
        """Which notes sound at some samples of `audio`.

        Returns:
            uint8 `(len(positions), 84)`, 1 where a note has begun and not ended.
        """
        last = np.searchsorted(self.changes, positions, side="right") - 1
        return np.unpackbits(self.sounding[last], axis=1, count=NOTES)

    def present(self):
        """Whether each note ever sounds, bool `(84,)`."""
        any_bit = np.bitwise_or.reduce(np.asarray(self.sounding), axis=0)
        return np.unpackbits(any_bit, count=NOTES).astype(bool)


class Writer:
    """Writes recordings one after the other, in memory bounded by one piece of sound.

    A context manager. The index is written last: what breaks off before cannot be
    opened. `once.make` makes folders that are there only when they are whole.

    Args:
        folder: Folder to fill, made if it is missing.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self._names, self._starts = [], [0]
        self._changes, self._sounding = [], []

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self._audio = open(self.folder / _AUDIO, "wb")
        return self

    def add(self, name, pieces, begins, ends, notes):
        """Adds a recording.

        Args:
            name: What it is called.
            pieces: Its sound at 11 kHz, an iterable of float arrays.
            begins, ends: First sample of each note, and the first after it, integers.
            notes: MIDI numbers. Those outside the 84 are left out.
        """
        start, length = self._starts[-1], 0
        for piece in pieces:
            self._audio.write(np.asarray(piece, _SAMPLE).tobytes())
            length += len(piece)
        changes, sounding = changes_of(begins, ends, notes, length)
        self._names.append(name)
        self._starts.append(start + length)
        self._changes.append(start + changes)
        self._sounding.append(sounding)

    def __exit__(self, kind, error, trace):
        self._audio.close()
        if kind is not None:
            return
        changes, sounding = (
            np.concatenate(parts) for parts in (self._changes, self._sounding)
        )
        np.savez(self.folder / _NOTES, changes=changes, sounding=sounding)
        index = {
            "version": _VERSION,
            "names": self._names,
            "starts": self._starts,
            "sizes": [self._starts[-1], len(changes), len(sounding)],
        }
        text = json.dumps(index) + "\n"
        (self.folder / _INDEX).write_text(text, encoding="utf-8")


def changes_of(begins, ends, notes, length):
    """When other notes sound, and which.

    Args:
        begins, ends: First sample of each note, and the first after it, integers.
        notes: MIDI numbers; the same note may sound twice at a time.
        length: Samples of the recording.

    Returns:
        `changes`, rising from 0, int64, and the notes from there on, a bit each, uint8
        `(changes, 11)`.
    """
    begins, ends, notes = (np.asarray(part, np.int64) for part in (begins, ends, notes))
    begins, ends = (np.clip(part, 0, length) for part in (begins, ends))
    keys = notes - LOWEST_NOTE
    is_kept = (keys >= 0) & (keys < NOTES) & (begins < ends)
    begins, ends, keys = begins[is_kept], ends[is_kept], keys[is_kept]
    changes = np.unique(np.concatenate([[0], begins, ends]))
    more = np.zeros((len(changes), NOTES), np.int16)
    np.add.at(more, (np.searchsorted(changes, begins), keys), 1)
    np.add.at(more, (np.searchsorted(changes, ends), keys), -1)
    sounding = np.packbits(np.cumsum(more, axis=0) > 0, axis=1)
    is_inside = changes < length
    return changes[is_inside], sounding[is_inside]


def _damaged(folder, what):
    return DamagedDataError(
        f"The recordings in {folder} are damaged: {what}. Delete that folder, and run "
        "the command that made it again."
    )
