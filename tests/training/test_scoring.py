"""Replicas and workers share out the scores of a metric.

Two workers are in `test_distribution.py`.
"""

import threading
from unittest import mock

import keras
import numpy as np
import pytest

from tests.helpers import two_replicas

if keras.backend.backend() != "tensorflow":
    pytest.skip("tf.distribute is TensorFlow's", allow_module_level=True)

import tensorflow as tf

import cvzoo
from training import keras_gaps, scoring, sharing

INPUTS = np.random.default_rng(0).normal(size=(23, 4)).astype(np.float32)
LABELS = np.arange(23 * 3).reshape(23, 3) % 4 == 0


def network(strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        x = keras.Input((4,))
        model = keras.Model(x, keras.layers.Dense(3)(x))
        model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("replicas", [1, 2])
def test_each_score_is_taken_once(replicas):
    strategy = two_replicas() if replicas == 2 else tf.distribute.get_strategy()
    model = network(strategy)
    # Five batches, the last of three examples.
    batches = tf.data.Dataset.from_tensor_slices((INPUTS, LABELS)).batch(5)
    evaluation = cvzoo.PooledAveragePrecisionEvaluation(
        sharing.evaluation_batches(batches, strategy),
        accumulate=scoring.Scoring(strategy),
    )
    expected = cvzoo.PooledAveragePrecision()
    expected.update_state(LABELS, model(INPUTS))
    with keras_gaps.filled_for(strategy):
        model.fit(
            sharing.training_batches(batches.repeat(), strategy, 5),
            steps_per_epoch=5,
            epochs=2,
            shuffle=False,
            verbose=0,
            callbacks=[evaluation],
        )
    assert len(evaluation.history) == 2
    assert evaluation.history[0] == pytest.approx(expected.result(), abs=1e-12)
    assert evaluation.history[1] != evaluation.history[0]


def test_the_network_is_traced_once():
    strategy, calls = tf.distribute.get_strategy(), []
    batches = tf.data.Dataset.from_tensor_slices((INPUTS, LABELS)).batch(23)
    score = scoring.Scoring(strategy)

    def model(inputs, training):
        calls.append(training)
        return inputs[:, :3]

    for _ in range(3):
        score(cvzoo.PooledAveragePrecision(), model, (batches, 1))
    assert calls == [False]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 7])
def test_replicas_of_a_worker_send_each_score_once(dtype, size):
    metric = cvzoo.PooledAveragePrecision()
    scores = np.random.default_rng(0).normal(size=size).astype(dtype)
    metric.update_state(np.arange(size) % 2, scores)
    before = metric.get_state()
    # One worker that has two replicas.
    with mock.patch.object(scoring, "has_several_workers", lambda strategy: True):
        scoring.gather(metric, two_replicas())
    for name, array in metric.get_state().items():
        np.testing.assert_array_equal(array, before[name])
        assert array.dtype == before[name].dtype or not array.size


RANKED = {
    "gap": lambda: cvzoo.GlobalAveragePrecision(2),
    "hit": cvzoo.HitAtOne,
    "perr": cvzoo.PrecisionAtEqualRecallRate,
    "map": cvzoo.MeanAveragePrecision,
    "map at 2": lambda: cvzoo.MeanAveragePrecision(2),
}


@pytest.mark.parametrize("name", RANKED)
@pytest.mark.parametrize("size", [0, 1, 23])
def test_replicas_of_a_worker_send_each_row_once(name, size):
    metric = RANKED[name]()
    # Scores that float32 has not, and hashes that float64 has not.
    metric.update_state(LABELS[:size], INPUTS[:size, :3] + 1e-12)
    before = metric.get_state()
    with mock.patch.object(scoring, "has_several_workers", lambda strategy: True):
        scoring.gather(metric, two_replicas())
    assert set(metric.get_state()) == set(before)
    for key, array in metric.get_state().items():
        np.testing.assert_array_equal(array, before[key])
        assert array.dtype == before[key].dtype or not array.size


def gather_all(metrics):
    """Two workers of one replica each, as threads of this process."""
    barrier, sent = threading.Barrier(len(metrics)), [None] * len(metrics)
    errors = []

    def work(place):
        def exchange(shares):
            sent[place] = np.concatenate(shares)
            barrier.wait(60)
            found = np.concatenate(sent)
            barrier.wait(60)
            return found

        try:
            # In place of a strategy, which `_gather` gets.
            scoring.gather(metrics[place], exchange)
        except ValueError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(metrics))]
    with (
        mock.patch.object(scoring, "has_several_workers", lambda strategy: True),
        mock.patch.object(scoring, "_local_replicas", lambda strategy: 1),
        mock.patch.object(
            scoring, "_gather", lambda shares, exchange: exchange(shares)
        ),
    ):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return errors


@pytest.mark.parametrize("name", RANKED)
@pytest.mark.parametrize("first", [0, 1, 9])
def test_each_worker_has_the_rows_of_all(name, first):
    whole, *workers = [RANKED[name]() for _ in range(3)]
    # Scores of the second worker need 64 bits.
    scores = INPUTS[:, :3] + np.where(np.arange(23) < first, 0, 1e-12)[:, None]
    whole.update_state(LABELS, scores)
    if first:
        workers[0].update_state(LABELS[:first], scores[:first])
    workers[1].update_state(LABELS[first:], scores[first:])
    assert not gather_all(workers)
    assert [worker.result() for worker in workers] == [whole.result()] * 2


def test_workers_of_other_classes_all_say_so():
    workers = [cvzoo.MeanAveragePrecision() for _ in range(2)]
    for classes, worker in enumerate(workers, 2):
        worker.update_state(LABELS[:, :classes], INPUTS[:, :classes])
    errors = gather_all(workers)
    assert len(errors) == 2 and all("rows of 2 and 3" in error for error in errors)


def test_one_process_sends_nothing():
    metric = mock.Mock()
    scoring.gather(metric, two_replicas())
    assert not metric.mock_calls
