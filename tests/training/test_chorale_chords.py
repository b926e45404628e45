"""Triads of scores and spectra of sound, and the data set made of them."""

import numpy as np
import pytest

from training.data.chorale_chords import chords, spectra
from training.data.chorales.scores import Score
from training.data.recordings import HERTZ


def score_of(*notes):
    """A score of `(begin, end, pitch)`, each in a voice of its own."""
    rows = [
        (begin, voice, pitch, end) for voice, (begin, end, pitch) in enumerate(notes)
    ]
    return Score.of("made", rows, [], [str(voice) for voice in range(len(notes))])


def names(triads):
    return {chords.NAMES[place] for place in np.flatnonzero(triads)}


def test_a_triad_sounds_in_any_octave_and_inversion():
    found = chords.sounding(score_of((0, 2, 52), (0, 1, 67), (0, 3, 72)))
    assert names(found) == {"C major"}


def test_a_triad_sounds_within_larger_chords():
    # C7 has the triad of E, G and B flat too.
    found = chords.sounding(
        score_of((0, 1, 48), (0, 1, 64), (0, 1, 67), (0, 1, 70)),
    )
    assert names(found) == {"C major", "E diminished"}


def test_what_lasts_less_than_a_quarter_does_not_count():
    third = 1 / 3
    found = chords.sounding(
        score_of(
            *((0, 5, pitch) for pitch in (48, 64)),
            # Three times a third without a break is a quarter, and twice is less.
            *((begin * third, (begin + 1) * third, 67) for begin in range(3)),
            *((2 + begin * third, 2 + (begin + 1) * third, 69) for begin in range(2)),
        )
    )
    assert names(found) == {"C major"}


def test_a_break_begins_anew():
    found = chords.sounding(
        score_of((0, 2, 57), (0, 2, 60), (0, 0.9, 64), (1.0, 1.9, 64))
    )
    assert names(found) == set()
    assert not np.any(found)


def test_spans_are_those_that_a_fine_grid_has():
    random = np.random.default_rng(0)
    for _ in range(20):
        begins = random.integers(0, 20, 12) / 4
        ends = begins + random.integers(1, 9, 12) / 4
        pitches = random.choice([48, 52, 55, 57, 60, 63, 66], 12)
        notes = list(zip(begins, ends, pitches, strict=True))
        expected = set()
        for root in range(12):
            for kind, steps in chords.KINDS.items():
                run = best = 0
                for place in range(int(4 * max(ends))):
                    heard = {p % 12 for b, e, p in notes if b <= place / 4 < e}
                    is_there = {(root + step) % 12 for step in steps} <= heard
                    run = run + 1 if is_there else 0
                    best = max(best, run)
                if best >= 4:
                    expected.add(f"{chords.PITCH_CLASSES[root]} {kind}")
        assert names(chords.sounding(score_of(*notes))) == expected


@pytest.mark.parametrize("semitones", [-5, 0, 6])
def test_chords_move_with_the_key(semitones):
    notes = [(0, 1, 50), (0, 1, 53), (0, 1, 57), (1, 3, 47), (1, 3, 62), (1, 3, 65)]
    higher = [(begin, end, pitch + semitones) for begin, end, pitch in notes]
    moved = chords.transposed(chords.sounding(score_of(*notes)), semitones)
    np.testing.assert_array_equal(moved, chords.sounding(score_of(*higher)))
    assert moved.sum() == 2


def tone(hertz, seconds, amplitude=1.0):
    times = np.arange(round(seconds * HERTZ)) / HERTZ
    return (amplitude * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def test_a_tone_is_in_the_band_of_its_pitch():
    for hertz in (220.0, 440.0, 1760.0):
        found = spectra.spectra(tone(hertz, 2))
        place = spectra.PER_OCTAVE * np.log2(hertz / spectra.LOWEST_HERTZ)
        middle = found[len(found) // 2]
        assert middle.max() == pytest.approx(2, abs=0.1)
        assert abs(middle.argmax() - place) <= 1


def test_spectra_are_an_eighth_of_a_second_apart_and_at_most_300():
    assert spectra.spectra(tone(440, 2)).shape == (17, spectra.BANDS)
    found = spectra.spectra(tone(440, 60))
    assert 295 <= len(found) <= 300
    # The last one is of the end.
    assert found[-1].max() > 1.5


def test_levels_are_decibels_below_the_loudest():
    sound = np.concatenate([tone(440, 2), tone(440, 2, 0.1), np.zeros(22_000)])
    found = spectra.spectra(sound.astype(np.float32)).max(axis=1)
    assert found[8] == pytest.approx(2, abs=0.02)
    # A tenth of the amplitude is 20 of 60 dB.
    assert found[24] == pytest.approx(2 - 4 * 20 / 60, abs=0.02)
    assert found[-2] == -2


def test_silence_has_spectra_too():
    assert np.all(np.isfinite(spectra.spectra(np.zeros(22_000, np.float32))))
