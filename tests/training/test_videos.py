"""Videos as data of recipes: their batches, their scores, their predictions."""

import copy
import csv
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import cvzoo
from cvzoo.layers import FrameSampler
from training import config as configs
from training import datasets, predict_videos, stages, train, video_baselines, videos
from training.baselines import Run
from training.cluster import DistributionError
from training.video_baselines import mean_frames

FRAMES = "dbof_audio_fc_dc_youtube8m"
MEANS = "dcnn_depth4_youtube8m"
CHORDS = "netvlad_fc_dc_chorale_chords"


def quick(name, **data):
    """A tiny recipe of synthetic videos."""
    config = train.quick(configs.get(name))
    config["data"] |= data
    return config


@pytest.fixture(scope="module")
def chords():
    return datasets.open_data(quick(CHORDS))


def batches(data, epochs, first=0):
    return [
        [one.numpy() for one in keras.tree.flatten(batch)]
        for batch in data.training(epochs, first).take((epochs - first) * 2)
    ]


def test_networks_of_frames_and_of_means_get_what_they_take():
    (rgb, audio, count, labels), *_ = batches(datasets.open_data(quick(FRAMES)), 1)
    assert rgb.dtype == audio.dtype == np.uint8
    # Eight videos in halves.
    assert rgb.shape[::2] == (16, 1024) and audio.shape[::2] == (16, 128)
    assert labels.shape == (16, 3862)
    np.testing.assert_array_equal(labels[:8], labels[8:])
    assert np.all((count[:8] - count[8:] == 0) | (count[:8] - count[8:] == 1))
    (means, labels), *_ = batches(datasets.open_data(quick(MEANS)), 1)
    assert means.shape == (8, 1152) and means.dtype == np.float32


def test_an_epoch_depends_on_seed_and_number_only(chords):
    both, second = batches(chords, 2), batches(chords, 2, first=1)
    for left, right in zip(both[2:], second, strict=True):
        for one, other in zip(left, right, strict=True):
            np.testing.assert_array_equal(one, other)
    assert not np.array_equal(both[0][-1], both[2][-1])


def test_without_steps_an_epoch_has_each_video_once():
    data = datasets.open_data(quick(CHORDS, steps=0, batch_size=5))
    assert (data.n_train, data.steps_per_epoch) == (16, 4)
    found = [batch[-1] for batch in map(keras.tree.flatten, data.training(1))]
    assert [len(labels) for labels in found] == [5, 5, 5, 1]
    expected = sorted(map(tuple, data.labels("train")))
    assert sorted(map(tuple, np.concatenate(found))) == expected


def test_scores_are_those_of_the_predictions(chords):
    config = quick(CHORDS)
    keras.utils.set_random_seed(0)
    model = cvzoo.create_model(**config["model"])
    found = chords.scores(model)
    inputs, labels = chords.arrays("test")
    scores = model.predict(inputs, verbose=0)
    # GAP with 36 classes, written out; there are no ties.
    best = np.argsort(-scores, axis=1)[:, :20]
    kept = np.take_along_axis(scores, best, axis=1).ravel()
    right = np.take_along_axis(labels, best, axis=1).ravel()[np.argsort(-kept)]
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    assert found["test"] == pytest.approx(np.sum(precision * right) / labels.sum())
    hits = labels[np.arange(len(labels)), scores.argmax(axis=1)]
    assert found["test_Hit@1"] == pytest.approx(hits.mean())
    assert set(found) == {"validation", "test", "test_MAP", "test_Hit@1", "test_PERR"}


def test_scores_with_random_frames_leave_the_network_as_it_is():
    config = quick(FRAMES)
    data = datasets.open_data(config)
    keras.utils.set_random_seed(0)
    model = cvzoo.create_model(**config["model"])
    (sampler,) = (one for one in model.layers if isinstance(one, FrameSampler))
    state = sampler.seed_generator.state.numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = data.scores(model), data.scores(model)
    assert first == second and "test_random_frames" in first
    assert sampler.evaluation == "even"
    np.testing.assert_array_equal(sampler.seed_generator.state.numpy(), state)


@pytest.mark.parametrize(
    ("name", "key", "value", "wanted"),
    [
        (CHORDS, "features", 128, "`model.features` must be 256"),
        (CHORDS, "classes", 5, "`model.classes` must be 36"),
        (FRAMES, "audio_features", 64, "`model.audio_features` must be 128"),
        (MEANS, "input_shape", [1024], r"`model.input_shape` must be \[1152\]"),
    ],
)
def test_networks_must_fit_the_videos(name, key, value, wanted):
    config = quick(name)
    config["model"][key] = value
    with pytest.raises(ValueError, match=wanted):
        datasets.open_data(config).check_fits(config["model"])


def test_sound_is_refused_where_there_is_none(tmp_path):
    config = quick(CHORDS)
    config["model"]["audio"] = True
    with pytest.raises(ValueError, match="sound|audio"):
        train.run(config, tmp_path, quiet=True)


def test_replicas_get_equal_shares():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    config = quick(CHORDS, batch_size=6)
    data = datasets.open_data(config, strategy)
    local = strategy.experimental_local_results
    (_, labels) = next(iter(data.training(1)))
    assert [len(one) for one in local(labels)] == [3, 3]
    alone = datasets.open_data(config)
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = cvzoo.create_model(**config["model"])
    assert data.scores(model) == pytest.approx(alone.scores(model), abs=1e-6)


def test_shares_of_different_sizes_are_refused():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    data = datasets.open_data(quick(CHORDS, batch_size=5), strategy)
    with pytest.raises(DistributionError, match="multiple of 2"):
        data.training(1)


def test_clipping_by_variable_is_kept_with_presets(tmp_path):
    config = quick(MEANS)
    model = cvzoo.create_model(**config["model"])
    stages.compile_for(model, config)
    assert (model.optimizer.clipnorm, model.optimizer.global_clipnorm) == (1.0, None)
    cvzoo.save_preset(model, tmp_path / "preset", name="means")
    again = cvzoo.from_preset(tmp_path / "preset")
    assert again.optimizer.clipnorm == 1.0
    # Of each variable alone: a large gradient of one leaves the other's as it is.
    optimizer = model.optimizer
    clipped = optimizer._clip_gradients([np.ones(4, "f4") * 5, np.ones(1, "f4") / 2])
    assert np.linalg.norm(clipped[0]) == pytest.approx(1, rel=1e-5)
    assert float(clipped[1][0]) == 0.5


def test_both_ways_of_clipping_are_refused():
    config = copy.deepcopy(configs.get(MEANS))
    config["optimizer"]["global_clipnorm"] = 1.0
    with pytest.raises(configs.ConfigError, match="exclude each other"):
        configs.check(config)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on synthetic chords."""
    folder = tmp_path_factory.mktemp("run")
    config = quick(CHORDS)
    config["stages"]["train"]["epochs"] = 1
    train.run(config, folder, quiet=True)
    return folder


def test_a_mean_frame_is_of_the_frames_that_count(chords):
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
    # The best of each video are the 20 most frequent; order among equal rates is open.
    metric = cvzoo.GlobalAveragePrecision()
    metric.update_state(labels, np.broadcast_to(rates, labels.shape))
    assert row.test == metric.result()


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


def test_videos_without_labels_have_predictions():
    """The shards of a competition's test partition are the split `inference`."""
    found = videos.videos_of(quick(FRAMES), "inference")
    assert found.count == 16 and "test00" in found.files[0]
