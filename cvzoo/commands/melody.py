"""A synthesised melody whose notes are known, for networks that hear notes."""

import wave

import numpy as np

# The first line of Beethoven's "Ode to Joy", in C: MIDI notes of the melody and of the
# bass below each, and their lengths in seconds.
MELODY = (64, 64, 65, 67, 67, 65, 64, 62, 60, 60, 62, 64, 64, 62, 62)
BASS = (48, 48, 48, 48, 43, 43, 43, 43, 48, 48, 43, 43, 48, 43, 43)
SECONDS = (*(0.4,) * 12, 0.6, 0.2, 0.8)
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_OVERTONES, _PEAK = 6, 0.6


def sound(rate):
    """The melody with its bass, float32 `(samples,)`.

    Args:
        rate: Samples a second.
    """
    voices = [
        np.concatenate([_tone(*one, rate) for one in zip(voice, SECONDS, strict=True)])
        for voice in (MELODY, BASS)
    ]
    mixed = voices[0] + 0.8 * voices[1]
    return (_PEAK * mixed / np.abs(mixed).max()).astype(np.float32)


def _tone(note, seconds, rate):
    """A plucked tone: overtones that fade, with soft ends."""
    hertz = 440 * 2 ** ((note - 69) / 12)
    times = np.arange(round(seconds * rate)) / rate
    fade = np.exp(-2.5 * times)
    fade *= np.minimum(times / 0.01, 1) * np.minimum((seconds - times) / 0.02, 1)
    parts = range(1, _OVERTONES + 1)
    return fade * sum(np.sin(2 * np.pi * k * hertz * times) / k**1.5 for k in parts)


def truth(times, names):
    """Which notes sound, 0 or 1, `(times, notes)`.

    Args:
        times: Seconds `(times,)`.
        names: Of the notes, such as `C#4`.
    """
    which = np.searchsorted(np.cumsum(SECONDS), times, side="right")
    which = np.minimum(which, len(SECONDS) - 1)
    found = np.zeros((len(times), len(names)))
    for voice in (MELODY, BASS):
        called = [f"{PITCH_CLASSES[note % 12]}{note // 12 - 1}" for note in voice]
        for place, note in enumerate(which):
            found[place, names.index(called[note])] = 1
    return found


def write(path, samples, rate):
    """Writes sound from -1 to 1 as a wav file of 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(32767 * samples).astype("<i2").tobytes())
