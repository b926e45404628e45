"""Several replicas and workers learn what one device learns."""

import argparse
import functools
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.helpers import two_replicas

if keras.backend.backend() != "tensorflow":
    pytest.skip("tf.distribute is TensorFlow's", allow_module_level=True)

import tensorflow as tf

import cvzoo
from tests.training import cluster_worker
from training import (
    agreement,
    datasets,
    distribution,
    keras_gaps,
    sharing,
    stages,
    train,
)
from training import config as configs
from training.cluster import DistributionError, free_ports
from training.distribution import Settings

ROOT = Path(__file__).parent.parent.parent


@functools.cache
def one_device(name):
    return cluster_worker.learn(tf.distribute.get_strategy(), name)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """What two workers on this machine found, by worker."""
    folder = tmp_path_factory.mktemp("cluster")
    command = [sys.executable, "-m", "training.launch", "--local", "2"]
    launcher = subprocess.Popen(
        [*command, "--module", "tests.training.cluster_worker", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output, _ = launcher.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        launcher.send_signal(signal.SIGTERM)  # It ends its workers.
        pytest.fail(f"Two workers did not end: {launcher.communicate()[0][-3000:]}")
    assert launcher.returncode == 0, output[-3000:]
    found = [dict(np.load(folder / f"worker{index}.npz")) for index in (0, 1)]
    found[0]["folder"] = folder
    return found


@pytest.mark.slow
def test_a_worker_whose_peer_is_killed_says_so_and_ends(tmp_path):
    addresses = ",".join(f"127.0.0.1:{port}" for port in free_ports(2))
    recipe = "two_layer_dense_complex_vd_digits"
    command = [sys.executable, "-m", "training.train", recipe]
    command += ["--workdir", str(tmp_path / "run"), "--workers", addresses]
    first, second = (
        subprocess.Popen(
            [*command, "--index", str(index)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in (0, 1)
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "checkpoint.safetensors").exists():
        assert time.monotonic() < deadline and first.poll() is None
        time.sleep(0.1)
    second.kill()
    second.communicate()
    _, errors = first.communicate(timeout=120)
    assert first.returncode == 3
    assert "Another worker ended or cannot be reached. Start the same" in errors


def assert_same_training(found, expected):
    assert set(found) == set(expected)
    for key, value in expected.items():
        if key == "training kl":
            # Its mean over steps counts a last batch of one example as of two.
            np.testing.assert_allclose(found[key], value, rtol=1e-3)
        elif key == "accuracy":
            assert found[key] == value
        else:
            np.testing.assert_allclose(found[key], value, atol=1e-5, err_msg=key)


def assert_same_scores(found, expected):
    for split, by_stage in expected.items():
        # An example or two may be a tie but for rounding.
        assert found[split] == pytest.approx(by_stage, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["two replicas", "two workers"])
def test_a_whole_run_gives_what_one_device_gives(tmp_path, request, kind):
    one = tf.distribute.get_strategy()
    scores, expected = cluster_worker.whole_run(one, tmp_path / "one")
    if kind == "two replicas":
        folder = tmp_path / "two"
        cluster_worker.whole_run(two_replicas(), folder)
    else:
        # The run is there: this reads what the first worker has kept.
        folder = request.getfixturevalue("cluster")[0]["folder"] / "run"
    found_scores, found = cluster_worker.whole_run(one, folder)
    assert_same_scores(found_scores, scores)
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)


@pytest.mark.slow
def test_batch_norm_of_a_recipe_s_network_is_that_of_one_device():
    config = train.quick(configs.get("radio_net_complex_vd_radio"))
    one, two = (
        stages.pretrain(config, datasets.open_data(config, strategy), quiet=True)
        for strategy in (tf.distribute.get_strategy(), two_replicas())
    )
    assert_same_scores(one.scores, two.scores)
    for left, right in zip(
        one.model.get_weights(), two.model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(left, right, atol=1e-4)


def test_a_network_from_one_device_is_synchronized_when_two_go_on():
    config = train.quick(configs.get("radio_net_complex_vd_radio"))
    model = cvzoo.create_model(**config["model"])
    stages.compile_for(model, config, two_replicas())
    norms = [layer for layer in model.layers if hasattr(layer, "synchronized")]
    assert norms and all(layer.synchronized for layer in norms)


def test_learning_from_a_teacher_is_for_one_device():
    config = train.quick(configs.get("dcnn_distilled_digits"))
    with pytest.raises(DistributionError, match="a teacher works on one device"):
        stages.pretrain(config, datasets.open_data(config, two_replicas()), quiet=True)


@pytest.mark.parametrize("name", cluster_worker.MODELS)
def test_two_replicas_learn_what_one_device_learns(name):
    found = cluster_worker.learn(two_replicas(), name)
    assert_same_training(found, one_device(name))


@pytest.mark.parametrize("name", cluster_worker.MODELS)
def test_two_workers_learn_what_one_device_learns(cluster, name):
    for worker in cluster:
        found = {
            key.removeprefix(f"{name}/"): value
            for key, value in worker.items()
            if key.startswith(f"{name}/")
        }
        assert_same_training(found, one_device(name))


def assert_independent(noise):
    """Draws of `(replicas, steps, size)` are standard normal and uncorrelated."""
    rows = noise.reshape(-1, noise.shape[-1])
    # Five standard deviations of each estimate.
    bound = 5 / np.sqrt(rows.shape[1])
    assert np.abs(rows.mean(1)).max() < bound
    assert np.abs(rows.var(1) - 1).max() < bound * np.sqrt(2)
    assert np.abs(np.corrcoef(rows) - np.eye(len(rows))).max() < bound


def test_noise_of_replicas_is_independent_and_comes_again():
    first, second = (cluster_worker.noise(two_replicas()) for _ in range(2))
    assert first.shape == (2, 3, 20000)
    assert_independent(first)
    np.testing.assert_array_equal(first, second)


def test_noise_of_workers_is_independent(cluster):
    assert_independent(cluster[0]["noise"])
    # That of two replicas of one process.
    np.testing.assert_array_equal(
        cluster[0]["noise"], cluster_worker.noise(two_replicas())
    )


@pytest.mark.parametrize("case", cluster_worker.CASES_OF_SCORES)
def test_each_worker_has_the_scores_of_all(cluster, case):
    metric = cvzoo.PooledAveragePrecision()
    for labels, scores in cluster_worker.shares_of_scores(case):
        metric.update_state(labels, scores)
    state = metric.get_state()
    for worker in cluster:
        result, *scores = worker[f"pooled, {case}"]
        assert result == metric.result()
        positives, negatives = np.split(np.array(scores), [len(state["positives"])])
        np.testing.assert_array_equal(np.sort(positives), np.sort(state["positives"]))
        np.testing.assert_array_equal(np.sort(negatives), np.sort(state["negatives"]))


@pytest.mark.parametrize("case", cluster_worker.CASES_OF_SCORES)
def test_each_worker_has_the_videos_of_all(cluster, case):
    shares = cluster_worker.shares_of_scores(case)
    labels, scores = (
        np.concatenate(each).reshape(-1, 5) for each in zip(*shares, strict=True)
    )
    metrics = [kind() for kind in cluster_worker.RANKED]
    for metric in metrics:
        metric.update_state(labels, scores)
    for worker in cluster:
        found = worker[f"ranked, {case}"].tolist()
        assert found == [metric.result() for metric in metrics]


def test_workers_evaluate_what_one_device_does(cluster):
    expected = cluster_worker.evaluated(tf.distribute.get_strategy())
    first, second = (worker["average precisions"] for worker in cluster)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, expected, atol=1e-4)


def test_workers_of_different_recipes_say_which_differs(cluster):
    for worker in cluster:
        message = str(worker["disagreement"])
        assert "worker 1 has recipe.seed = 1, worker 0 has 0" in message
        assert "epochs" not in message


def test_other_versions_are_named():
    facts = {0: {"versions": {"keras": "3.15.1"}}, 1: {"versions": {"keras": "3.16"}}}
    with pytest.raises(DistributionError, match="worker 1 has versions.keras = '3.16'"):
        agreement.compare(facts)
    agreement.compare({0: facts[0], 1: facts[0]})


def test_one_worker_writes_and_each_has_files_of_its_own(cluster):
    assert [bool(worker["is chief"]) for worker in cluster] == [True, False]
    found = [np.asarray(worker["files"]).tolist() for worker in cluster]
    assert found == [[[0, 2]] * 2, [[1, 2]] * 2]
    for worker in cluster:
        assert "multiple of 2" in str(worker["unequal"])


def test_keras_itself_still_fails_on_several_workers(cluster):
    for worker in cluster:
        assert "PerReplica" in str(worker["stock"]), (
            "Keras trains on several workers by itself now: take that part out of "
            "training/keras_gaps.py."
        )


def test_a_port_in_use_is_told_before_workers_are_joined(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(DistributionError, match=f"{address}.*in use"):
            distribution.multi_worker([address, "127.0.0.1:1"], 0)


def test_slurm_numbers_hosts_as_it_lists_them(monkeypatch):
    for name, value in {
        "SLURM_PROCID": "2",
        "SLURM_JOB_ID": "7",
        "SLURM_STEP_NUM_TASKS": "3",
        "SLURM_STEP_NODELIST": "n[2,10]",
        "SLURM_STEP_TASKS_PER_NODE": "2,1",
    }.items():
        monkeypatch.setenv(name, value)
    addresses = ["n2:10007", "n2:10008", "n10:10007"]
    assert distribution.slurm_workers() == (addresses, 2)
    monkeypatch.delenv("SLURM_STEP_NODELIST")
    with pytest.raises(DistributionError, match="--workers host:port"):
        distribution.slurm_workers()


def test_an_empty_tf_config_means_one_device(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "")
    assert distribution.make_strategy(Settings()) is tf.distribute.get_strategy()


def test_options_become_settings():
    parser = argparse.ArgumentParser()
    distribution.add_options(parser)
    options = ["--strategy", "multi_worker", "--workers", "a:1,b:2", "--index", "1"]
    assert distribution.settings_from(parser.parse_args(options)) == Settings(
        "multi_worker", workers=("a:1", "b:2"), index=1
    )
    none = parser.parse_args([])
    assert distribution.settings_from(none) == Settings()
    recipe = {"devices": {"strategy": "mirrored", "cpus": 2}}
    assert distribution.settings_from(none, recipe) == Settings("mirrored", cpus=2)
    one = parser.parse_args(["--strategy", "one_device"])
    assert distribution.settings_from(one, recipe) == Settings("one_device")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings("two_devices"), "must be one of one_device, mirrored"),
        (Settings("mirrored", cpus=0), "`cpus` must be positive"),
        (Settings("mirrored", cpus=64), "divided into 2 already"),
        (Settings("one_device", cpus=2), "`cpus` belongs to the strategy mirrored"),
        (Settings("mirrored", index=0), "`index` belongs to the strategy multi_worker"),
        (Settings(workers=("a:1",)), "`workers` needs `index`"),
        (Settings("multi_worker", index=0), "`index` needs `workers`"),
    ],
)
def test_settings_that_do_not_go_together_are_told(settings, message):
    with pytest.raises(DistributionError, match=message):
        distribution.make_strategy(settings)


def test_without_settings_there_is_one_device(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    strategy = distribution.make_strategy(Settings())
    assert strategy.num_replicas_in_sync == 1
    assert distribution.is_chief(strategy)
    batches = tf.data.Dataset.from_tensors((1, 2))
    assert sharing.training_batches(batches, strategy, 1) is batches


def noisy_gradients(strategy, steps=400):
    """Gradients of one batch at nearly the same weights, with other noise each time."""
    keras.utils.set_random_seed(1)
    # Both halves are the same, so that the same noise on both would add up.
    x = np.tile(np.linspace(-1, 1, 12).reshape(4, 3), (2, 1))
    labels = np.arange(8) % 2
    with strategy.scope():
        inputs = keras.Input((3,))
        model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
        model = cvzoo.sparsify(model, cvzoo.VariationalDropout(0.1), n_train=8)
        (layer,) = model.layers[1:]
        layer.log_sigma2.assign(np.full(layer.log_sigma2.shape, 1.0))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        # So slow that the weights hardly move.
        model.compile(keras.optimizers.SGD(1e-4), loss)
    kernels = [layer.kernel.numpy()]

    class Record(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kernels.append(layer.kernel.numpy())

    batches = tf.data.Dataset.from_tensors((x.astype("float32"), labels)).repeat(steps)
    with keras_gaps.filled_for(strategy):
        model.fit(
            sharing.training_batches(batches, strategy, 8),
            steps_per_epoch=steps,
            callbacks=[Record()],
            shuffle=False,
            verbose=0,
        )
    return 1e4 * np.diff(kernels, axis=0).reshape(steps, -1)


def test_gradients_with_noise_have_the_distribution_of_one_device():
    one = noisy_gradients(tf.distribute.get_strategy())
    two = noisy_gradients(two_replicas())
    error = np.sqrt((one.var(axis=0) + two.var(axis=0)) / len(one))
    assert np.all(np.abs(one.mean(axis=0) - two.mean(axis=0)) < 4 * error)
    # The same noise on both replicas would make the variance twice as large.
    ratio = two.var(axis=0) / one.var(axis=0)
    assert np.all((ratio > 0.7) & (ratio < 1.4)), ratio
