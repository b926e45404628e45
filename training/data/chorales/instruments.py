"""Families of instruments, and one instrument of a family, drawn from its ranges.

These are models, not copies, of instruments: what a network must not rely on is drawn,
and what physics says is kept (see `tones`). Ranges are ours, around textbook values.
Families of `UNSEEN` never sound in training.

Reference:
    Fletcher and Rossing, 1998, The Physics of Musical Instruments, 2nd edition.
"""

import dataclasses

import numpy as np

from training.data.chorales import tones


@dataclasses.dataclass(frozen=True)
class Family:
    """Ranges that an instrument's numbers are drawn from, each `(low, high)`.

    Attributes:
        is_driven: Whether it is blown or bowed; else it was struck or plucked.
        slope: How fast partials fall, decibels an octave.
        even: How much even partials are below odd ones, decibels.
        attack, release: Seconds; see `tones.envelope`.
        cents, hertz: Depth and rate of the vibrato of what is driven.
        place: Where the string is struck or plucked, a share of its length: partials
            with a node there are missing.
        inharmonicity: `B` at middle C, drawn on a logarithmic scale; doubles every
            octave up.
        decay: Of the lowest partials, 1/s.
        decay_slope: What a partial at 1 kHz decays faster, 1/s; grows with the square
            of its frequency.
        formant: Hertz of a resonance of 6 to 12 dB and about an octave, or `None`.
    """

    is_driven: bool
    slope: tuple
    attack: tuple
    release: tuple
    even: tuple = (0.0, 0.0)
    cents: tuple = (0.0, 0.0)
    hertz: tuple = (4.5, 6.5)
    place: tuple = (0.0, 0.0)
    inharmonicity: tuple = (1e-12, 1e-12)
    decay: tuple = (0.0, 0.0)
    decay_slope: tuple = (0.0, 0.0)
    formant: tuple | None = None


SEEN = {
    "organ": Family(
        is_driven=True,
        slope=(-14, -6),
        attack=(0.010, 0.050),
        release=(0.03, 0.08),
        even=(0, 6),
    ),
    "flute": Family(
        is_driven=True,
        slope=(-20, -12),
        attack=(0.020, 0.060),
        release=(0.03, 0.08),
        cents=(5, 30),
    ),
    "bowed": Family(
        is_driven=True,
        slope=(-9, -5),
        attack=(0.025, 0.080),
        release=(0.04, 0.15),
        cents=(5, 35),
        formant=(400, 1200),
    ),
    "piano": Family(
        is_driven=False,
        slope=(-12, -6),
        attack=(0.0010, 0.0040),
        release=(0.05, 0.20),
        place=(0.09, 0.14),
        inharmonicity=(1e-4, 8e-4),
        decay=(0.3, 1.5),
        decay_slope=(0.5, 3.0),
    ),
    "harpsichord": Family(
        is_driven=False,
        slope=(-6, -2),
        attack=(0.0005, 0.0015),
        release=(0.04, 0.15),
        place=(0.12, 0.30),
        inharmonicity=(2e-5, 1e-4),
        decay=(0.8, 2.5),
        decay_slope=(0.3, 1.5),
    ),
}
UNSEEN = {
    "clarinet": Family(
        is_driven=True,
        slope=(-10, -5),
        attack=(0.015, 0.050),
        release=(0.03, 0.08),
        even=(12, 25),
        cents=(0, 10),
    ),
    "brass": Family(
        is_driven=True,
        slope=(-8, -4),
        attack=(0.020, 0.070),
        release=(0.04, 0.12),
        cents=(0, 20),
        formant=(700, 1800),
    ),
    "guitar": Family(
        is_driven=False,
        slope=(-9, -4),
        attack=(0.0010, 0.0030),
        release=(0.10, 0.40),
        place=(0.15, 0.40),
        inharmonicity=(3e-5, 2e-4),
        decay=(1.0, 3.0),
        decay_slope=(2.0, 8.0),
    ),
}

_MIDDLE_C = 440 * 2 ** (-9 / 12)
# A body's gains: normal, of this deviation in decibels, at these frequencies.
_BODY_DECIBELS = 4.0
_BODY_HERTZ = np.geomspace(60, 6_000, 20)
# Each partial of each instrument has a gain of its own, too.
_PARTIAL_DECIBELS = 2.0
_MAX_PARTIALS = 120


@dataclasses.dataclass(frozen=True)
class Instrument:
    """One instrument: the numbers of a family, drawn once.

    Attributes:
        family: Its `Family`.
        numbers: Name → number, for each range of the family.
        body: Gains in decibels at `_BODY_HERTZ`, `(20,)`.
        partials: Gains in decibels of partials 1 to 120.
    """

    family: Family
    numbers: dict
    body: np.ndarray
    partials: np.ndarray

    @classmethod
    def draw(cls, family, random):
        """An instrument of a family.

        Args:
            family: A `Family`.
            random: `numpy.random.Generator`.
        """
        numbers = {}
        for field in dataclasses.fields(family):
            limits = getattr(family, field.name)
            if field.name == "inharmonicity":
                numbers[field.name] = np.exp(random.uniform(*np.log(limits)))
            elif isinstance(limits, tuple):
                numbers[field.name] = random.uniform(*limits)
        body = random.normal(0, _BODY_DECIBELS, len(_BODY_HERTZ))
        if family.formant is not None:
            octaves = np.log2(_BODY_HERTZ / numbers["formant"])
            body += random.uniform(6, 12) * np.exp(-2 * octaves**2)
        partials = random.normal(0, _PARTIAL_DECIBELS, _MAX_PARTIALS)
        return cls(family, numbers, body, partials)

    def frequencies(self, fundamental):
        """Those of all partials that a recording at 11 kHz holds, hertz."""
        count = min(_MAX_PARTIALS, max(1, int(tones.STOPPED / fundamental)))
        found = tones.stiff_string(fundamental, self.inharmonicity(fundamental), count)
        return found[found < tones.STOPPED]

    def inharmonicity(self, fundamental):
        """`B` of the string of a note; 0 for what is driven."""
        if self.family.is_driven:
            return 0.0
        return self.numbers["inharmonicity"] * fundamental / _MIDDLE_C

    def amplitudes(self, frequencies):
        """Of partials; the root of the sum of their squares is 1, before filtering."""
        n = np.arange(1, len(frequencies) + 1)
        decibels = self.numbers["slope"] * np.log2(n) + self.partials[: len(n)]
        decibels -= self.numbers["even"] * (n % 2 == 0)
        decibels += np.interp(np.log(frequencies), np.log(_BODY_HERTZ), self.body)
        found = 10 ** (decibels / 20)
        if not self.family.is_driven:
            found *= np.abs(np.sin(np.pi * n * self.numbers["place"])) + 0.02
        return found / np.linalg.norm(found) * tones.passed(frequencies)

    def tone(self, fundamental, held, random):
        """A note, silent at its first sample and 60 dB down at its last.

        Args:
            fundamental: Hertz.
            held: Samples from its begin to its end in the score.
            random: `numpy.random.Generator`, of phases.

        Returns:
            float32 `(samples,)`, longer than `held` by its release.
        """
        numbers = self.numbers
        samples = tones.ringing(held, numbers["release"])
        frequencies = self.frequencies(fundamental)
        amplitudes = self.amplitudes(frequencies)
        phases = random.uniform(0, 2 * np.pi, len(frequencies) + 1)
        if self.family.is_driven:
            swing = numbers["cents"], numbers["hertz"], phases[-1]
            turns = tones.vibrato(fundamental, *swing, samples)
            sound = tones.harmonic(turns, amplitudes, phases[:-1])
        else:
            faster = numbers["decay_slope"] * (frequencies / 1e3) ** 2
            decays = numbers["decay"] + faster
            sound = tones.damped(frequencies, decays, amplitudes, phases[:-1], samples)
        rise, fall = numbers["attack"], numbers["release"]
        return sound * tones.envelope(rise, fall, held, samples)
