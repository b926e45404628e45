"""Bands of equal width in pitch."""

import numpy as np

from training.data.recordings import HERTZ


def filterbank(window, lowest, per_octave):
    """Triangles over log frequency that overlap by half, up to half the sampling rate.

    Where they are narrower than the transform's bins, neighbours share one.

    Args:
        window: Samples that are transformed.
        lowest: Middle of the first band, in hertz.
        per_octave: Number of bands in an octave.

    Returns:
        float32 `(window // 2 + 1, bands)`, by which energies of bins are multiplied.
    """
    octaves = np.log2(HERTZ / 2 / lowest)
    centres = np.arange(np.ceil(octaves * per_octave - 1e-9))
    # The lowest bin has no pitch.
    bins = np.arange(1, window // 2 + 1) * HERTZ / window
    places = np.log2(bins / lowest) * per_octave
    width = np.maximum(1.0, np.gradient(places))
    found = np.maximum(0, 1 - np.abs(places[:, None] - centres) / width[:, None])
    return np.concatenate([np.zeros((1, len(centres))), found]).astype(np.float32)
