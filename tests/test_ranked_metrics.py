"""Metrics of ranked labels of videos, beside slow ones that go label by label."""

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import strategies as some
from sklearn.metrics import average_precision_score

import cvzoo
from cvzoo.metrics import NaNScoresError
from tests.ranked_oracle import METRICS, RANDOM, metric_of, noisy, slow, value

INFINITE = np.array([[np.inf, -np.inf, 1], [np.inf, np.inf, -np.inf]])
CASES = {
    "many classes": noisy(50, 84, 0.04),
    "ties": noisy(60, 30, 0.1, digits=0),
    "more than 20 positives": noisy(12, 60, 0.6),
    "fewer classes than k": noisy(40, 2, 0.3, digits=0),
    "one class": noisy(40, 1, 0.3, digits=1),
    "one video": noisy(1, 40, 0.2),
    "videos without labels": (np.eye(7, 9), noisy(7, 9, 0)[1] * np.ones((7, 1))),
    "no positives": (np.zeros((3, 5)), np.ones((3, 5))),
    "only positives": (np.ones((5, 30)), noisy(5, 30, 0)[1]),
    "all equal": (np.arange(250).reshape(10, 25) % 3 == 0, np.zeros((10, 25))),
    "infinite": (np.array([[0, 1, 0], [1, 0, 0]]), INFINITE),
    "zeros of both signs": (
        np.array([[1, 0, 1, 0, 1]]),
        np.float32([[0, -0.0] * 2 + [0]]),
    ),
    "64 bits": (np.array([[1, 0], [0, 1]]), 1 + np.array([[2e-12, 1e-12], [0, 3e-12]])),
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("case", CASES)
def test_it_is_the_slow_one(case, name):
    labels, scores = CASES[case]
    ids = RANDOM.integers(-(2**62), 2**62, len(labels))
    found = value(metric_of(name, labels, scores, ids))
    expected = slow(name, np.asarray(labels), scores, ids.tolist())
    assert found == pytest.approx(expected, rel=0, abs=1e-12)


@pytest.mark.parametrize("k", [None, 3])
def test_without_ties_the_mean_is_that_of_scikit_learn(k):
    labels, scores = CASES["many classes"]
    if k:
        # Those beyond the best of their video come last, and no positive is there.
        best = np.argsort(np.argsort(-scores)) < k
        labels = labels & best
        scores = np.where(best, scores, scores - 1e3)
    labels[:, :3] = False
    metric = cvzoo.MeanAveragePrecision(k)
    metric.update_state(labels, scores)
    present = labels.any(0)
    expected = [
        average_precision_score(labels[:, one], scores[:, one])
        for one in np.flatnonzero(present)
    ]
    np.testing.assert_allclose(metric.by_class()[present], expected, atol=1e-12)
    assert np.all(np.isnan(metric.by_class()[~present]))
    assert metric.result() == pytest.approx(np.mean(expected), abs=1e-12)


def test_values_by_hand():
    labels = [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]]
    scores = [[0.9, 0.8, 0.1, 0.7], [0.6, 0.5, 0.2, 0.3], [0.4, 0.35, 0.0, 0.05]]
    # Of 0.9, 0.8, 0.6, 0.5, 0.4, 0.35 the first and the fourth are right, of three.
    metric = cvzoo.GlobalAveragePrecision(2)
    metric.update_state(labels, scores)
    assert metric.result() == pytest.approx((1 + 2 / 4) / 3)
    assert metric_of("hit", labels, scores).result() == pytest.approx(1 / 3)
    assert metric_of("perr", labels, scores).result() == pytest.approx(0.5 / 3)
    found = metric_of("map", labels, scores).by_class()
    np.testing.assert_array_equal(found, [1, 1 / 2, np.nan, 1])


def test_hashes_of_videos_and_classes_shuffle_ties():
    # One of four equal scores is right: 1, 1/2, 1/3 or 1/4, as often as one another.
    found = np.zeros(4000)
    for video in range(len(found)):
        metric = cvzoo.GlobalAveragePrecision()
        metric.update_state([[0, 1, 0, 0]], [[0.5] * 4], [video])
        found[video] = metric.result()
    values, counts = np.unique(found, return_counts=True)
    np.testing.assert_allclose(values, [1 / 4, 1 / 3, 1 / 2, 1])
    # Four standard deviations.
    assert np.all(np.abs(counts - 1000) < 4 * np.sqrt(4000 * 0.25 * 0.75))


def test_the_best_of_a_video_are_the_same_for_all_metrics():
    labels, scores = CASES["all equal"]
    # Hit@1 is the precision of the first of each video, as GAP@1 takes it.
    metric = cvzoo.GlobalAveragePrecision(1)
    metric.update_state(labels, scores)
    hits = np.count_nonzero(metric.get_state()["keys"] & np.uint64(1))
    assert metric_of("hit", labels, scores).result() == hits / len(labels)


def ids_of(kind, count):
    if kind is None:
        return None
    numbers = RANDOM.permutation(count)
    return numbers if kind is int else np.array([f"vidéo {one}" for one in numbers])


# Few values, so that many are equal; some videos have the same of everything.
VIDEOS = some.integers(1, 12).flatmap(
    lambda videos: some.integers(1, 6).flatmap(
        lambda classes: some.tuples(
            some.lists(
                some.lists(some.booleans(), min_size=classes, max_size=classes),
                min_size=videos,
                max_size=videos,
            ),
            some.lists(
                some.lists(
                    some.integers(-1, 2) | some.sampled_from([np.inf, -np.inf, -0.0]),
                    min_size=classes,
                    max_size=classes,
                ),
                min_size=videos,
                max_size=videos,
            ),
        )
    )
)


@hypothesis.given(VIDEOS, some.integers(-99, 99))
@pytest.mark.parametrize("name", METRICS)
def test_it_is_the_slow_one_whatever_the_scores(name, videos, first):
    labels, scores = (np.array(one) for one in videos)
    ids = np.arange(first, first + len(labels))
    found = value(metric_of(name, labels, scores, ids))
    expected = slow(name, labels, scores, ids.tolist())
    assert found == pytest.approx(expected, rel=0, abs=1e-12)


@hypothesis.given(VIDEOS, some.sampled_from([None, int, str]), some.randoms())
@pytest.mark.parametrize("name", METRICS)
def test_no_order_of_videos_changes_a_bit(name, videos, kind, random):
    labels, scores = (np.array(one) for one in videos)
    ids = ids_of(kind, len(labels))
    whole = value(metric_of(name, labels, scores, ids))
    parts = [METRICS[name]() for _ in range(3)]
    order = list(range(len(labels)))
    random.shuffle(order)
    while order:
        size = random.randint(1, 4)
        rows, order = order[:size], order[size:]
        own = None if ids is None else ids[rows]
        random.choice(parts).update_state(labels[rows], scores[rows], own)
    random.shuffle(parts)
    parts[0].merge_state(parts[1:])
    assert value(parts[0]) == whole
    # As workers exchange them.
    states = [parts[0].get_state(), METRICS[name]().get_state()]
    random.shuffle(states)
    copy = METRICS[name]()
    copy.set_state(
        {
            key: np.concatenate([one[key] for one in states if len(one[key])])
            for key, array in parts[0].get_state().items()
        }
    )
    assert value(copy) == whole
    assert copy.scores_seen == labels.size


def test_ties_are_within_what_all_orders_give():
    """Positives of equal scores last, and first."""
    random = np.random.default_rng(0)
    for _ in range(50):
        labels = (random.random((8, 5)) < 0.3).astype(int)
        labels[0, 0] = 1
        scores = random.integers(0, 3, (8, 5)) / 2
        bounds = []
        for sign in (-1, 1):
            right = labels.ravel()[
                np.lexsort((-sign * labels.ravel(), -scores.ravel()))
            ]
            precision = np.cumsum(right) / np.arange(1, right.size + 1)
            bounds.append(np.sum(precision * right) / labels.sum())
        found = metric_of("gap", labels, scores).result()
        assert bounds[0] - 1e-12 <= found <= bounds[1] + 1e-12


@pytest.mark.parametrize("name", METRICS)
def test_one_video_twice_with_other_labels_has_an_order_too(name):
    labels, scores, ids = [[1, 0], [0, 1], [1, 0]], np.zeros((3, 2)), ["a", "a", "b"]
    one = metric_of(name, labels, scores, ids).result()
    other = metric_of(name, labels[::-1], scores, ids[::-1]).result()
    assert one == other


@pytest.mark.parametrize("name", METRICS)
def test_types_change_nothing(name):
    labels, scores = CASES["ties"]
    ids = [f"id{one}" for one in range(len(labels))]
    expected = metric_of(name, labels, scores, ids).result()
    tensor = keras.ops.convert_to_tensor
    for own in (np.array(ids), [one.encode() for one in ids], np.array(ids, object)):
        assert metric_of(name, labels, scores, own).result() == expected
    found = metric_of(name, tensor(labels, "float32"), tensor(scores, "bfloat16"), ids)
    assert found.result() == expected
    for dtype in ("int16", "float64"):
        found = metric_of(name, labels.astype("uint8"), scores.astype(dtype), ids)
        assert found.result() == expected
    numbers = np.arange(len(labels))
    expected = metric_of(name, labels, scores, numbers).result()
    assert metric_of(name, labels, scores, numbers.astype("uint8")).result() == expected


@pytest.mark.parametrize("name", METRICS)
def test_more_videos_may_come_after_a_result_and_none_are_left_after_a_reset(name):
    labels, scores = CASES["ties"]
    metric = metric_of(name, labels[:20], scores[:20])
    metric.result()
    metric.update_state(labels[20:], scores[20:])
    metric.update_state(labels[:0], scores[:0])
    assert metric.result() == metric_of(name, labels, scores).result()
    metric.reset_state()
    with pytest.raises(ValueError, match="of no videos is not defined"):
        metric.result()
    metric.update_state(labels[:20], scores[:20])
    assert metric.result() == metric_of(name, labels[:20], scores[:20]).result()


def test_the_arrays_are_kept_as_small_as_is_said():
    labels, scores = noisy(100, 3862, 0.001)
    sizes = {
        name: sum(
            one.nbytes for one in metric_of(name, labels, scores).get_state().values()
        )
        for name in ("gap", "map", "map at 3", "hit", "perr")
    }
    positives = 8 * 3862  # By class, of all videos together.
    assert sizes["gap"] == 100 * 240 + 24
    assert sizes["map"] == 100 * (4 * 3862 + 483 + 8) + positives + 24
    assert sizes["map at 3"] == 100 * (3 * 8 + 1 + 8) + positives + 24
    assert sizes["hit"] == 16 + 24 and sizes["perr"] < 24 * 20


def test_scores_are_copied():
    labels, scores = noisy(10, 5, 0.3)
    metric = metric_of("map", labels, scores)
    before = metric.result()
    scores[:] = 0
    metric.get_state()["scores"][:] = 0
    assert metric.result() == before


@pytest.mark.parametrize("name", METRICS)
def test_without_positives_it_is_0_with_a_warning(name):
    metric = metric_of(name, np.zeros((2, 3)), np.ones((2, 3)))
    with pytest.warns(UserWarning, match="No label is positive"):
        assert metric.result() == 0


@pytest.mark.parametrize("name", METRICS)
def test_scores_that_are_nan_are_told_at_the_end(name):
    # It is not among the three best.
    metric = metric_of(name, [[1, 0, 0, 0, 1]], [[4, 3, 2, 1, np.nan]])
    metric.update_state([[1, 0, 0, 0, 1]], [[np.nan] * 5])
    with pytest.raises(NaNScoresError, match="6 of 10 scores are NaN"):
        metric.result()


@pytest.mark.parametrize(
    ("labels", "scores", "videos", "message"),
    [
        ([[1, 0]], [[0.1]], None, r"labels of \(1, 2\), scores of \(1, 1\)"),
        ([1, 0], [0.1, 0.2], None, r"of shape \(videos, classes\).*Received: \(2,\)"),
        (np.ones((2, 0)), np.ones((2, 0)), None, "at least one class"),
        ([[1, 2, -1]], [[1, 2, 3]], None, r"must be 0 or 1. Received: \[-1  2\]"),
        ([[1, 0]], [[1j, 2]], None, "must be real numbers"),
        ([[1, 0]], [[1, 2]], [1, 2], r"one id for each video.*ids of shape \(2,\)"),
        ([[1, 0]], [[1, 2]], [1.5], "must be integers.*Received: 1.5"),
        ([[1, 0]], [[1, 2]], [2**70], "of no more than 64 bits"),
    ],
)
@pytest.mark.parametrize("name", ["gap", "perr", "map"])
def test_what_cannot_be_is_refused(name, labels, scores, videos, message):
    metric = METRICS[name]()
    with pytest.raises(ValueError, match=message):
        metric.update_state(labels, scores, videos)
    assert all(not len(array) for array in metric.get_state().values())


def test_arguments_that_cannot_be_are_refused():
    for wrong in (0, -1, 2.5, "3", True):
        for kind in (cvzoo.GlobalAveragePrecision, cvzoo.MeanAveragePrecision):
            with pytest.raises(ValueError, match="`k` must be a positive whole number"):
                kind(k=wrong)
    with pytest.raises(ValueError, match="`absent` must be 'skip' or 'zero'"):
        cvzoo.MeanAveragePrecision(absent="one")


def test_only_metrics_of_the_same_kind_are_merged():
    metric = cvzoo.GlobalAveragePrecision(3)
    for other in (cvzoo.GlobalAveragePrecision(4), cvzoo.HitAtOne()):
        with pytest.raises(ValueError, match="Only metrics of the same kind.*'k': 3"):
            metric.merge_state([other])
    metric = metric_of("map", [[1, 0]], [[1, 2]])
    with pytest.raises(
        ValueError, match="the same classes. Received rows of 3.*here 2"
    ):
        metric.update_state([[1, 0, 0]], [[1, 2, 3]])
    assert metric.result() == 1
