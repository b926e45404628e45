"""Videos as data of recipes: their batches and their scores."""

import copy
import dataclasses
import shutil
import types
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

import cvzoo
from cvzoo.layers import FrameSampler
from tests.training.synthetic_videos import CHORDS, FRAMES, MEANS, quick
from training import (
    compare,
    datasets,
    sharing,
    stages,
    train,
    videos,
)
from training import config as configs
from training.cluster import DistributionError
from training.data import DamagedDataError, DataError


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
    config = quick(CHORDS)
    config["model"] |= {"bags": 2, "frames": 3}
    data = datasets.open_data(config)
    keras.utils.set_random_seed(0)
    model = cvzoo.create_model(**config["model"])
    (sampler,) = (one for one in model.layers if isinstance(one, FrameSampler))
    state = sampler.seed_generator.state.numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = data.scores(model), data.scores(model)
    assert first == second
    # Of other frames than the evaluation's.
    assert first["test_random_frames"] != first["test"]
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
    with pytest.raises(ValueError, match="has no sound. Set `model.audio` to False"):
        train.run(config, tmp_path, quiet=True)


def test_replicas_together_see_what_one_device_would():
    """Over two epochs whose last batches are short."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    config = quick(CHORDS, batch_size=6, steps=0)
    alone = list(datasets.open_data(config).training(2))
    shared = iter(datasets.open_data(config, strategy).training(2))
    local = strategy.experimental_local_results
    assert len(alone) == 6
    for inputs, labels in alone:
        (rgb, count), shares, weights = next(shared)
        np.testing.assert_array_equal(np.concatenate(local(shares)), labels)
        np.testing.assert_array_equal(np.concatenate(local(rgb)), inputs[0])
        np.testing.assert_array_equal(np.concatenate(local(count)), inputs[1])
        # Of Keras' mean over each share, and then over replicas.
        totals = [np.sum(one) / len(one) for one in local(weights)]
        np.testing.assert_allclose(sum(totals), 2)


def test_workers_have_full_batches_of_videos_of_their_own():
    data = datasets.open_data(quick(MEANS, batch_size=6, steps=3))
    seen = []
    for index in range(2):
        batches = list(data._epochs(0, 2, 3, (index, 2)))
        # One for each of an epoch's steps, in passes as many as that takes.
        assert [len(labels) for _, labels in batches] == [3] * 6
        seen.append({one.numpy().tobytes() for means, _ in batches for one in means})
    assert seen[0].isdisjoint(seen[1])


def test_a_worker_without_a_whole_batch_is_told_of():
    data = datasets.open_data(quick(MEANS))
    with pytest.raises(DataError, match="Worker 1 of 2 has .* a batch of 1000"):
        data._epochs(0, 1, 1000, (1, 2))


def test_an_epoch_on_replicas_can_be_gone_on_with():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    data = datasets.open_data(quick(CHORDS, batch_size=6, steps=0), strategy)
    local = strategy.experimental_local_results

    def labels(batches, count):
        batches = iter(batches)
        return [np.concatenate(local(next(batches)[1])) for _ in range(count)]

    whole, rest = labels(data.training(3), 9), labels(data.training(3, first=1), 6)
    for one, other in zip(whole[3:], rest, strict=True):
        np.testing.assert_array_equal(one, other)


def test_passes_of_an_epoch_have_orders_of_their_own():
    data = datasets.open_data(quick(CHORDS, batch_size=16, steps=2))
    first, second = (labels.numpy() for _, labels in data.training(1))
    assert not np.array_equal(first, second)
    assert sorted(map(tuple, first)) == sorted(map(tuple, second))


def test_scores_on_replicas_are_those_of_one_device(monkeypatch):
    """Of several batches whose videos are padded to different lengths."""
    monkeypatch.setattr(videos, "EVALUATED", 5)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    config = quick(CHORDS)
    data, alone = datasets.open_data(config, strategy), datasets.open_data(config)
    sizes = [len(labels) for _, labels in alone.evaluation("test")[0]]
    assert sizes == [5, 5, 5, 1]
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = cvzoo.create_model(**config["model"])
    assert data.scores(model) == pytest.approx(alone.scores(model), abs=1e-6)


@given(
    count=st.integers(1, 300), largest=st.integers(1, 64), replicas=st.integers(1, 9)
)
def test_every_replica_has_an_example_of_the_last_batch(count, largest, replicas):
    strategy = types.SimpleNamespace(num_replicas_in_sync=replicas)
    possible = [
        size
        for size in range(replicas, min(largest, count) + 1)
        if count % size == 0 or count % size >= replicas
    ]
    if possible:
        assert sharing.evaluation_size(count, largest, strategy) == max(possible)
    else:
        with pytest.raises(DistributionError, match="cannot be shared out"):
            sharing.evaluation_size(count, largest, strategy)


def test_videos_that_are_gone_are_told_when_they_are_scored(tmp_path):
    """What would be scored is not what the set had when it was prepared."""
    config = quick(CHORDS)
    data = datasets.open_data(config)
    shutil.copyfile(data.videos["test"].files[0], tmp_path / "test00.tfrecord")
    data.videos["test"] = dataclasses.replace(
        data.videos["test"], files=(str(tmp_path / "test00.tfrecord"),)
    )
    with open(tmp_path / "test00.tfrecord", "r+b") as file:
        file.truncate(20_000)
    model = cvzoo.create_model(**config["model"])
    with pytest.raises(DamagedDataError, match="Fewer videos of split 'test'"):
        data.scores(model)


def test_clipping_by_variable_is_kept_with_presets(tmp_path):
    config = quick(MEANS)
    model = cvzoo.create_model(**config["model"])
    stages.compile_for(model, config)
    assert (model.optimizer.clipnorm, model.optimizer.global_clipnorm) == (1.0, None)
    settings = stages.compile_settings(config)
    cvzoo.save_preset(model, tmp_path / "preset", name="means", compile=settings)
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


def test_videos_without_labels_have_predictions():
    """The shards of a competition's test partition are the split `inference`."""
    found = videos.videos_of(quick(FRAMES), "inference")
    assert found.count == 16 and "test00" in found.files[0]


def test_classes_of_another_vocabulary_are_called_by_numbers():
    config = quick(MEANS, classes=4716)
    config["model"]["classes"] = 4716
    data = datasets.open_data(config)
    data.check_fits(config["model"])
    assert data.classes == [str(number) for number in range(4716)]


@pytest.mark.parametrize("kind", ["dbof", "netvlad", "netfv"])
def test_rivals_have_at_most_as_many_numbers(kind):
    def count(block):
        model = configs.get(f"video_classifier_{kind}_{block}_chorale_chords")["model"]
        return cvzoo.create_model(**model).count_params()

    ours = count("fc_dc")
    for block in ("fc_low_rank", "fc_small"):
        assert 0.8 * ours < count(block) <= ours
    for rival, block in (
        ("embedding_low_rank", "embedding_dc"),
        ("moe_low_rank", "moe_dc"),
    ):
        assert 0.99 * count(block) < count(rival) <= count(block)
    pruned = configs.get(f"video_classifier_{kind}_fc_magnitude_chorale_chords")
    (term,) = pruned["stages"]["sparsify"]["sparsifiers"]
    model = cvzoo.create_model(**pruned["model"])
    kernel = model.get_layer("fc_rgb").kernel.shape
    assert kernel[0] * kernel[1] * (1 - term["sparsity"]) == 2 * kernel[0]


def test_blocks_are_compared_with_the_dense_network_of_their_aggregation():
    dense = "video_classifier_netvlad_chorale_chords"
    planned, ours = compare.plan(configs.get(CHORDS))
    assert next(recipe for recipe, _ in planned) == dense
    assert all(recipe.startswith("video_classifier_netvlad_") for recipe, _ in planned)
    kinds = [job[0] for job in dict(planned)[dense]]
    assert "mean_frame_linear" in kinds and "label_prior" in kinds
    assert ours[0] == "NetVLAD, DC FC"
    # No validation videos to choose its penalty by.
    planned, _ = compare.plan(configs.get("dcnn_youtube8m"))
    kinds = [job[0] for _, jobs in planned for job in jobs]
    assert "mean_frame_linear" not in kinds
