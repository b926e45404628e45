"""The warm-up of the divergence, evaluation and early stopping in `fit`."""

import csv
import functools
import json
import math

import keras
import numpy as np
import pytest
from sklearn.metrics import average_precision_score

import cvzoo
from cvzoo import sparsity


def model(sparsifier=None):
    inner_input = keras.Input((6,))
    inner = keras.Model(inner_input, keras.layers.Dense(5)(inner_input))
    x = keras.Input((6,))
    plain = keras.Model(x, keras.layers.Dense(3)(inner(x)))
    sparsifier = sparsifier or cvzoo.VariationalDropout(0.1)
    sparse = cvzoo.sparsify(plain, sparsifier, n_train=12)
    sparse.compile(keras.optimizers.SGD(0.0), "mse")
    return sparse


def scales(model):
    return [float(one.penalty_scale) for one in sparsity.sparse_layers(model)]


class Recorder(keras.callbacks.Callback):
    """Comes after the warm-up, so sees what a step will use."""

    def __init__(self):
        super().__init__()
        self.seen, self.between = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.seen.append(scales(self.model))

    def on_epoch_end(self, epoch, logs=None):
        self.between.append(scales(self.model))


def fit(model, *callbacks, epochs=4):
    inputs, targets = np.ones((12, 6), np.float32), np.ones((12, 3), np.float32)
    return model.fit(
        inputs,
        targets,
        batch_size=4,
        epochs=epochs,
        verbose=0,
        callbacks=list(callbacks),
    ).history


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="epoch by epoch")
def test_a_linear_warm_up_rises_step_by_step_in_all_layers():
    sparse, recorder = model(), Recorder()
    fit(sparse, cvzoo.KLWarmUp(2), recorder)
    expected = np.minimum(np.arange(12) / 6, 1) / 12
    np.testing.assert_allclose(recorder.seen, np.stack([expected] * 2, 1), rtol=1e-6)
    # Checkpoints hold the full value.
    np.testing.assert_allclose(recorder.between, 1 / 12, rtol=1e-6)


def test_a_constant_warm_up_trains_without_divergence_first():
    sparse = model()
    kl = fit(sparse, cvzoo.KLWarmUp(2, shape="constant"))["kl"]
    assert kl[0] == kl[1] == 0
    full = sum(
        float(layer.sparsifier.penalty(layer))
        for layer in sparsity.sparse_layers(sparse)
    )
    np.testing.assert_allclose(kl[2:], full, rtol=1e-5)
    np.testing.assert_allclose(scales(sparse), 1 / 12, rtol=1e-6)


def test_the_full_value_is_back_when_training_ends_in_the_warm_up():
    sparse = model()
    first = fit(sparse, cvzoo.KLWarmUp(10), epochs=1)["kl"][0]
    np.testing.assert_allclose(scales(sparse), 1 / 12, rtol=1e-6)
    assert fit(sparse, epochs=1)["kl"][0] > 2 * first


def test_the_full_value_is_back_after_an_exception():
    sparse = model()
    fit(sparse, epochs=1)

    def broken(*arguments):
        raise KeyboardInterrupt

    step, sparse.train_function = sparse.train_function, broken
    with pytest.raises(KeyboardInterrupt):
        fit(sparse, cvzoo.KLWarmUp(2))
    assert sparse.train_function is broken
    sparse.train_function = step
    np.testing.assert_allclose(scales(sparse), 1 / 12, rtol=1e-6)


def test_the_step_is_not_traced_again():
    sparse, traces = model(), []

    def loss(targets, outputs):
        traces.append(1)
        return keras.ops.mean(outputs - targets)

    sparse.compile("sgd", loss)
    fit(sparse, epochs=1)
    once = len(traces)
    fit(sparse, cvzoo.KLWarmUp(2))
    assert len(traces) == once


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"epochs": 2, "shape": "cosine"}])
def test_impossible_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        cvzoo.KLWarmUp(**wrong)


def test_a_model_without_divergences_is_refused():
    pruning = model(cvzoo.MagnitudePruning(0.5, end_step=3))
    with pytest.raises(ValueError, match="layers have a divergence"):
        fit(pruning, cvzoo.KLWarmUp(2))


def rule(scores, **arguments):
    """A rule that has seen some scores, and after how many it triggered."""
    rule, triggered = cvzoo.EarlyStoppingRule(**arguments), None
    for number, score in enumerate(scores, 1):
        rule.update(score)
        if rule.triggered and triggered is None:
            triggered = number
    return rule, triggered


@pytest.mark.parametrize(
    ("scores", "triggered"),
    [
        # Twenty in a row without a new best; the default is paper 2's rule.
        ([0.5] + 20 * [0.49], 21),
        ([0.5] + 19 * [0.49], None),
        ([0.5] + 19 * [0.49] + [0.51] + 19 * [0.5], None),
        ([0.5] + 19 * [0.49] + [0.51] + 20 * [0.5], 41),
        # The best again is a new best.
        ([0.5] + 19 * [0.49] + [0.5] + 19 * [0.49], None),
        (50 * [0.0], None),
        # More than 0.02 below the best, which need not be the score before.
        ([0.5, 0.481, 0.48, 0.479], 4),
        ([0.1, 0.5, 0.49, 0.47, 0.9], 4),
        ([0.5, 0.4], 2),
        # Not below the best by more, however it falls.
        ([0.5, 0.495, 0.49, 0.485], None),
        ([0.2, 0.3, 0.4, 0.5], None),
        ([0.5, math.nan], 2),
        ([math.nan], 1),
        ([], None),
    ],
)
def test_the_rule_triggers_where_paper_2_stops(scores, triggered):
    assert rule(scores)[1] == triggered


def test_patience_and_drop_are_arguments():
    assert rule([0.5, 0.4, 0.3, 0.2], patience=3, max_drop=1)[1] == 4
    assert rule([0.5, 0.5, 0.499], max_drop=0)[1] == 3


def test_a_rule_that_triggered_stays_so():
    assert rule([0.5, 0.4, 0.9])[0].triggered


@pytest.mark.parametrize("kept", range(6))
def test_a_rule_goes_on_from_its_state(kept):
    scores = [0.5, 0.49, 0.51, 0.5, 0.5, 0.5]
    whole, _ = rule(scores, patience=3)
    first, _ = rule(scores[:kept], patience=3)
    second = cvzoo.EarlyStoppingRule(patience=3)
    second.set_state(json.loads(json.dumps(first.get_state())))
    for score in scores[kept:]:
        second.update(score)
    assert second.get_state() == whole.get_state()
    assert second.triggered


@pytest.mark.parametrize(
    "wrong", [{"patience": 0}, {"patience": 1.5}, {"max_drop": -0.1}]
)
def test_rules_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        cvzoo.EarlyStoppingRule(**wrong)


LABELS = np.arange(36).reshape(12, 3) % 5 == 0


def tagger(dropout=0.0):
    x = keras.Input((6,))
    y = keras.layers.Dropout(dropout, seed=1)(x)
    network = keras.Model(x, keras.layers.Dense(3)(y))
    network.compile(keras.optimizers.SGD(0.1), "mse")
    return network


# Traced once, for tests to which weights are nothing.
any_tagger = functools.cache(tagger)


def batches():
    """Examples that differ, in batches of which the last is smaller."""
    inputs = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
    return [(inputs[at : at + 5], LABELS[at : at + 5]) for at in (0, 5, 10)]


class Recomputed(keras.callbacks.Callback):
    """What scikit-learn finds before and after each epoch, and the logs."""

    def __init__(self):
        super().__init__()
        self.before, self.after, self.logs = [], [], []

    def value(self):
        scores = [self.model.predict_on_batch(inputs) for inputs, _ in batches()]
        return average_precision_score(LABELS.ravel(), np.concatenate(scores).ravel())

    def on_epoch_begin(self, epoch, logs=None):
        self.before.append(self.value())

    def on_epoch_end(self, epoch, logs=None):
        self.after.append(self.value())
        self.logs.append(logs["val_average_precision"])


@pytest.mark.parametrize("when", ["start", "end"])
def test_the_values_are_those_before_or_after_each_epoch(when):
    evaluation = cvzoo.PooledAveragePrecisionEvaluation(batches(), when)
    recomputed = Recomputed()
    history = fit(tagger(), evaluation, recomputed)
    expected = recomputed.before if when == "start" else recomputed.after
    assert len(set(expected)) > 1
    np.testing.assert_allclose(evaluation.history, expected, rtol=1e-12)
    assert evaluation.history == recomputed.logs == history["val_average_precision"]


def test_other_callbacks_see_the_value(tmp_path):
    evaluation = cvzoo.PooledAveragePrecisionEvaluation(batches(), name="val_ap")
    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    stopping = keras.callbacks.EarlyStopping("val_ap", mode="max", patience=10)
    fit(any_tagger(), evaluation, logger, stopping)
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_ap"]) for row in rows] == evaluation.history
    assert stopping.best == max(evaluation.history)


def test_only_the_given_classes_are_evaluated():
    data = [(inputs, labels * [1, 1, 0]) for inputs, labels in batches()]
    first_two = cvzoo.PooledAveragePrecisionEvaluation(data, classes=[0, 1])
    all_three = cvzoo.PooledAveragePrecisionEvaluation(data)
    fit(any_tagger(), first_two, all_three, epochs=1)
    assert first_two.history[0] > all_three.history[0]


def test_evaluation_changes_nothing_of_the_training():
    evaluated, plain = tagger(0.5), tagger(0.5)
    plain.set_weights(evaluated.get_weights())
    fit(evaluated, cvzoo.PooledAveragePrecisionEvaluation(batches()))
    fit(plain)
    for left, right in zip(evaluated.weights, plain.weights, strict=True):
        np.testing.assert_array_equal(left, right)


def reciprocal(ranks):
    """Scores of one positive and its rank, one evaluation after another: 1/rank."""
    ranks = iter(ranks)

    def accumulate(metric, model, data):
        rank = next(ranks)
        metric.update_state(np.arange(9) == rank - 1, -np.arange(9.0))

    return accumulate


def stopped_by_rule(ranks, when="start"):
    return cvzoo.PooledAveragePrecisionEvaluation(
        None,
        when,
        stopping=cvzoo.EarlyStoppingRule(patience=3),
        accumulate=reciprocal(ranks),
    )


@pytest.mark.parametrize(
    ("ranks", "epochs"), [([5, 4, 3, 4, 3, 3], 4), ([5, 5, 5, 5, 5, 5], 6)]
)
def test_training_stops_after_the_epoch_whose_evaluation_triggers(ranks, epochs):
    network, evaluation = any_tagger(), stopped_by_rule(ranks)
    weights = []
    recorder = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(network.get_weights())
    )
    history = fit(network, evaluation, recorder, epochs=6)
    assert history["val_average_precision"] == [1 / rank for rank in ranks[:epochs]]
    assert evaluation.is_stopped == (epochs < 6)
    # The last weights, not the best.
    for left, right in zip(network.get_weights(), weights[-1], strict=True):
        np.testing.assert_array_equal(left, right)


def test_one_more_epoch_follows_a_trigger_at_the_end_of_one():
    evaluation = stopped_by_rule([5, 4, 3, 4, 3, 3], when="end")
    history = fit(any_tagger(), evaluation, epochs=6)
    assert history["val_average_precision"] == [1 / 5, 1 / 4, 1 / 3, 1 / 4, 1 / 3]


@pytest.mark.parametrize("killed_after", range(1, 5))
def test_a_run_goes_on_from_the_state(killed_after):
    ranks = [5, 4, 4, 3, 4, 4]  # The fifth triggers.
    whole = stopped_by_rule(ranks)
    fit(any_tagger(), whole, epochs=6)
    assert len(whole.history) == 5
    first = stopped_by_rule(ranks)
    fit(any_tagger(), first, epochs=killed_after)
    second = stopped_by_rule(ranks[killed_after:])
    second.set_state(json.loads(json.dumps(first.get_state())))
    inputs, targets = np.ones((12, 6)), np.ones((12, 3))
    any_tagger().fit(
        inputs,
        targets,
        initial_epoch=killed_after,
        epochs=6,
        verbose=0,
        callbacks=[second],
    )
    assert second.get_state() == whole.get_state()


def test_no_epoch_is_trained_after_the_rule_has_ended_a_run():
    evaluation = stopped_by_rule([1, 5, 1, 1])
    fit(any_tagger(), evaluation)
    network = any_tagger()
    before = network.get_weights()
    with pytest.raises(ValueError, match="no epoch is left to train"):
        fit(network, evaluation)
    for left, right in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(left, right)


def test_scores_that_are_nan_give_nan_and_trigger():
    network = tagger()
    network.layers[-1].bias.assign([math.nan, 0, 0])
    evaluation = cvzoo.PooledAveragePrecisionEvaluation(
        batches(), stopping=cvzoo.EarlyStoppingRule()
    )
    values = fit(network, evaluation)["val_average_precision"]
    assert np.isnan(values).tolist() == [True]
    assert evaluation.is_stopped


def test_data_that_cannot_be_evaluated_each_epoch_are_refused():
    with pytest.raises(ValueError, match="generator, which is used up"):
        cvzoo.PooledAveragePrecisionEvaluation(batch for batch in batches())
    with pytest.raises(ValueError, match="must be 'start' or 'end'"):
        cvzoo.PooledAveragePrecisionEvaluation(batches(), "middle")
    weighted = [(inputs, labels, np.ones(5)) for inputs, labels in batches()]
    with pytest.raises(ValueError, match="Received a batch of 3"):
        fit(any_tagger(), cvzoo.PooledAveragePrecisionEvaluation(weighted))
