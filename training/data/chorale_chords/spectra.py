"""Sound → spectra over log frequency, as bytes."""

import numpy as np

from training.data.filterbanks import filterbank
from training.data.recordings import HERTZ

BANDS, PER_OCTAVE = 256, 36
LOWEST_HERTZ = HERTZ / 2 / 2 ** (BANDS / PER_OCTAVE)
WINDOW = 2048
# A spectrum each eighth of a second; further apart where that would be more than 300.
HOP = HERTZ // 8
LARGEST_COUNT = 300
# Decibels below the loudest band of a recording that become the smallest number.
RANGE = 60


def spectra(audio):
    """At most 300 spectra of a recording, with levels from −2 to 2.

    Energy in 256 bands, 36 an octave, up to half the sampling rate; on a logarithmic
    scale, 2 for the loudest of the recording and −2 for all that is 60 dB weaker.

    Args:
        audio: float32 `(samples,)` at 11 kHz.

    Returns:
        float32 `(spectra, 256)`.
    """
    hop = max(HOP, -(-len(audio) // (LARGEST_COUNT - 1)))
    # The first window has the first sample in its middle, and the last the last one.
    padded = np.pad(audio, WINDOW // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::hop]
    energy = np.abs(np.fft.rfft(windows * np.hanning(WINDOW))) ** 2
    bands = energy @ filterbank(WINDOW, LOWEST_HERTZ, PER_OCTAVE)
    loudest = max(bands.max(), np.finfo(np.float32).tiny)
    decibels = 10 * np.log10(np.maximum(bands / loudest, 10 ** (-RANGE / 10)))
    return (2 + 4 * decibels / RANGE).astype(np.float32)
