"""A score as sound: SYNTHESISED by models of instruments and rooms, never recorded."""

import dataclasses
import zlib

import numpy as np
import threadpoolctl

from training.data.chorales import instruments, performance, rooms

# Decibels of the sound in its room over the noise, and the noise's colour: see
# `rooms.coloured_noise`.
SIGNAL_TO_NOISE = (20, 50)
COLOURS = (0, 1)
# The largest sample; no sound is clipped.
PEAKS = (0.3, 0.9)
# How often one instrument plays all voices; else each voice has its own.
SOLO = 0.5


@dataclasses.dataclass(frozen=True)
class Rendering:
    """Sound of a score, and its notes.

    Attributes:
        audio: float32 `(samples,)` at 11 kHz.
        performance: The `Performance`, with the begins and ends of all notes.
        families: Names of the instruments, one a voice.
        room: Name of the room.
        signal_to_noise: Decibels.
    """

    audio: np.ndarray
    performance: performance.Performance
    families: tuple
    room: str
    signal_to_noise: float


def render(score, seed, is_transposed=False, is_unseen=False):
    """A rendering of a score; the same numbers give the same one.

    Args:
        score: A `Score`.
        seed: An integer. With the name of the score, it says what is drawn.
        is_transposed: Whether a key is drawn.
        is_unseen: Whether instruments and rooms are of the families that training
            never hears. How the notes are played does not depend on it.
    """
    playing, sounding = (
        np.random.default_rng(one)
        for one in np.random.SeedSequence(
            [seed, zlib.crc32(score.name.encode())]
        ).spawn(2)
    )
    played = performance.perform(score, playing, is_transposed)
    part = "UNSEEN" if is_unseen else "SEEN"
    # Products of matrices are rounded otherwise when several threads share them.
    with threadpoolctl.threadpool_limits(1, "blas"):
        families, dry = _play(played, getattr(instruments, part), sounding)
    kinds = getattr(rooms, part)
    room = str(sounding.choice(list(kinds)))
    wet = rooms.echoing(dry, rooms.response(kinds[room], sounding))
    decibels = sounding.uniform(*SIGNAL_TO_NOISE)
    noise = rooms.coloured_noise(len(wet), sounding.uniform(*COLOURS), sounding)
    power = np.mean(np.square(wet), dtype=float)
    audio = wet + noise * np.float32(np.sqrt(power / 10 ** (decibels / 10)))
    audio *= np.float32(sounding.uniform(*PEAKS) / np.max(np.abs(audio)))
    return Rendering(audio, played, families, room, decibels)


def _play(played, families, random):
    """Names of the voices' instruments, and their sound without room and noise."""
    voices = played.voices.max() + 1
    is_solo = random.random() < SOLO
    names = [
        str(random.choice(list(families))) for _ in range(1 if is_solo else voices)
    ]
    drawn = [instruments.Instrument.draw(families[name], random) for name in names]
    if is_solo:
        names, drawn = names * voices, drawn * voices
    tones = [
        np.float32(gain) * drawn[voice].tone(hertz, end - begin, random)
        for begin, end, voice, gain, hertz in zip(
            played.begins,
            played.ends,
            played.voices,
            played.gains,
            played.hertz,
            strict=True,
        )
    ]
    lengths = np.array([len(tone) for tone in tones])
    sound = np.zeros(np.max(played.begins + lengths), np.float32)
    for begin, tone in zip(played.begins, tones, strict=True):
        sound[begin : begin + len(tone)] += tone
    return tuple(names), sound
