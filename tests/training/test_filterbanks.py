"""Bands of equal width in pitch."""

import numpy as np

from training.data.filterbanks import filterbank
from training.data.recordings import HERTZ


def test_bands_are_centred_on_notes():
    bands = filterbank(4096, 27.5, 36)
    # A4 is 48 semitones, three bands each, above the lowest note.
    for note in (69, 81, 93):
        tone = np.sin(
            2 * np.pi * 440 * 2 ** ((note - 69) / 12) * np.arange(4096) / HERTZ
        )
        energy = np.abs(np.fft.rfft(tone * np.hanning(4096))) ** 2 @ bands
        assert energy.argmax() == 3 * (note - 21)
    assert np.all(bands.sum(axis=0) > 0)


def test_the_number_of_bands_does_not_depend_on_rounding():
    for bands in range(200, 280):
        lowest = HERTZ / 2 / 2 ** (bands / 36)
        assert filterbank(2048, lowest, 36).shape == (1025, bands)
