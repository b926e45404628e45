"""Performances and renderings: what is drawn, and that sound and notes fit together."""

import concurrent.futures
import hashlib
import multiprocessing

import numpy as np
import pytest

from training.data.chorales import instruments, performance, rendering, rooms, scores
from training.data.recordings import HERTZ

MILLISECOND = HERTZ // 1000
# Two voices, one of them with a rest; a fermata on the last note but one.
NOTES = [
    (0.0, 0, 72, 1.0),
    (1.0, 0, 74, 2.0),
    (2.0, 0, 76, 4.0),
    (4.0, 0, 72, 5.0),
    (0.0, 1, 48, 0.5),
    (2.0, 1, 52, 4.0),
    (4.0, 1, 48, 5.0),
]
SCORE = scores.Score.of("work", NOTES, [(2.0, 4.0)], ["Soprano", "Bass"])
# Notes far apart, so that each is heard alone.
APART = scores.Score.of(
    "apart", [(4 * n, 0, 60 + 5 * n, 4 * n + 1) for n in range(4)], [], ["Soprano"]
)


def played(seed=0, **options):
    return performance.perform(SCORE, np.random.default_rng(seed), **options)


def digest(seed):
    """Of a rendering's sound and notes; in other processes, too."""
    found = rendering.render(SCORE, seed, is_transposed=True)
    notes = np.stack([found.performance.begins, found.performance.ends])
    return hashlib.sha256(found.audio.tobytes() + notes.tobytes()).hexdigest()


def test_a_seed_and_a_name_say_all():
    assert digest(1) == digest(1)
    assert digest(1) != digest(2)
    other = scores.Score.of("other", NOTES, [(2.0, 4.0)], ["Soprano", "Bass"])
    assert rendering.render(other, 1).performance.tempo != (
        rendering.render(SCORE, 1).performance.tempo
    )


def test_other_processes_and_orders_give_the_same_bits():
    here = [digest(seed) for seed in range(3)]
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        there = list(pool.map(digest, [2, 0, 1]))
    assert there == [here[2], here[0], here[1]]


def test_notes_begin_up_to_forty_milliseconds_late_and_voices_go_on(monkeypatch):
    monkeypatch.setattr(performance, "JITTERS", (0.04, 0.04))
    found = played()
    quarter = 60 / found.tempo * HERTZ
    lead = min(found.begins)
    delays = found.begins[:2] - lead - SCORE.begins[:2] * quarter
    assert np.all(np.abs(delays) <= 0.04 * HERTZ + 1)
    delay = found.begins - SCORE.begins * quarter
    is_first = SCORE.begins < 3
    assert np.ptp(delay[is_first]) <= 0.04 * HERTZ + 1
    assert np.ptp(delay[is_first]) > 0
    # The soprano has no rest, and so no gap.
    soprano = SCORE.voices == 0
    np.testing.assert_array_equal(found.begins[soprano][1:], found.ends[soprano][:-1])


def test_without_jitter_times_are_those_of_the_score(monkeypatch):
    monkeypatch.setattr(performance, "JITTERS", (0, 0))
    monkeypatch.setattr(performance, "LEADS", (0.2, 0.2))
    monkeypatch.setattr(performance, "TEMPI", (60, 60))
    monkeypatch.setattr(performance, "HOLDS", (1.5, 1.5))
    found = played()
    np.testing.assert_array_equal(found.begins[:4], [2200, 2200, 13200, 24200])
    # Two quarters under the fermata take three.
    is_held = SCORE.begins == 2
    np.testing.assert_array_equal((found.ends - found.begins)[is_held], 3 * HERTZ)
    assert found.begins[-1] == 2200 + 5 * HERTZ


def test_held_times_are_stretched_within_fermatas_only():
    holds = np.array([[1.0, 2.0], [4.0, 4.5]])
    found = performance.held(np.array([0, 1, 1.5, 2, 4, 4.25, 6]), holds, 2.0)
    np.testing.assert_allclose(found, [0, 1, 2, 3, 5, 5.5, 7.5])
    times = np.arange(4.0)
    np.testing.assert_array_equal(performance.held(times, np.empty((0, 2)), 2), times)


def test_only_what_is_transposed_is_played_in_another_key():
    keys = set()
    for seed in range(60):
        plain, moved = played(seed), played(seed, is_transposed=True)
        np.testing.assert_array_equal(plain.pitches, SCORE.pitches)
        np.testing.assert_array_equal(
            moved.pitches, SCORE.pitches + moved.transposition
        )
        np.testing.assert_array_equal(plain.begins, moved.begins)
        keys.add(moved.transposition)
    assert keys == set(range(-5, 7))


def test_numbers_are_drawn_from_their_ranges():
    found = [played(seed) for seed in range(40)]
    for low, high, numbers in (
        (*performance.TEMPI, [one.tempo for one in found]),
        (*performance.TUNINGS, [one.tuning for one in found]),
        (*performance.LEADS, [one.begins.min() / HERTZ for one in found]),
    ):
        assert low <= min(numbers) and max(numbers) <= high + 0.041
        assert max(numbers) - min(numbers) > 0.6 * (high - low)
    decibels = 20 * np.log10([one.gains for one in found])
    assert np.max(np.abs(decibels)) <= 8


def test_tuning_is_in_cents():
    found = played()
    sharp = 1200 * np.log2(found.hertz[SCORE.pitches == 72] / 523.2511)
    np.testing.assert_allclose(sharp, found.tuning, atol=1e-3)


@pytest.mark.parametrize("is_unseen", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_sound_begins_with_its_label_and_goes_on_past_its_end(
    monkeypatch, seed, is_unseen
):
    monkeypatch.setattr(rendering, "SIGNAL_TO_NOISE", (200, 200))
    # Echoes so weak that each note begins in silence.
    quiet = rooms.Room((0.1, 0.1), (1, 1), (90, 90))
    for part in ("SEEN", "UNSEEN"):
        monkeypatch.setattr(rooms, part, {"quiet": quiet})
    found = rendering.render(APART, seed, is_unseen=is_unseen)
    sound, peak = np.abs(found.audio), np.max(np.abs(found.audio))
    for begin, end in zip(
        found.performance.begins, found.performance.ends, strict=True
    ):
        before = sound[begin - 50 : begin + 1].max()
        assert before < 1e-4 * peak
        assert sound[begin + 1 : begin + MILLISECOND + 1].max() > max(
            10 * before, 1e-5 * peak
        )
        assert sound[begin + 20 * MILLISECOND : end].max() > 0.02 * peak
        assert sound[end : end + 10 * MILLISECOND].max() > 1e-3 * peak


def test_before_the_first_note_there_is_nothing_but_noise(monkeypatch):
    monkeypatch.setattr(rendering, "SIGNAL_TO_NOISE", (200, 200))
    for seed in range(4):
        found = rendering.render(SCORE, seed)
        before = found.audio[: found.performance.begins.min()]
        assert np.max(np.abs(before)) < 1e-6


@pytest.mark.parametrize("decibels", [20, 35])
def test_noise_is_as_far_below_the_sound_as_drawn(monkeypatch, decibels):
    monkeypatch.setattr(performance, "LEADS", (5, 5))
    monkeypatch.setattr(rendering, "SIGNAL_TO_NOISE", (decibels, decibels))
    monkeypatch.setattr(rendering, "COLOURS", (0, 0))
    found = rendering.render(SCORE, 3)
    assert found.signal_to_noise == decibels
    power = np.mean(np.square(found.audio, dtype=float))
    noise = np.mean(np.square(found.audio[: 5 * HERTZ - 10], dtype=float))
    assert 10 * np.log10((power - noise) / noise) == pytest.approx(decibels, abs=0.3)


def test_no_sound_is_clipped_and_all_is_finite():
    low, high = rendering.PEAKS
    for seed in range(8):
        audio = rendering.render(SCORE, seed, is_unseen=seed % 2 == 1).audio
        assert audio.dtype == np.float32 and np.all(np.isfinite(audio))
        assert low - 1e-6 <= np.max(np.abs(audio)) <= high + 1e-6


def test_the_unseen_play_the_same_notes():
    for seed in range(4):
        seen = rendering.render(SCORE, seed)
        unseen = rendering.render(SCORE, seed, is_unseen=True)
        for name in ("begins", "ends", "pitches", "gains"):
            np.testing.assert_array_equal(
                getattr(seen.performance, name), getattr(unseen.performance, name)
            )
        assert set(seen.families) <= set(instruments.SEEN)
        assert set(unseen.families) <= set(instruments.UNSEEN)
        assert seen.room in rooms.SEEN and unseen.room in rooms.UNSEEN


def test_all_families_and_rooms_are_heard():
    found = [rendering.render(APART, seed) for seed in range(40)]
    assert {name for one in found for name in one.families} == set(instruments.SEEN)
    assert {one.room for one in found} == set(rooms.SEEN)
    solo = [rendering.render(SCORE, seed).families for seed in range(20)]
    assert {len(set(families)) for families in solo} == {1, 2}
