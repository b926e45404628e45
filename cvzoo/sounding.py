"""Which notes sound from when to when, from probabilities over time."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Note:
    """A note that is heard without a break.

    Attributes:
        start, end: Seconds.
        name: Of the note.
        probability: The highest while it sounds.
    """

    start: float
    end: float
    name: str
    probability: float


def notes(probabilities, times, names, least=0.5):
    """The notes that are heard, by their start; lowest first of those together.

    Args:
        probabilities: `(times, notes)`, from 0 to 1.
        times: Seconds `(times,)`, rising, equally far apart. Each speaks for what is
            within half a step of it.
        names: Of the notes.
        least: Probability from which a note is heard.

    Returns:
        List of `Note`.
    """
    half = (times[1] - times[0]) / 2 if len(times) > 1 else 0.0
    is_heard = np.pad(probabilities >= least, ((1, 1), (0, 0)))
    steps = np.diff(is_heard.astype(np.int8), axis=0)
    found = []
    for place, name in enumerate(names):
        begins = np.flatnonzero(steps[:, place] == 1)
        ends = np.flatnonzero(steps[:, place] == -1)
        for begin, end in zip(begins, ends, strict=True):
            highest = probabilities[begin:end, place].max()
            start = max(float(times[begin] - half), 0.0)
            note = Note(start, float(times[end - 1] + half), name, float(highest))
            found.append((start, place, note))
    return [note for _, _, note in sorted(found, key=lambda one: one[:2])]
