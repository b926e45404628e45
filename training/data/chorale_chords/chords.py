"""Which triads sound in a score, for at least a beat."""

import numpy as np

from training.data.recordings import PITCH_CLASSES

# Semitones above the root.
KINDS = {"major": (0, 4, 7), "minor": (0, 3, 7), "diminished": (0, 3, 6)}
NAMES = [f"{root} {kind}" for kind in KINDS for root in PITCH_CLASSES]
# A quarter, in quarter lengths.
BEAT = 1.0


def sounding(score):
    """Whether each of the 36 triads sounds in a score.

    One does where its three pitch classes sound together, in any octave and whatever
    sounds besides, for a quarter or longer without a break.

    Args:
        score: A `training.data.chorales.scores.Score`.

    Returns:
        bool `(36,)`, in the order of `NAMES`.
    """
    durations, classes = pitch_classes(score)
    longest = [
        longest_run(classes[:, [(root + step) % 12 for step in steps]], durations)
        for steps in KINDS.values()
        for root in range(12)
    ]
    # Lengths are sums of fractions of a quarter, thirds among them.
    return np.array(longest) > BEAT - 1e-6


def transposed(triads, semitones):
    """Those that sound when a score is played higher by some semitones."""
    return np.roll(triads.reshape(len(KINDS), 12), semitones, axis=1).reshape(-1)


def pitch_classes(score):
    """Spans of a score in which no note begins or ends, and what sounds there.

    Returns:
        Their durations in quarter lengths `(spans,)`, and bool `(spans, 12)`.
    """
    times = np.unique(np.concatenate([score.begins, score.ends]))
    more = np.zeros((len(times), 12), int)
    keys = score.pitches % 12
    np.add.at(more, (np.searchsorted(times, score.begins), keys), 1)
    np.add.at(more, (np.searchsorted(times, score.ends), keys), -1)
    return np.diff(times), np.cumsum(more, axis=0)[:-1] > 0


def longest_run(present, durations):
    """The longest time in which all of some things are present without a break.

    Args:
        present: bool `(spans, things)`.
        durations: Of the spans, `(spans,)`.
    """
    together = present.all(axis=1)
    # A number for each run: how many spans without it came before.
    runs = np.cumsum(~together)
    return np.bincount(runs, together * durations).max(initial=0.0)
