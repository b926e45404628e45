"""How a score is played: when each note begins and ends, how high and how loud.

All of it is drawn from the ranges below, which are ours.
"""

import dataclasses

import numpy as np

from training.data.recordings import HERTZ

# Quarter notes a minute, drawn on a logarithmic scale, and how many times longer
# notes under a fermata last.
TEMPI = (72, 126)
HOLDS = (1.2, 2.0)
# Seconds after its time in the score at which a note begins, at most. Drawn for the
# performance, and below that, for each voice at each time.
JITTERS = (0.0, 0.040)
# Cents from A4 = 440 Hz; semitones, where scores are transposed.
TUNINGS = (-20, 20)
TRANSPOSITIONS = np.arange(-5, 7)
# Decibels of each voice, and of each note in it.
VOICE_DECIBELS = (-6, 6)
NOTE_DECIBELS = (-2, 2)
# Seconds of silence before the first note.
LEADS = (0.1, 0.5)


@dataclasses.dataclass(frozen=True)
class Performance:
    """Notes as they are played.

    Attributes:
        begins, ends: Samples at 11 kHz, int64 `(notes,)`. A note sounds from its begin;
            at its end the sound is let go.
        pitches: MIDI numbers, transposed, int64 `(notes,)`.
        voices: int64 `(notes,)`, from 0.
        gains: Of amplitudes, float64 `(notes,)`.
        tempo: Quarter notes a minute.
        tuning: Cents.
        transposition: Semitones.
    """

    begins: np.ndarray
    ends: np.ndarray
    pitches: np.ndarray
    voices: np.ndarray
    gains: np.ndarray
    tempo: float
    tuning: float
    transposition: int

    @property
    def hertz(self):
        """Fundamentals of the notes."""
        return 440 * 2 ** ((self.pitches - 69 + self.tuning / 100) / 12)


def perform(score, random, is_transposed=False):
    """A performance of a score.

    Args:
        score: A `Score`.
        random: `numpy.random.Generator`.
        is_transposed: Whether it is played in a key that is drawn.
    """
    tempo = np.exp(random.uniform(*np.log(TEMPI)))
    hold = random.uniform(*HOLDS)
    tuning = random.uniform(*TUNINGS)
    # Drawn in any case, so that what follows is the same without it.
    transposition = int(random.choice(TRANSPOSITIONS)) * is_transposed
    lead = random.uniform(*LEADS)
    begins, ends = _times(score, hold, random.uniform(*JITTERS) * tempo / 60, random)
    samples_per_quarter = 60 / tempo * HERTZ
    voice_decibels = random.uniform(*VOICE_DECIBELS, score.voices.max() + 1)
    decibels = voice_decibels[score.voices]
    decibels += random.uniform(*NOTE_DECIBELS, len(decibels))
    begins, ends = (
        np.rint(lead * HERTZ + times * samples_per_quarter).astype(int)
        for times in (begins, ends)
    )
    return Performance(
        begins=begins,
        ends=np.maximum(ends, begins + 1),
        pitches=score.pitches + transposition,
        voices=score.voices,
        gains=10 ** (decibels / 20),
        tempo=tempo,
        tuning=tuning,
        transposition=transposition,
    )


def _times(score, hold, jitter, random):
    """Begins and ends in quarter lengths, held at fermatas and jittered.

    A voice that goes on to its next note does so in one moment: what ends and what
    begins in it at one time of the score have the same delay.
    """
    events = np.stack(
        [
            np.tile(score.voices, 2).astype(float),
            np.concatenate([score.begins, score.ends]),
        ],
        axis=1,
    )
    moments, places = np.unique(events, axis=0, return_inverse=True)
    times = held(moments[:, 1], score.holds, hold)
    times += random.uniform(0, jitter, len(times))
    return np.split(times[places.ravel()], 2)


def held(times, holds, factor):
    """Times in quarter lengths when all that is under fermatas takes longer.

    Args:
        times: `(n,)`.
        holds: Begins and ends of fermatas that do not overlap, `(holds, 2)`.
        factor: How many times longer.
    """
    begins, ends = holds.reshape(-1, 2).T
    inside = np.clip(times[:, None] - begins, 0, ends - begins)
    return times + (factor - 1) * inside.sum(axis=1)
