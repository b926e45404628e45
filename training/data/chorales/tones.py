"""Tones as sums of partials: strings that ring freely, and pipes that are driven.

A string that was struck or plucked rings in its own modes, each damped by itself, and
stiffness makes them sharper than a harmonic series. What is blown or bowed is kept in
one period by its excitation: exactly harmonic, and a vibrato moves all partials alike.
"""

import numpy as np

from training.data.recordings import HERTZ

# As a recording's anti-aliasing filter does: partials fade out from the first to the
# second, in hertz, below half of the sampling rate.
PASSED, STOPPED = 4_600.0, 5_300.0
# Samples of a block of `damped`; any number gives the same tone.
_BLOCK = 128
# A damped tone ends 60 dB down.
_SILENCE = np.log(1e3)


def stiff_string(fundamental, inharmonicity, count):
    """Frequencies of a stiff string: `f_n = n f_0 sqrt(1 + B n²)`, n from 1.

    Args:
        fundamental: `f_0`, hertz.
        inharmonicity: `B`.
        count: Number of partials.

    Reference:
        Fletcher, 1964, Normal Vibration Frequencies of a Stiff Piano String.
    """
    n = np.arange(1, count + 1)
    return n * fundamental * np.sqrt(1 + inharmonicity * n**2)


def passed(frequencies):
    """Gains of an anti-aliasing filter: 1, then half a cosine down to 0."""
    place = (np.asarray(frequencies) - PASSED) / (STOPPED - PASSED)
    return 0.5 + 0.5 * np.cos(np.pi * np.clip(place, 0, 1))


def damped(frequencies, decays, amplitudes, phases, samples):
    """`Σ_p a_p exp(-d_p t) sin(2π f_p t + φ_p)` at t = 0, 1/11000, … s.

    With `n = 128 q + r`, each term is a function of q times one of r, so that the sum
    over partials is a product of two thin matrices.

    Args:
        frequencies, decays, amplitudes, phases: `(partials,)`; in hertz, 1/s, 1 and
            radian.
        samples: How many to compute.

    Returns:
        float32 `(samples,)`.
    """
    exponents = (2j * np.pi * np.asarray(frequencies) - decays)[:, None] / HERTZ
    begins = np.arange(0, samples, _BLOCK)
    starts = np.exp(exponents * begins + 1j * np.asarray(phases)[:, None])
    starts *= np.asarray(amplitudes)[:, None]
    within = np.exp(exponents * np.arange(_BLOCK))
    left = np.concatenate([starts.imag, starts.real]).astype(np.float32)
    right = np.concatenate([within.real, within.imag]).astype(np.float32)
    return (left.T @ right).ravel()[:samples]


def harmonic(turns, amplitudes, phases):
    """`Σ_k a_k sin(2π k u + φ_k)`, k from 1, at any `u`, by Horner's rule.

    Args:
        turns: `u`, periods of the fundamental, float64 `(samples,)`.
        amplitudes, phases: `(partials,)`, phases in radian.

    Returns:
        float32 `(samples,)`.
    """
    turn = np.exp(2j * np.pi * (turns % 1)).astype(np.complex64)
    coefficients = (amplitudes * np.exp(1j * np.asarray(phases))).astype(np.complex64)
    total = np.zeros_like(turn)
    for coefficient in coefficients[::-1]:
        total += coefficient
        total *= turn
    return total.imag


def vibrato(frequency, cents, hertz, phase, samples):
    """Periods of a fundamental that goes up and down, float64 `(samples,)`.

    Its frequency is `f [1 + (2^(c / 1200) - 1) sin(2π v t + φ)]`, and the vibrato comes
    in over the first third of a second, as players do it.
    """
    times = np.arange(samples) / HERTZ
    depth = (2 ** (cents / 1200) - 1) * np.minimum(times * 3, 1)
    swing = depth * np.sin(2 * np.pi * hertz * times + phase)
    return np.cumsum(frequency / HERTZ * (1 + swing)) - frequency / HERTZ


def envelope(attack, release, held, samples):
    """From 0 up within the attack, and from the end of the note on down to 0.

    Args:
        attack: Seconds of the rise, a quarter of a sine squared.
        release: Seconds in which the rest falls by 1/e.
        held: Samples until the release begins.
        samples: Samples in all.
    """
    found = np.ones(samples, np.float32)
    rise = np.arange(min(samples, int(attack * HERTZ) + 1)) / HERTZ
    found[: len(rise)] = np.sin(np.pi / 2 * np.minimum(rise / attack, 1)) ** 2
    fall = np.arange(samples - held) / HERTZ
    found[held:] *= np.exp(-fall / release)
    return found


def ringing(held, release):
    """Samples of a tone until it is 60 dB below where its release began."""
    return held + int(_SILENCE * release * HERTZ)
