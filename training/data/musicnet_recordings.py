"""Recordings of MusicNet as published, before they are read: what both of its file
formats have in common, and what is not taken of them.
"""

import dataclasses
import warnings
from collections.abc import Callable

import numpy as np

from training.data import DamagedDataError
from training.data.recordings import HERTZ
from training.data.resampling import in_pieces, resampled, resampled_times

# Facts of papers 2 and Trabelsi et al.: all other recordings are for training. Seven of
# the ten that the published archive keeps apart as test data are among those.
TEST = ("2303", "2382", "1819")
VALIDATION = ("2131", "2384", "1792", "2514", "2567", "1876")
PUBLISHED = {"train": 321, "validation": 6, "test": 3}
PUBLISHED_HERTZ = 44_100
# A window of the networks, at 11 kHz.
SHORTEST = 4096
# Samples that are read at a time.
BLOCK = 2**20
COLUMNS = ("begin", "end", "note", "instrument")
# Sample formats that float32 holds exactly → what stands for silence and for one.
_LEVELS = {"float32": (0, 1), "int16": (0, 2**15), "uint8": (2**7, 2**7)}


class UnusableError(ValueError):
    """A recording that is whole, but not such as the networks take."""


@dataclasses.dataclass(frozen=True)
class Recording:
    """One recording, whose sound is read when it is asked for.

    Attributes:
        name: Its number, such as `"2303"`.
        source: Where it is, for messages.
        hertz: Its sampling rate.
        samples: Its length at that rate.
        blocks: Function without arguments that yields its sound, arrays of one of the
            formats of `as_float32`.
        notes: First sample, first sample after it, MIDI number and MIDI program, or 0
            where that is not told, of each note, int64 `(notes, 4)`; samples count from
            0 at `hertz`.
    """

    name: str
    source: str
    hertz: int
    samples: int
    blocks: Callable
    notes: np.ndarray

    @property
    def length(self):
        """Samples at 11 kHz."""
        return int(resampled_times(self.samples, self.hertz, HERTZ))

    def pieces(self, size):
        """Its sound at 11 kHz, float32 arrays of `size`; the last may be shorter."""
        return in_pieces(resampled(self._sound(), self.hertz, HERTZ), size)

    def resampled_notes(self):
        """Columns of `notes` by their names; samples count at 11 kHz."""
        columns = dict(zip(COLUMNS, self.notes.T, strict=True))
        for name in ("begin", "end"):
            columns[name] = resampled_times(columns[name], self.hertz, HERTZ)
        return columns

    def _sound(self):
        length = 0
        for block in self.blocks():
            block = as_float32(block)
            if not np.isfinite(block).all():
                raise DamagedDataError(
                    f"{self.source} is damaged: samples from {length:,} to "
                    f"{length + len(block):,} are not all finite numbers."
                )
            length += len(block)
            yield block
        if length != self.samples:
            raise DamagedDataError(
                f"{self.source} is damaged: it should have {self.samples:,} samples, "
                f"and has {length:,}."
            )


def as_float32(samples):
    """Samples as float32, full scale from -1 to 1, without rounding."""
    silence, one = _LEVELS[samples.dtype.name]
    return (samples.astype(np.float32) - np.float32(silence)) / np.float32(one)


def check_sound(source, hertz, shape, dtype, expected=PUBLISHED_HERTZ):
    """Raises unless sound is such as `Recording` takes.

    Args:
        source: Where it is, for the message.
        hertz: Its sampling rate.
        shape, dtype: Of the array of its samples.
        expected: What its sampling rate must be.

    Raises:
        UnusableError: It is not mono, of another rate, of a format that float32 cannot
            hold exactly, or too short.
    """
    if len(shape) != 1:
        raise UnusableError(f"{source} is not mono: it has {shape[-1]} channels")
    if hertz != expected:
        raise UnusableError(
            f"{source} has {hertz:,} samples a second, not {expected:,}"
        )
    if dtype.name not in _LEVELS:
        raise UnusableError(
            f"{source} has samples of {dtype.name}, which is none of {list(_LEVELS)}"
        )
    if resampled_times(shape[0], hertz, HERTZ) < SHORTEST:
        raise UnusableError(
            f"{source} is shorter than a window: it has {shape[0]:,} samples at "
            f"{hertz:,} Hz, which are fewer than {SHORTEST:,} at {HERTZ:,} Hz"
        )


def check_notes(source, notes, samples):
    """Notes that lie within a recording; warns of those that do not.

    Args:
        source: Where they are, for the message.
        notes: Columns as of `Recording.notes`, int64 `(notes, 4)`.
        samples: Length of the recording, at the same rate.

    Returns:
        Notes without those that lie outside of the recording, or end before they
        begin; of those that begin before it or end after it, what is inside.

    Raises:
        UnusableError: There are none.
        DamagedDataError: Some are no MIDI numbers.
    """
    numbers = notes[:, COLUMNS.index("note")]
    if np.any((numbers < 0) | (numbers > 127)):
        raise DamagedDataError(f"{source} is damaged: its notes are no MIDI numbers.")
    begins, ends = notes[:, 0], notes[:, 1]
    is_inside = np.maximum(begins, 0) < np.minimum(ends, samples)
    is_cut = is_inside & ((begins < 0) | (ends > samples))
    if not is_inside.any():
        raise UnusableError(f"{source} has no notes")
    if not is_inside.all() or is_cut.any():
        warnings.warn(
            f"{source}: of {len(notes):,} notes, {np.sum(~is_inside):,} lie outside of "
            f"the recording and are left out, and {is_cut.sum():,} reach beyond it "
            "and are cut.",
            stacklevel=2,
        )
    inside = notes[is_inside]
    inside[:, :2] = np.clip(inside[:, :2], 0, samples)
    return inside


def usable(openers):
    """The recordings of those functions that do not raise `UnusableError`.

    Args:
        openers: Functions without arguments that return a `Recording`.

    Yields:
        Recordings. Of others, a warning says which file it is and why.
    """
    for opened in openers:
        try:
            yield opened()
        except UnusableError as reason:
            warnings.warn(f"{reason}. It is left out.", stacklevel=2)


def split_of(name):
    """The split that a recording is in, as in paper 2."""
    if name in TEST:
        return "test"
    return "validation" if name in VALIDATION else "train"
