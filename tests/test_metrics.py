"""Average precision beside scikit-learn's."""

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import strategies as some
from sklearn.metrics import average_precision_score

import cvzoo
from cvzoo.metrics import NaNScoresError
from tests.helpers import jitted, two_replicas

RANDOM = np.random.default_rng(0)


def pooled(labels, scores, **arguments):
    metric = cvzoo.PooledAveragePrecision(**arguments)
    metric.update_state(labels, scores)
    return metric


def binned(labels, scores, **arguments):
    metric = cvzoo.BinnedAveragePrecision(from_logits=True, **arguments)
    metric.update_state(labels, np.asarray(scores, np.float32))
    return metric


def noisy(*shape, rate=0.04):
    """Labels, and scores that tell something of them."""
    labels = RANDOM.random(shape) < rate
    return labels, (RANDOM.normal(size=shape) + 2 * labels - 3).astype(np.float32)


def few_values(labels, scores):
    return labels, np.round(scores)


# Labels and scores of one kind each.
CASES = {
    "windows × notes": noisy(50, 84),
    "ties": few_values(*noisy(400)),
    "all equal": (np.arange(10) % 3 == 0, np.zeros(10)),
    "perfect": (np.arange(9) > 5, np.arange(9.0)),
    "inverted": (np.arange(9) < 3, np.arange(9.0)),
    "one positive": (np.arange(7) == 3, np.array([2.0, 1, 7, 4, 4, 5, 0])),
    "only positives": (np.ones(4), np.array([0.5, 0.1, 0.1, 0.9])),
    "one score": (np.ones(1), np.zeros(1)),
    "zeros of both signs": (np.array([1, 0, 1]), np.array([0.0, -0.0, -1])),
    "tiny": (np.array([0, 1, 1]), np.float32([1e-45, 3e-45, 0])),
    "a million": noisy(1_000_000, rate=0.1),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_that_of_scikit_learn(case):
    labels, scores = CASES[case]
    expected = average_precision_score(labels.ravel(), scores.ravel())
    assert pooled(labels, scores).result() == pytest.approx(expected, rel=0, abs=1e-12)


@pytest.mark.parametrize(
    ("case", "value"), [("perfect", 1), ("all equal", 0.4), ("only positives", 1)]
)
def test_values_by_hand(case, value):
    assert pooled(*CASES[case]).result() == value


# Few values, so that many are equal.
PAIRS = some.lists(
    some.tuples(some.booleans(), some.integers(-3, 3) | some.floats(-9, 9, width=32)),
    min_size=1,
    max_size=40,
).filter(lambda pairs: any(label for label, _ in pairs))


@hypothesis.given(PAIRS)
def test_it_is_that_of_scikit_learn_whatever_the_scores(pairs):
    labels, scores = np.transpose(pairs)
    expected = average_precision_score(labels, scores)
    assert pooled(labels, scores).result() == pytest.approx(expected, rel=0, abs=1e-12)


@hypothesis.given(PAIRS, some.randoms())
def test_the_order_of_scores_changes_no_bit(pairs, random):
    whole = pooled(*np.transpose(pairs)).result()
    random.shuffle(pairs)
    assert pooled(*np.transpose(pairs)).result() == whole


@hypothesis.given(PAIRS, some.randoms())
def test_metrics_merged_in_any_order_change_no_bit(pairs, random):
    whole = pooled(*np.transpose(pairs)).result()
    parts = [cvzoo.PooledAveragePrecision() for _ in range(3)]
    for label, score in pairs:
        random.choice(parts).update_state([label], [score])
    random.shuffle(parts)
    parts[0].merge_state(parts[1:])
    assert parts[0].result() == whole


@hypothesis.given(PAIRS)
def test_only_the_order_of_scores_counts(pairs):
    labels, scores = np.transpose(pairs)
    ranks = np.unique(scores, return_inverse=True)[1]
    assert pooled(labels, 7 * ranks - 9).result() == pooled(labels, scores).result()


def test_more_scores_may_come_after_a_result():
    labels, scores = noisy(300)
    metric = pooled(labels[:100], scores[:100])
    metric.result()
    metric.update_state(labels[100:], scores[100:])
    assert metric.result() == pooled(labels, scores).result()
    metric.reset_state()
    metric.update_state(labels[:100], scores[:100])
    assert metric.result() == pooled(labels[:100], scores[:100]).result()


def test_the_merged_metrics_are_left_as_they_are():
    labels, scores = noisy(300)
    first, second = pooled(labels, scores), pooled(labels, -scores)
    before = second.result()
    first.merge_state([second])
    first.update_state([1, 0], [1, 2])
    first.result()
    assert second.result() == before


def test_the_state_makes_the_same_metric():
    metric, copy = pooled(*noisy(300)), cvzoo.PooledAveragePrecision()
    copy.set_state(metric.get_state())
    assert copy.result() == metric.result()


def test_scores_of_64_bits_are_not_made_equal():
    assert pooled([1, 0], [1 + 1e-12, 1.0]).result() == 1
    metric = pooled([1, 0], np.float32([2, 1]))
    metric.update_state([1, 0], [2 + 1e-12, 2 + 1e-13])
    assert metric.result() == average_precision_score(
        [1, 0, 1, 0], [2, 1, 2 + 1e-12, 2 + 1e-13]
    )
    assert pooled([1, 0], [1e300, 1e299]).result() == 1
    assert pooled([1, 0], [2**53, 2**53 - 1]).result() == 1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16", "bool"])
def test_scores_that_fit_are_kept_in_32_bits(dtype):
    state = pooled([1, 0, 1], np.array([1, 0, 1], dtype)).get_state()
    assert {name: array.dtype for name, array in state.items()} == {
        "positives": np.float32,
        "negatives": np.float32,
    }


def test_tensors_are_taken():
    labels = keras.ops.convert_to_tensor([[1, 0], [0, 1]])
    scores = keras.ops.convert_to_tensor([[0.3, 0.2], [0.1, 0.15]], "bfloat16")
    assert pooled(labels, scores).result() == (1 + 2 / 3) / 2


def test_infinite_scores_have_an_order():
    assert pooled([1, 0, 0], [np.inf, 3e38, -np.inf]).result() == 1


def test_only_the_given_classes_count():
    labels, scores = noisy(30, 5)
    some_classes = pooled(labels, scores, classes=[3, 0]).result()
    assert some_classes == pooled(labels[:, [0, 3]], scores[:, [0, 3]]).result()


def test_without_positives_it_is_0_with_a_warning_as_in_scikit_learn():
    metric = pooled([0, 0], [0.1, 0.2])
    with pytest.warns(UserWarning, match="None of 2 labels is positive"):
        assert metric.result() == 0
    with pytest.warns(UserWarning, match="No positive class"):
        assert average_precision_score([0, 0], [0.1, 0.2]) == 0


def test_no_scores_have_no_average_precision():
    with pytest.raises(ValueError, match="of no scores is not defined"):
        pooled(np.zeros((0, 84)), np.zeros((0, 84))).result()


def test_scores_that_are_nan_are_told_at_the_end():
    metric = pooled([1, 0, 0], [np.nan, 0.1, np.nan])
    with pytest.raises(NaNScoresError, match="2 of 3 scores are NaN"):
        metric.result()


@pytest.mark.parametrize(
    ("labels", "scores", "classes", "message"),
    [
        ([1, 0], [0.1], None, r"labels of \(2,\), scores of \(1,\)"),
        ([[1], [0]], [0.1, 0.2], None, "must have the same shape"),
        ([1, 2, -1], [0.1, 0.2, 0.3], None, r"must be 0 or 1. Received: \[-1  2\]"),
        ([1, np.nan], [0.1, 0.2], None, "must be 0 or 1. Received: .nan"),
        ([1, 0.5], [0.1, 0.2], None, "must be 0 or 1"),
        ([1, 0], [1j, 2], None, "must be real numbers.*complex128"),
        ([1, 0], ["a", "b"], None, "must be real numbers"),
        ([1, 0], [2**53 + 1, 2**53], None, "within ±2"),
        ([[1, 0]], [[0.1, 0.2]], [2], r"must have the class 2.*shape \(1, 2\)"),
        (1, 0.5, [0], "must have the class 0"),
        ([1], [0.5], [], "at least one"),
        ([1], [0.5], [True, False], "np.flatnonzero"),
        ([1], [0.5], [[1]], "must be a list"),
        ([1], [0.5], [-1], "must not be negative"),
        ([1], [0.5], [0, 0], "none be there twice"),
    ],
)
def test_what_cannot_be_is_refused(labels, scores, classes, message):
    with pytest.raises(ValueError, match=message):
        pooled(labels, scores, classes=classes)


def test_metrics_of_other_classes_are_not_merged():
    one, other = (cvzoo.PooledAveragePrecision(classes) for classes in ([0], [1]))
    with pytest.raises(ValueError, match=r"classes \[1\], here \[0\]"):
        one.merge_state([other])


# Few bins, which have many scores each.
@hypothesis.given(PAIRS, some.sampled_from([1, 7, 512]))
def test_bounds_hold_the_exact_and_the_binned_one(pairs, bins):
    labels, scores = np.transpose(pairs)
    metric = binned(labels, scores, bins=bins, limit=4)
    low, high = metric.bounds()
    assert low - 1e-9 <= pooled(labels, scores).result() <= high + 1e-9
    assert low - 1e-6 <= float(metric.result()) <= high + 1e-6


@pytest.mark.parametrize("case", [case for case in CASES if case != "a million"])
def test_bounds_hold_in_each_case(case):
    labels, scores = CASES[case]
    low, high = binned(labels, scores, bins=64, limit=4).bounds()
    assert low - 1e-9 <= pooled(labels, scores).result() <= high + 1e-9


def test_many_scores_are_binned_to_within_little():
    labels, scores = CASES["a million"]
    metric, exact = binned(labels, scores), pooled(labels, scores).result()
    assert float(metric.result()) == pytest.approx(exact, abs=1e-4)
    low, high = metric.bounds()
    assert exact - 3e-3 < low < high < exact + 3e-3


def test_probabilities_are_binned_as_their_logits():
    labels, scores = noisy(5000, rate=0.3)
    # In the middle of bins of logits, so that rounding changes none.
    scores = np.floor(scores * 16) / 16 + 1 / 32
    metric = cvzoo.BinnedAveragePrecision(bins=512)
    metric.update_state(labels, 1 / (1 + np.exp(-scores)))
    expected = binned(labels, scores, bins=512)
    np.testing.assert_array_equal(metric.counts, expected.counts)


def test_confident_probabilities_are_told_apart():
    metric = cvzoo.BinnedAveragePrecision()
    metric.update_state([1, 0, 1, 0], [1.0, 1 - 1e-6, 1 - 1e-5, 0.0])
    low, high = metric.bounds()
    # Of single scores the sum of the lower bound is not quite its integral.
    assert low == pytest.approx(5 / 6, abs=0.01) and high == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ("labels", "scores"),
    [([1, 0], [np.nan, 0.5]), ([1, 0], [1.5, 0.5]), ([1, 2], [0.5, 0.5])],
)
def test_binned_scores_that_cannot_be_give_nan(labels, scores):
    metric = cvzoo.BinnedAveragePrecision()
    metric.update_state(labels, scores)
    assert np.isnan(metric.result()) and np.all(np.isnan(metric.bounds()))
    metric.reset_state()
    metric.update_state([1, 0], [0.5, 0.5])
    assert float(metric.result()) == pytest.approx(2 / 3)


def test_binned_without_positives_it_is_0():
    metric = binned([0, 0], [1, 2])
    assert float(metric.result()) == 0 and metric.bounds() == (0, 0)


def test_counts_go_on_where_float32_stops():
    metric = binned([0, 1], [0, 0])
    many = np.asarray(metric.counts) * 2**24
    metric.counts.assign(many)
    metric.update_state([0, 1], [0.0, 0.0])
    np.testing.assert_array_equal(metric.counts, many + (many > 0))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_scores_are_counted(dtype):
    labels, scores = noisy(300)
    scores = keras.ops.cast(scores, dtype)
    metric = cvzoo.BinnedAveragePrecision(from_logits=True, dtype=dtype)
    metric.update_state(labels, scores)
    expected = binned(labels, keras.ops.cast(scores, "float32"))
    assert float(metric.result()) == float(expected.result())


def test_compiled_it_counts_the_same():
    metric, other = (cvzoo.BinnedAveragePrecision() for _ in range(2))
    labels, scores = noisy(40, 3)
    scores = (1 / (1 + np.exp(-scores))).astype(np.float32)
    labels = labels.astype(np.float32)
    state = [variable.value for variable in metric.variables]
    found = jitted(
        lambda labels, scores: metric.stateless_result(
            metric.stateless_update_state(state, labels, scores)
        )
    )(labels, scores)
    other.update_state(labels, scores)
    assert float(found) == pytest.approx(float(other.result()), abs=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_it_is_a_metric_of_compile(jit_compile):
    labels, inputs = noisy(50, 3)
    labels = labels.astype(np.float32)
    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.Dense(3, "sigmoid")(x))
    metric = cvzoo.BinnedAveragePrecision()
    model.compile("sgd", "mse", metrics=[metric], jit_compile=jit_compile)
    model.fit(inputs, labels, batch_size=20, verbose=0)
    found = model.evaluate(inputs, labels, batch_size=20, return_dict=True, verbose=0)
    expected = cvzoo.BinnedAveragePrecision()
    expected.update_state(labels, model.predict(inputs, verbose=0))
    np.testing.assert_allclose(found["average_precision"], expected.result(), atol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute")
def test_replicas_count_together():
    import tensorflow as tf

    from training import keras_gaps, sharing

    labels, inputs = noisy(50, 3)
    strategy = two_replicas()
    with strategy.scope():
        x = keras.Input((3,))
        model = keras.Model(x, keras.layers.Identity()(x))
        metric = cvzoo.BinnedAveragePrecision(from_logits=True)
        model.compile("sgd", "mse", metrics=[metric])
    batches = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(20)
    shares, steps = sharing.evaluation_batches(batches, strategy)
    with keras_gaps.filled():
        found = model.evaluate(shares, steps=steps, return_dict=True, verbose=0)
    expected = binned(labels, inputs)
    assert found["average_precision"] == float(expected.result())
    np.testing.assert_array_equal(metric.counts, expected.counts)


def test_a_binned_metric_comes_back_from_its_configuration():
    metric = cvzoo.BinnedAveragePrecision(7, 3, from_logits=True, name="other")
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(metric)
    )
    assert type(copy) is cvzoo.BinnedAveragePrecision
    assert copy.get_config() == metric.get_config()


def test_a_column_of_outputs_may_have_a_row_of_labels():
    assert float(binned([1, 0], [[2], [1]]).result()) == 1


@pytest.mark.parametrize("shape", [(4, 2), (3,), (2, 2, 2)])
def test_binned_labels_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"must have the same shape.*scores of \(2, 4"):
        binned(np.zeros(shape), np.zeros((2, 4)))


def test_binned_arguments_that_cannot_be_are_refused():
    for wrong in ({"bins": 0}, {"bins": 2.5}, {"limit": 0}):
        with pytest.raises(ValueError, match="`bins` must be a whole number"):
            cvzoo.BinnedAveragePrecision(**wrong)
    with pytest.raises(ValueError, match="takes no sample weights"):
        cvzoo.BinnedAveragePrecision().update_state([1], [0.5], sample_weight=[1])
