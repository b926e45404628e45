"""Rooms: how a sound reaches the microphone, and what else does.

A response is the direct sound, some early reflections, and noise that decays, faster at
high frequencies: Moorer's stochastic model. Ranges are ours. Rooms of `UNSEEN` never
sound in training.

Reference:
    Moorer, 1979, About This Reverberation Business, Computer Music Journal 3(2).
"""

import dataclasses

import numpy as np
import scipy.fft
import scipy.signal

from training.data.recordings import HERTZ


@dataclasses.dataclass(frozen=True)
class Room:
    """Ranges that a room's numbers are drawn from, each `(low, high)`.

    Attributes:
        seconds: Time in which echoes below 2 kHz fall by 60 dB.
        high: The share of that time that those above take.
        direct: Energy of the direct sound over that of all echoes, decibels.
    """

    seconds: tuple
    high: tuple
    direct: tuple


SEEN = {
    "studio": Room((0.10, 0.30), (0.5, 0.9), (10, 20)),
    "chamber": Room((0.30, 0.70), (0.5, 0.8), (5, 12)),
    "hall": Room((0.70, 1.30), (0.4, 0.7), (4, 10)),
}
UNSEEN = {
    "stairwell": Room((0.50, 0.90), (0.9, 1.0), (-3, 3)),
    "church": Room((1.60, 2.60), (0.3, 0.6), (-1, 3.5)),
}

_CROSSOVER_HERTZ = 2_000
# Reflections come within these seconds; the noise sets in as they do.
_REFLECTIONS = 6
_EARLY_SECONDS = (0.002, 0.030)


def response(room, random):
    """The response of a room.

    Args:
        room: A `Room`, of which one is drawn.
        random: `numpy.random.Generator`.

    Returns:
        float32 `(samples,)`; its first sample is the direct sound, 1.
    """
    seconds, high, direct = (
        random.uniform(*getattr(room, field.name)) for field in dataclasses.fields(room)
    )
    samples = int(seconds * HERTZ)
    times = np.arange(samples) / HERTZ
    noise = random.standard_normal(samples)
    low_pass = scipy.signal.butter(2, _CROSSOVER_HERTZ, fs=HERTZ, output="sos")
    low = scipy.signal.sosfilt(low_pass, noise)
    rate = np.log(1e3) / seconds
    echoes = low * np.exp(-rate * times) + (noise - low) * np.exp(-rate / high * times)
    arrivals = np.sort(random.uniform(*_EARLY_SECONDS, _REFLECTIONS))
    echoes[times < arrivals[0]] = 0
    # Each reflection stands out of the noise around it, with either sign.
    places = (arrivals * HERTZ).astype(int)
    echoes[places] += random.choice([-4, 4], _REFLECTIONS) * np.exp(-rate * arrivals)
    echoes *= np.sqrt(10 ** (-direct / 10) / np.sum(echoes**2))
    echoes[0] = 1
    return echoes.astype(np.float32)


def echoing(sound, response):
    """A sound in a room: `(samples,)`, as long as both together."""
    return scipy.signal.fftconvolve(sound, response).astype(np.float32)


def coloured_noise(samples, colour, random):
    """Noise of mean square 1 whose power falls as 1 / frequency^colour, float32.

    Below 20 Hz it stays as at 20 Hz.

    Args:
        samples: How many.
        colour: 0 for white, 1 for pink.
        random: `numpy.random.Generator`.
    """
    # Transforms of some sizes are slow.
    size = scipy.fft.next_fast_len(samples, real=True)
    spectrum = scipy.fft.rfft(random.standard_normal(size, np.float32))
    hertz = np.maximum(np.arange(len(spectrum)) * HERTZ / size, 20)
    spectrum *= hertz.astype(np.float32) ** np.float32(-colour / 2)
    noise = scipy.fft.irfft(spectrum, size)[:samples]
    return noise / np.sqrt(np.mean(noise**2, dtype=float)).astype(np.float32)
