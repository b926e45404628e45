"""What is made of a finished run on videos: baselines, and predictions."""

import csv
import dataclasses
import json

import numpy as np
import pytest

import cvzoo
from tests.training.synthetic_videos import CHORDS, quick
from training import datasets, predict_videos, train, video_baselines, videos
from training.baselines import Run
from training.video_baselines import mean_frames


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on synthetic chords."""
    folder = tmp_path_factory.mktemp("run")
    config = quick(CHORDS)
    config["stages"]["train"]["epochs"] = 1
    train.run(config, folder, quiet=True)
    return folder


def test_a_mean_frame_is_of_the_frames_that_count():
    chords = datasets.open_data(quick(CHORDS))
    (rgb, count), _ = chords.arrays("test")
    found = mean_frames(chords, "test")
    for row, frames, frames_that_count in zip(found, rgb, count, strict=True):
        features = frames[:frames_that_count] * (4 / 255) + (4 / 512 - 2)
        np.testing.assert_allclose(row, features.mean(axis=0), rtol=1e-6, atol=1e-9)


def test_the_label_prior_scores_all_videos_alike(run):
    row = video_baselines.label_prior(Run.open(run))
    data = datasets.open_data(quick(CHORDS))
    labels, rates = data.labels("test"), data.labels("train").mean(axis=0)
    assert row.numbers == np.count_nonzero(rates)
    json.dumps(dataclasses.asdict(row))  # As it is kept.
    # Which of equal rates are among the best 20, and their order, is open.
    bounds = []
    for sign in (-1, 1):
        best = np.lexsort((-sign * labels.sum(axis=0), -rates))[:20]
        scores = np.broadcast_to(rates[best], (len(labels), 20))
        right = labels[:, best]
        order = np.lexsort((-sign * right.ravel(), -scores.ravel()))
        right = right.ravel()[order]
        precision = np.cumsum(right) / np.arange(1, len(right) + 1)
        bounds.append(np.sum(precision * right) / labels.sum())
    assert bounds[0] - 1e-9 <= row.test <= bounds[1] + 1e-9


def test_regression_hears_more_than_the_prior(run, monkeypatch):
    """Planted directions are in the mean frame too."""
    monkeypatch.setattr(video_baselines, "PENALTIES", (0.01, 1.0))
    opened = Run.open(run)
    labels = opened.data.labels("train")
    constant = np.flatnonzero(labels.min(axis=0) == labels.max(axis=0))
    row = video_baselines.mean_frame_linear(opened)
    assert row.test > video_baselines.label_prior(opened).test
    assert row.numbers <= 256 * (36 - len(constant)) + 36 + 2 * 256


def test_predictions_are_the_competitions_csv(run, tmp_path):
    path = tmp_path / "made" / "predictions.csv"
    arguments = [str(run / "preset"), "--split", "test", "--out", str(path)]
    assert predict_videos.main([*arguments, "--top", "5"]) == 0
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["VideoId", "LabelConfidencePairs"]
    data = datasets.open_data(quick(CHORDS))
    inputs, _ = data.arrays("test")
    scores = cvzoo.from_preset(run / "preset").predict(inputs, verbose=0)
    assert len(rows) == len(scores) == len({name for name, _ in rows})
    for (_, pairs), row in zip(rows, scores, strict=True):
        places, values = np.array(pairs.split(), float).reshape(-1, 2).T
        assert len(places) == 5 and np.all(np.diff(values) <= 0)
        np.testing.assert_allclose(values, np.sort(row)[::-1][:5], rtol=1e-5)
        np.testing.assert_allclose(row[places.astype(int)], values, rtol=1e-5)
    assert not list(path.parent.glob("*.part"))


def test_videos_that_cannot_be_read_are_missing_from_predictions(
    run, tmp_path, monkeypatch, capsys
):
    found = videos.videos_of(quick(CHORDS), "test")
    more = dataclasses.replace(
        found,
        files=(*found.files, str(tmp_path / "gone.tfrecord")),
        counts=(*found.counts, 5),
    )
    monkeypatch.setattr(videos, "videos_of", lambda *_: more)
    path = tmp_path / "predictions.csv"
    assert predict_videos.main([str(run / "preset"), "--out", str(path)]) == 0
    printed = capsys.readouterr()
    assert f"5 of {more.count} videos are missing" in printed.err
    assert "TensorFlow's log above names their files" in printed.err
    assert f"{found.count} videos: {path}" in printed.out
    assert len(path.read_text().splitlines()) == 1 + found.count


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--split", "inference"], "`split` must be one of"),
        (["--top", "0"], "`--top` must be positive"),
    ],
)
def test_predictions_that_cannot_be(run, tmp_path, capsys, extra, message):
    arguments = [str(run / "preset"), "--out", str(tmp_path / "p.csv"), *extra]
    assert predict_videos.main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_presets_of_other_data_predict_no_videos(tmp_path, capsys):
    name = cvzoo.list_presets()[0].name
    assert predict_videos.main([name, "--out", str(tmp_path / "p.csv")]) == 2
    assert "does not label videos" in capsys.readouterr().err
