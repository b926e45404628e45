"""Morlet wavelets: what their definition says of them."""

import numpy as np
import pytest

from cvzoo.ops import wavelets

BANKS = [((40, 40), 2, 8), ((36, 24), 2, 5), ((20, 12), 1, 1), ((48, 40), 3, 4)]


def both_ways(spectra):
    """Mean over frequencies and their negatives: what a real image sees."""
    negative = np.roll(np.flip(spectra, (-2, -1)), 1, (-2, -1))
    return (spectra + negative) / 2


@pytest.mark.parametrize("bank", BANKS)
def test_wavelets_have_mean_0_and_the_low_pass_mean_1(bank):
    low, filters = wavelets.filter_bank(*bank)
    for spectra in (one for scale in filters for one in scale):
        np.testing.assert_allclose(spectra[:, 0, 0], 0, atol=1e-12)
    # As nearly as π is 3.1415.
    np.testing.assert_allclose([one[0, 0] for one in low], 1, atol=1e-4)


@pytest.mark.parametrize("bank", BANKS)
def test_a_bank_has_every_filter_at_the_resolutions_that_need_it(bank):
    (height, width), scales, angles = bank
    low, filters = wavelets.filter_bank(*bank)
    assert [one.shape for one in low] == [
        (height // 2**r, width // 2**r) for r in range(scales)
    ]
    for scale, levels in enumerate(filters):
        assert [one.shape for one in levels] == [
            (angles, height // 2**r, width // 2**r) for r in range(max(scale, 1))
        ]


@pytest.mark.parametrize("angles", [5, 8])
def test_spectra_are_gaussians_at_the_frequency_of_the_wave(angles):
    # Fourier transforms in closed form, with the aliases of sampling.
    size = (40, 36)
    low, filters = wavelets.filter_bank(size, 3, angles)

    def gaussian(deviation, angle, frequency, slant):
        aliases = 2 * np.pi * np.arange(-2, 3)[:, None, None]
        grids = [np.fft.fftfreq(length) * 2 * np.pi for length in size]
        u, v = np.meshgrid(*grids, indexing="ij")
        u, v = u + aliases[:, None], v + aliases
        along = u * np.cos(angle) + v * np.sin(angle) - frequency
        across = (v * np.cos(angle) - u * np.sin(angle)) / slant
        exponent = -(deviation**2) * (along**2 + across**2) / 2
        return np.exp(exponent).sum((0, 1)) * np.pi / 3.1415

    np.testing.assert_allclose(low[0], gaussian(3.2, 0, 0, 1), atol=1e-6)
    for scale in range(3):
        for place in range(angles):
            angle = (angles // 2 - 1 - place) * np.pi / angles
            shape = 0.8 * 2**scale, angle
            wave = gaussian(*shape, 0.75 * np.pi / 2**scale, 4 / angles)
            window = gaussian(*shape, 0, 4 / angles)
            expected = wave - wave[0, 0] / window[0, 0] * window
            found = filters[scale][0][place]
            np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("scales", "angles", "most"),
    [(1, 3, 1), (2, 4, 1), (4, 6, 1), (2, 8, 1), (4, 8, 1.04)],
)
def test_together_the_filters_amplify_no_frequency(scales, angles, most):
    # Littlewood–Paley: |φ|² + Σ|ψ|² ≤ 1, as nearly as π is 3.1415; the windows of many
    # angles and scales overlap a little.
    low, filters = wavelets.filter_bank((64, 64), scales, angles)
    energy = low[0] ** 2 + sum(both_ways(one[0] ** 2).sum(0) for one in filters)
    assert energy.max() < most + 1e-4


@pytest.mark.parametrize("resolution", [0, 1, 2])
def test_a_filter_at_a_lower_resolution_is_that_of_every_nth_pixel(resolution):
    step = 2**resolution
    spectrum = np.random.default_rng(0).normal(size=(24, 16))
    for axis, length in enumerate(spectrum.shape):
        frequency = np.abs(np.fft.fftfreq(length))
        kept = frequency < 0.5 / step
        spectrum *= kept[:, None] if axis == 0 else kept
    expected = np.fft.ifft2(spectrum)[::step, ::step] * step**2
    found = np.fft.ifft2(wavelets.at_resolution(spectrum, resolution))
    np.testing.assert_allclose(found, expected, atol=1e-12)
