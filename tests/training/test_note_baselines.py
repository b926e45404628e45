"""Baselines of networks for notes against rules written out."""

import types

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from training import baselines, compare, note_baselines, train
from training import config as configs
from training.data.recordings import HERTZ, LOWEST_NOTE, NOTES, Recordings, Writer
from training.windows import Windows

SECOND = HERTZ
MAJOR = (0, 4, 7, 5, 9, 11, 2)


def recorded(folder, tunes):
    """Recordings of notes of a second each."""
    with Writer(folder) as writer:
        for number, tune in enumerate(tunes):
            begins = SECOND * np.arange(len(tune))
            sound = np.zeros(SECOND * len(tune))
            writer.add(f"r{number}", [sound], begins, begins + SECOND, tune)
    return Recordings.open(folder)


def scale(tonic, intervals, times=(4, 3, 3, 1, 1, 1, 1)):
    return [
        tonic + step
        for step, count in zip(intervals, times, strict=True)
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("tune", "key"),
    [
        (scale(60, MAJOR), 0),  # C major
        (scale(67, MAJOR), 7),  # G major
        (scale(57, (0, 3, 7, 5, 8, 10, 2)), 12 + 9),  # A minor
        (scale(62, (0, 3, 7, 5, 8, 10, 2)), 12 + 2),  # D minor
    ],
)
def test_keys_of_plain_tunes_are_found(tmp_path, tune, key):
    assert note_baselines.keys(recorded(tmp_path / "tunes", [tune])) == [key]


@pytest.fixture
def run(tmp_path):
    """Training in C and G major, a test in D major that has every interval of them."""
    recordings = {
        "train": recorded(tmp_path / "train", [scale(60, MAJOR), scale(67, MAJOR)]),
        "test": recorded(tmp_path / "test", [scale(62, MAJOR)]),
    }
    test = recordings["test"]
    middles = np.arange(SECOND // 2, len(test.audio), SECOND)
    data = types.SimpleNamespace(
        recordings=recordings,
        held_out=["test"],
        labels=lambda split: (np.zeros(len(middles), int), test.labels(middles)),
        metrics=lambda split: Windows.metrics(data, split),
    )
    return types.SimpleNamespace(data=data)


def test_the_note_prior_scores_by_how_often_notes_are_played(run):
    row = note_baselines.note_prior(run)
    rates = np.zeros(NOTES)
    for tonic in (60, 67):
        for note in scale(tonic, MAJOR):
            rates[note - LOWEST_NOTE] += 1
    _, labels = run.data.labels("test")
    scores = np.broadcast_to(rates, labels.shape)
    expected = average_precision_score(labels.ravel(), scores.ravel())
    assert row.test == pytest.approx(expected)
    assert row.validation is None
    present = rates > 0
    # A float for each note that sounds.
    assert row.numbers == present.sum() and row.bytes > 4 * row.numbers
    expected = average_precision_score(
        labels[:, present].ravel(), scores[:, present].ravel()
    )
    assert row.more == {"notes of training": pytest.approx(expected)}


def test_the_key_tells_which_notes_to_expect(run):
    row = note_baselines.key_prior(run)
    tune = scale(62, MAJOR)
    # In D, every note is as frequent as its interval was in C and in G.
    _, labels = run.data.labels("test")
    rates = np.bincount(np.array(tune) - LOWEST_NOTE, minlength=NOTES)
    scores = np.broadcast_to(rates, labels.shape)
    expected = average_precision_score(labels.ravel(), scores.ravel())
    assert row.test == pytest.approx(expected)
    assert row.test > note_baselines.note_prior(run).test


def test_the_network_on_log_frequencies_scores_all_notes():
    network = note_baselines.log_frequency_network(1024, 2)
    sound = np.random.default_rng(0).normal(size=(3, 1024)).astype(np.float32)
    logits = network.predict(sound, verbose=0)
    assert logits.shape == (3, NOTES) and np.all(np.isfinite(logits))


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory):
    """A short run on a few synthetic sounds."""
    folder = tmp_path_factory.mktemp("run")
    recipe = train.quick(configs.get("musicnet_deep_complex_vd_chorales"))
    train.run(recipe, folder, quiet=True)
    return baselines.Run.open(folder)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uncompressed", *compare.NOTE_BASELINES])
def test_all_rows_of_a_comparison_are_made(quick_run, kind):
    row = compare.make_row(quick_run.workdir, kind)
    assert set(row.more) == {"notes of training", "unseen"}
    scores = [row.test, row.validation, *row.more.values()]
    assert all(0 < score < 1 for score in scores)
    assert row.numbers > 0 and row.bytes > 0


@pytest.mark.slow
def test_a_row_whose_smallest_network_is_too_large_says_so(quick_run, monkeypatch):
    monkeypatch.setattr(baselines.Run, "budget", lambda run: 10)
    row = note_baselines.log_frequency(quick_run)
    assert row.name == "log-frequency spectrum, small CNN (smallest)"
