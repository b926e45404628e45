"""Morlet wavelets in the Fourier domain, those of kymatio 0.3.0.

All filters are real there, since `ψ(−u)` is the conjugate of `ψ(u)`. They are made by
numpy in float64, for one size of the (padded) image.
"""

import numpy as np

# Where a period of the image ends, the filters go on: periods that are summed.
PERIODS = 5
# The π of kymatio's norms, with which trained networks may have to agree.
ROUNDED_PI = 3.1415


def filter_bank(size, scales, angles):
    """The low-pass filter and the wavelets of a scattering transform.

    Wavelet `(j, l)` has frequency `¾π / 2^j` in the direction `(⌊L/2⌋ − 1 − l)·π / L`
    from the first axis. A filter at resolution `r` is for images of which every
    `2^r`th row and column is left.

    Args:
        size: Height and width, multiples of `2^scales`.
        scales: Number J of scales.
        angles: Number L of angles.

    Returns:
        `low[r]`, arrays `(height / 2^r, width / 2^r)` for `r < J`; and
        `wavelets[j][r]`, arrays `(L, height / 2^r, width / 2^r)` for `r < max(j, 1)`.

    Reference:
        Mallat, 2012; Bruna and Mallat, 2013; `kymatio/scattering2d/filter_bank.py`.
    """
    deviation = 0.8 * 2 ** (scales - 1)
    gaussian, _ = _gaussian_and_wave(size, deviation, 0, 0, 1)
    spectrum = np.fft.fft2(gaussian).real
    low = tuple(at_resolution(spectrum, r) for r in range(scales))
    directions = [(angles // 2 - 1 - k) * np.pi / angles for k in range(angles)]
    wavelets = []
    for j in range(scales):
        shape = (0.8 * 2**j, 0.75 * np.pi / 2**j, 4 / angles)
        filters = [morlet(size, angle, *shape) for angle in directions]
        spectra = np.fft.fft2(filters).real
        wavelets.append(tuple(at_resolution(spectra, r) for r in range(max(j, 1))))
    return low, tuple(wavelets)


def morlet(size, angle, deviation, frequency, slant):
    """A wave in a Gaussian window, less as much of the window as makes the sum 0.

    Args:
        size: Height and width, a period.
        angle: Direction of the wave from the first axis.
        deviation: Standard deviation of the window along the wave; across it, that
            divided by `slant`.
        frequency: That of the wave, in radians a pixel.
        slant: See above.

    Returns:
        Complex array of that size; its middle is at (0, 0).
    """
    gaussian, wave = _gaussian_and_wave(size, deviation, angle, frequency, slant)
    return wave - wave.sum() / gaussian.sum() * gaussian


def at_resolution(spectra, resolution):
    """Filters for every `2^resolution`th row and column.

    Such an image cannot hold higher frequencies than those that are kept, of which the
    highest is negative.

    Args:
        spectra: Array `(..., height, width)`, of sizes that `2^resolution` divides.
        resolution: 0 or more.
    """
    for axis in (-2, -1):
        length = spectra.shape[axis]
        kept = length >> resolution
        places = np.arange(kept)
        places[kept // 2 :] += length - kept
        spectra = np.take(spectra, places, axis)
    return spectra


def _gaussian_and_wave(size, deviation, angle, frequency, slant):
    """A Gaussian window and a wave in it, summed over periods."""
    first = PERIODS // 2
    rows, columns = (
        np.arange(-first * length, (PERIODS - first) * length) for length in size
    )
    rows = rows[:, None]
    along = np.cos(angle) * rows + np.sin(angle) * columns
    across = np.cos(angle) * columns - np.sin(angle) * rows
    gaussian = np.exp(-(along**2 + (slant * across) ** 2) / (2 * deviation**2))
    gaussian *= slant / (2 * ROUNDED_PI * deviation**2)
    wave = gaussian * np.exp(1j * frequency * along)
    height, width = size
    return (
        one.reshape(PERIODS, height, PERIODS, width).sum((0, 2))
        for one in (gaussian, wave)
    )
