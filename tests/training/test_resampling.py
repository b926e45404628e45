"""Resampling against sines, clicks and fractions."""

import fractions
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data import DataError
from training.data.resampling import in_pieces, resampled, resampled_times

FROM, TO = 44_100, 11_000


def blocks_of(sound, size):
    return [sound[start : start + size] for start in range(0, len(sound), size)]


def at_11_khz(sound, block=2**16):
    return np.concatenate(list(resampled(blocks_of(sound, block), FROM, TO)))


def sine(hertz, samples, rate):
    return np.sin(2 * np.pi * hertz * np.arange(samples) / rate).astype(np.float32)


def decibels(sound):
    return 20 * np.log10(np.sqrt(2 * np.mean(np.square(sound))))


@pytest.mark.parametrize("hertz", [27.5, 440, 3322])
def test_a_sine_stays_the_same_sine(hertz):
    found = at_11_khz(sine(hertz, FROM, FROM))
    # The filter needs some samples of the sound's past and future.
    inner = slice(200, -200)
    np.testing.assert_allclose(found[inner], sine(hertz, TO, TO)[inner], atol=1e-5)


def test_what_the_new_rate_cannot_hold_is_removed():
    levels = {
        hertz: decibels(at_11_khz(sine(hertz, FROM, FROM))[200:-200])
        for hertz in (5000, 5225, 5700, 11_000)
    }
    assert levels[5000] > -0.01
    np.testing.assert_allclose(levels[5225], -3, atol=1)
    assert max(levels[5700], levels[11_000]) < -100


@pytest.mark.parametrize("click", [130, 20_000, 20_100.5, 43_970])
def test_a_click_is_not_delayed(click):
    # So wide that the new rate holds it, and symmetric.
    sound = np.exp(-0.5 * ((np.arange(FROM) - click) / 20) ** 2).astype(np.float32)
    found = at_11_khz(sound).astype(float)
    centre = np.average(np.arange(TO), weights=found)
    np.testing.assert_allclose(centre, click * TO / FROM, atol=0.02)
    assert abs(np.argmax(found) - click * TO / FROM) <= 0.5


@settings(max_examples=30)
@given(st.integers(0, 3000), st.integers(1, 700), st.integers(0, 2**32 - 1))
def test_blocks_make_no_difference(samples, size, seed):
    sound = np.random.default_rng(seed).normal(size=samples).astype(np.float32)
    whole = at_11_khz(sound, 3000) if samples else np.empty(0)
    found = np.concatenate(
        [np.empty(0, np.float32), *resampled(blocks_of(sound, size), FROM, TO)]
    )
    assert len(found) == samples * 110 // 441
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, whole, atol=1e-6)


@given(st.lists(st.integers(0, 10**8), max_size=5))
def test_times_are_truncated_fractions(times):
    expected = [int(fractions.Fraction(time * TO, FROM)) for time in times]
    assert resampled_times(times, FROM, TO).tolist() == expected


def test_times_are_those_of_paper_2():
    # It multiplies in floating point; over half an hour, that makes no difference.
    times = np.arange(0, 30 * 60 * FROM, 7)
    expected = (times * (TO / float(FROM))).astype(int)
    np.testing.assert_array_equal(resampled_times(times, FROM, TO), expected)


def test_the_same_rate_changes_nothing():
    sound = np.arange(9.0, dtype=np.float32)
    found = np.concatenate(list(resampled([sound[:5], sound[5:]], TO, TO)))
    np.testing.assert_array_equal(found, sound)


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 12))
def test_pieces_are_the_same_samples(lengths, size):
    sound = np.arange(sum(lengths), dtype=np.float32)
    blocks = np.split(sound, np.cumsum(lengths))
    found = list(in_pieces(blocks, size))
    assert [len(piece) for piece in found] == [
        len(piece) for piece in blocks_of(sound, size)
    ]
    if found:
        np.testing.assert_array_equal(np.concatenate(found), sound)


def test_memory_does_not_grow_with_the_sound():
    def peak(minutes):
        silence = np.zeros(FROM, np.float32)
        blocks = (silence for _ in range(60 * minutes))
        tracemalloc.start()
        for _ in in_pieces(resampled(blocks, FROM, TO), 60 * TO):
            pass
        _, found = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return found

    assert peak(20) < peak(5) + 2**20 < 30 * 2**20


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(DataError, match=r'soxr: `pip install "cvzoo\[music\]"`'):
        at_11_khz(np.zeros(10, np.float32))
