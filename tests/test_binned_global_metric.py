"""The global average precision of `compile`, beside the exact one."""

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import strategies as some

import cvzoo
from tests.helpers import jitted, two_replicas

RANDOM = np.random.default_rng(0)


def noisy(videos, classes, rate, digits=9):
    labels = RANDOM.random((videos, classes)) < rate
    scores = RANDOM.normal(size=(videos, classes)) + 2 * labels - 2
    return labels, np.round(scores, digits).astype(np.float32)


def exact(labels, scores, k=20, ids=None):
    metric = cvzoo.GlobalAveragePrecision(k)
    metric.update_state(labels, scores, ids)
    return metric.result()


def binned(labels, scores, **arguments):
    metric = cvzoo.BinnedGlobalAveragePrecision(from_logits=True, **arguments)
    metric.update_state(labels, np.asarray(scores, np.float32))
    return metric


CASES = {
    "plain": noisy(60, 40, 0.05),
    "ties": noisy(60, 40, 0.1, digits=0),
    "all equal": (np.arange(250).reshape(10, 25) % 3 == 0, np.zeros((10, 25))),
    "fewer classes than k": noisy(40, 2, 0.3),
    "more than 20 positives": noisy(12, 60, 0.6),
    "one video": noisy(1, 40, 0.3),
    "infinite": (np.array([[1, 0, 1]]), np.array([[np.inf, -np.inf, -np.inf]])),
}


@pytest.mark.parametrize("k", [1, 5, 20])
@pytest.mark.parametrize("case", CASES)
def test_bounds_hold_for_any_order_of_ties(case, k):
    labels, scores = CASES[case]
    metric = binned(labels, scores, k=k, bins=64, limit=4)
    low, high = metric.bounds()
    assert low - 1e-6 <= float(metric.result()) <= high + 1e-6
    for start in range(20):
        found = exact(labels, scores, k, np.arange(start, start + len(labels)))
        assert low - 1e-9 <= found <= high + 1e-9


# Few values, so that many are equal.
PAIRS = some.lists(
    some.tuples(some.booleans(), some.integers(-3, 3) | some.floats(-9, 9, width=32)),
    min_size=1,
    max_size=40,
).filter(lambda pairs: any(label for label, _ in pairs))


@hypothesis.given(PAIRS, some.integers(1, 6), some.sampled_from([1, 7, 512]))
def test_bounds_hold_whatever_the_scores(pairs, k, bins):
    classes = max(size for size in range(1, 8) if len(pairs) % size == 0)
    labels, scores = (
        np.reshape(one, (-1, classes)) for one in zip(*pairs, strict=True)
    )
    metric = binned(labels, scores, k=k, bins=bins, limit=4)
    low, high = metric.bounds()
    assert low - 1e-9 <= exact(labels, scores, k) <= high + 1e-9
    assert low - 1e-6 <= float(metric.result()) <= high + 1e-6


def test_the_bounds_of_a_place_that_ties_share_are_those_of_the_choices():
    # One of the three may be in; where the positive one is, its precision is ½.
    low, high = binned([[0, 1, 0, 0]], [[3, 1, 1, 1]], k=2).bounds()
    assert low == 0 and high == pytest.approx(1 / 2)
    # Two of three are, so one positive at least.
    low, high = binned([[0, 1, 1, 0]], [[3, 1, 1, 1]], k=3).bounds()
    assert 1 / 8 < low < 1 / 6 and high == pytest.approx(2 / 3)


def test_many_videos_are_binned_to_within_little():
    labels, scores = noisy(2000, 200, 0.02)
    metric, expected = binned(labels, scores), exact(labels, scores)
    assert float(metric.result()) == pytest.approx(expected, abs=1e-4)
    low, high = metric.bounds()
    assert expected - 3e-3 < low < high < expected + 3e-3


def test_all_positives_count_and_the_best_scores_only():
    labels, scores = [[1, 1, 1, 0]], [[2.0, 1, 0, -1]]
    assert float(binned(labels, scores, k=2).result()) == pytest.approx(2 / 3)


def test_probabilities_are_binned_as_their_logits():
    labels, scores = CASES["plain"]
    # In the middle of bins of logits, so that rounding changes none.
    scores = np.floor(scores * 16) / 16 + 1 / 32
    metric = cvzoo.BinnedGlobalAveragePrecision(bins=512)
    metric.update_state(labels, 1 / (1 + np.exp(-scores)))
    expected = binned(labels, scores, bins=512)
    np.testing.assert_array_equal(metric.counts, expected.counts)


@pytest.mark.parametrize(
    ("labels", "scores"),
    [([1, 0, 0], [0.5, 0.4, wrong]) for wrong in (np.nan, 1.5, -0.5)]
    + [([1, 0, 2], [0.5, 0.4, 0.3])],
)
def test_what_cannot_be_gives_nan_beyond_the_best_too(labels, scores):
    metric = cvzoo.BinnedGlobalAveragePrecision(k=1)
    metric.update_state([labels], [scores])
    assert np.isnan(metric.result()) and np.all(np.isnan(metric.bounds()))
    metric.reset_state()
    metric.update_state([[1, 0]], [[0.6, 0.5]])
    assert float(metric.result()) == 1


def test_without_positives_it_is_0():
    metric = binned([[0, 0]], [[1, 2]])
    assert float(metric.result()) == 0 and metric.bounds() == (0, 0)


def test_compiled_it_counts_the_same():
    metric = cvzoo.BinnedGlobalAveragePrecision(3, from_logits=True)
    labels, scores = (one.astype(np.float32) for one in CASES["ties"])
    state = [variable.value for variable in metric.variables]
    found = jitted(
        lambda labels, scores: metric.stateless_result(
            metric.stateless_update_state(state, labels, scores)
        )
    )(labels, scores)
    expected = float(binned(labels, scores, k=3).result())
    assert float(found) == pytest.approx(expected, abs=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute")
def test_replicas_count_together():
    import tensorflow as tf

    from training import keras_gaps, sharing

    labels, inputs = CASES["ties"]
    strategy = two_replicas()
    with strategy.scope():
        x = keras.Input((40,))
        model = keras.Model(x, keras.layers.Identity()(x))
        metric = cvzoo.BinnedGlobalAveragePrecision(5, from_logits=True)
        model.compile("sgd", "mse", metrics=[metric])
    batches = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(25)
    shares, steps = sharing.evaluation_batches(batches, strategy)
    with keras_gaps.filled():
        found = model.evaluate(shares, steps=steps, return_dict=True, verbose=0)
    expected = binned(labels, inputs, k=5)
    assert found["global_average_precision"] == float(expected.result())
    np.testing.assert_array_equal(metric.counts, expected.counts)


def test_it_comes_back_from_its_configuration():
    metric = cvzoo.BinnedGlobalAveragePrecision(5, 7, 3, from_logits=True, name="other")
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(metric)
    )
    assert type(copy) is cvzoo.BinnedGlobalAveragePrecision
    assert copy.get_config() == metric.get_config()


@pytest.mark.parametrize("shape", [(4, 2), (8,), (2, 4, 1), (1, 4)])
def test_labels_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"must have the same shape.*scores of \(2, 4"):
        binned(np.zeros(shape), np.zeros((2, 4)))


def test_arguments_that_cannot_be_are_refused():
    for wrong in ({"bins": 0}, {"bins": 2.5}, {"limit": 0}):
        with pytest.raises(ValueError, match="`bins` must be a whole number"):
            cvzoo.BinnedGlobalAveragePrecision(**wrong)
    with pytest.raises(ValueError, match="`k` must be a positive whole number"):
        cvzoo.BinnedGlobalAveragePrecision(0)
    with pytest.raises(ValueError, match="BinnedGlobal.* takes no sample weights"):
        cvzoo.BinnedGlobalAveragePrecision().update_state(
            [[1]], [[0.5]], sample_weight=[1]
        )
