"""Tones, instruments and rooms against closed forms and measured spectra."""

import dataclasses

import numpy as np
import pytest
import scipy.signal

from training.data.chorales import instruments, rooms, tones
from training.data.recordings import HERTZ

FAMILIES = {**instruments.SEEN, **instruments.UNSEEN}
ROOMS = {**rooms.SEEN, **rooms.UNSEEN}


def drawn(name, seed=0, **numbers):
    """An instrument of a family, with some of its numbers given."""
    found = instruments.Instrument.draw(FAMILIES[name], np.random.default_rng(seed))
    return dataclasses.replace(found, numbers={**found.numbers, **numbers})


def spectrum(sound):
    """Frequencies and magnitudes, finely spaced, with side lobes below 90 dB."""
    size = 1 << 18
    window = scipy.signal.windows.blackmanharris(len(sound))
    magnitudes = np.abs(np.fft.rfft(sound * window, size))
    return np.fft.rfftfreq(size, 1 / HERTZ), magnitudes / window.sum() * 2


def peak(sound, hertz, within=0.03):
    """Frequency of the largest magnitude near one."""
    frequencies, magnitudes = spectrum(sound)
    near = np.abs(frequencies / hertz - 1) < within
    return frequencies[near][np.argmax(magnitudes[near])]


def cents(hertz, reference):
    return 1200 * np.log2(hertz / reference)


@pytest.mark.parametrize("samples", [1, 128, 1000])
@pytest.mark.parametrize("count", [1, 7])
def test_damped_tones_are_the_sum_that_the_formula_says(samples, count):
    random = np.random.default_rng(0)
    frequencies, phases = random.uniform(50, 5000, count), random.uniform(0, 6, count)
    decays, amplitudes = random.uniform(0, 20, count), random.uniform(0, 1, count)
    times = np.arange(samples)[:, None] / HERTZ
    waves = np.sin(2 * np.pi * frequencies * times + phases)
    expected = np.sum(amplitudes * np.exp(-decays * times) * waves, axis=1)
    found = tones.damped(frequencies, decays, amplitudes, phases, samples)
    assert (found.dtype, found.shape) == (np.float32, (samples,))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("count", [1, 40])
def test_harmonic_tones_are_the_sum_that_the_formula_says(count):
    random = np.random.default_rng(1)
    turns = np.cumsum(random.uniform(0, 0.02, 5000))
    amplitudes, phases = random.uniform(0, 1, count), random.uniform(0, 6, count)
    waves = np.sin(2 * np.pi * np.arange(1, count + 1) * turns[:, None] + phases)
    found = tones.harmonic(turns, amplitudes, phases)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, waves @ amplitudes, atol=1e-3)


def test_stiff_strings_are_sharper_than_harmonic():
    found = tones.stiff_string(100, 4e-4, 10)
    np.testing.assert_allclose(found[0], 100 * np.sqrt(1.0004))
    np.testing.assert_allclose(found[9], 1000 * np.sqrt(1.04))


def test_vibrato_goes_as_many_cents_up_and_down():
    turns = tones.vibrato(440, 30, 5, 0.3, 4 * HERTZ)
    assert turns[0] == pytest.approx(0, abs=0.01)
    frequencies = np.diff(turns) * HERTZ
    late = frequencies[HERTZ:]
    np.testing.assert_allclose(cents(late.max(), 440), 30, atol=0.1)
    assert late.mean() == pytest.approx(440, rel=1e-5)
    rises = np.sum((late[:-1] < 440) & (late[1:] >= 440))
    assert rises == 15


def test_envelopes_rise_hold_and_fall_as_they_say():
    found = tones.envelope(0.1, 0.05, held=5500, samples=8000)
    assert found[0] == 0
    np.testing.assert_allclose(found[550], 0.5, atol=1e-3)
    np.testing.assert_allclose(found[1101:5500], 1)
    np.testing.assert_allclose(found[5500 + 550], np.exp(-1), rtol=1e-5)


def test_tones_end_sixty_decibels_down():
    samples = tones.ringing(1000, 0.05)
    found = tones.envelope(0.01, 0.05, 1000, samples)
    assert found[-1] == pytest.approx(1e-3, rel=0.01)


def test_the_filter_passes_all_that_is_low_and_nothing_above():
    found = tones.passed([100, 4600, 4950, 5300, 6000])
    np.testing.assert_allclose(found, [1, 1, 0.5, 0, 0], atol=1e-12)


@pytest.mark.parametrize("tuning", [-20, 0, 13])
@pytest.mark.parametrize("pitch", [36, 57, 81])
@pytest.mark.parametrize("name", FAMILIES)
def test_fundamentals_are_in_tune(name, pitch, tuning):
    hertz = 440 * 2 ** ((pitch - 69 + tuning / 100) / 12)
    # Measured without what spreads lines: vibrato, damping; and the stiffness of a
    # string, which lifts its fundamental.
    instrument = drawn(name, cents=0, decay=0, decay_slope=0, inharmonicity=1e-12)
    tone = instrument.tone(hertz, 3 * HERTZ, np.random.default_rng(0))
    assert abs(cents(peak(tone[HERTZ // 4 : 3 * HERTZ], hertz), hertz)) < 0.6


@pytest.mark.parametrize("name", ["piano", "guitar"])
def test_partials_of_strings_are_where_stiffness_puts_them(name):
    instrument = drawn(name, decay=0, decay_slope=0, place=0.11)
    stiffness = instrument.numbers["inharmonicity"] * 130 / 261.626
    tone = instrument.tone(130, 3 * HERTZ, np.random.default_rng(0))
    for n in (1, 4, 8, 16):
        expected = n * 130 * np.sqrt(1 + stiffness * n**2)
        found = peak(tone[: 3 * HERTZ], expected, within=0.01)
        assert abs(cents(found, expected)) < 0.6


def test_partials_of_strings_decay_as_their_rates_say():
    instrument = drawn("piano", decay=1.0, decay_slope=2.0)
    tone = instrument.tone(220, 3 * HERTZ, np.random.default_rng(0))
    for n, frequency in enumerate(instrument.frequencies(220)[:6], start=1):
        levels = [
            spectrum(tone[start : start + HERTZ])[1] for start in (2000, 2000 + HERTZ)
        ]
        frequencies, _ = spectrum(tone[:HERTZ])
        place = np.argmin(np.abs(frequencies - frequency))
        found = np.log(levels[0][place] / levels[1][place])
        assert found == pytest.approx(1 + 2 * (frequency / 1000) ** 2, rel=0.02), n


@pytest.mark.parametrize("name", FAMILIES)
def test_tones_begin_in_silence_and_sound_after_their_attack(name):
    instrument = drawn(name)
    tone = instrument.tone(330, HERTZ, np.random.default_rng(0))
    assert tone[0] == 0
    attack = int(instrument.numbers["attack"] * HERTZ) + 1
    # Within a millisecond there is something, and after the attack, all of it.
    assert np.max(np.abs(tone[:12])) > 1e-5
    assert np.max(np.abs(tone[attack : attack + 200])) > 0.3
    assert np.max(np.abs(tone[-20:])) < 5e-3


@pytest.mark.parametrize("hertz", [1244.5, 2637.0])
@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_sounds_but_partials_below_half_the_sampling_rate(name, hertz):
    instrument = drawn(name, cents=0, decay=0, decay_slope=0)
    tone = instrument.tone(hertz, HERTZ, np.random.default_rng(0))
    partials = instrument.frequencies(hertz)
    assert partials.max() < HERTZ / 2
    frequencies, magnitudes = spectrum(tone[1000 : HERTZ - 500])
    distance = np.min(np.abs(frequencies[:, None] - partials), axis=1)
    assert np.max(magnitudes[distance > 30]) < 3e-3 * np.max(magnitudes)


@pytest.mark.parametrize("name", FAMILIES)
def test_all_numbers_are_drawn_from_their_ranges(name):
    family = FAMILIES[name]
    for seed in range(20):
        for key, number in drawn(name, seed).numbers.items():
            low, high = getattr(family, key)
            assert low - 1e-15 <= number <= high + 1e-15, key


def test_all_partials_together_have_unit_power():
    for name in FAMILIES:
        instrument = drawn(name)
        found = instrument.amplitudes(np.arange(1, 21) * 100.0)
        assert np.sum(found**2) == pytest.approx(1)


def test_families_and_rooms_of_the_unseen_are_others():
    assert not set(instruments.SEEN) & set(instruments.UNSEEN)
    assert not set(rooms.SEEN) & set(rooms.UNSEEN)
    # Rooms differ in what is heard, too: less of the direct sound.
    lowest = min(room.direct[0] for room in rooms.SEEN.values())
    assert max(room.direct[1] for room in rooms.UNSEEN.values()) < lowest


@pytest.mark.parametrize("name", ROOMS)
def test_rooms_have_the_echoes_that_they_say(name):
    room = ROOMS[name]
    for seed in range(3):
        found = rooms.response(room, np.random.default_rng(seed)).astype(float)
        assert found[0] == 1
        # No echo before the first reflection, 2 ms on.
        assert not np.any(found[1:22])
        direct = -10 * np.log10(np.sum(found[1:] ** 2))
        assert room.direct[0] - 0.01 <= direct <= room.direct[1] + 0.01
        assert room.seconds[0] <= len(found) / HERTZ + 1e-3
        assert len(found) / HERTZ <= room.seconds[1]


def test_echoes_fall_by_sixty_decibels_in_the_time_of_the_room():
    room = rooms.Room((1.5, 1.5), (1.0, 1.0), (0, 0))
    found = rooms.response(room, np.random.default_rng(0)).astype(float)
    # Schroeder's integral, from -5 to -35 dB, as ISO 3382 measures it.
    energy = np.cumsum(found[:0:-1] ** 2)[::-1]
    decibels = 10 * np.log10(energy / energy[0])
    times = np.arange(len(decibels)) / HERTZ
    is_used = (decibels < -5) & (decibels > -35)
    slope, _ = np.polyfit(times[is_used], decibels[is_used], 1)
    assert -60 / slope == pytest.approx(1.5, rel=0.05)


def test_high_echoes_fall_faster():
    room = rooms.Room((1.5, 1.5), (0.4, 0.4), (0, 0))
    found = rooms.response(room, np.random.default_rng(0))
    late = found[HERTZ // 2 : HERTZ]
    frequencies, magnitudes = spectrum(late)
    low = np.mean(magnitudes[(frequencies > 200) & (frequencies < 1000)] ** 2)
    high = np.mean(magnitudes[frequencies > 4000] ** 2)
    assert 10 * np.log10(low / high) > 15


def test_echoing_is_a_convolution():
    random = np.random.default_rng(0)
    sound, response = random.normal(size=300), random.normal(size=40)
    found = rooms.echoing(sound.astype(np.float32), response.astype(np.float32))
    np.testing.assert_allclose(found, np.convolve(sound, response), atol=1e-4)


@pytest.mark.parametrize("samples", [999, 30_011])
@pytest.mark.parametrize("colour", [0, 0.5, 1])
def test_noise_has_unit_power_and_its_colour(samples, colour):
    found = rooms.coloured_noise(samples, colour, np.random.default_rng(0))
    assert (found.dtype, found.shape) == (np.float32, (samples,))
    assert np.mean(found.astype(float) ** 2) == pytest.approx(1, rel=1e-4)
    if samples > 1000:
        frequencies, power = scipy.signal.welch(found, HERTZ, nperseg=1024)
        is_used = (frequencies > 100) & (frequencies < 5000)
        slope, _ = np.polyfit(np.log(frequencies[is_used]), np.log(power[is_used]), 1)
        assert slope == pytest.approx(-colour, abs=0.1)
