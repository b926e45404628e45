"""Average precisions of YouTube-8M: over all videos together, and class by class."""

import numpy as np

from cvzoo.metrics import ordering
from cvzoo.metrics.videos import VideoMetric, checked_k, total


class GlobalAveragePrecision(VideoMetric):
    """GAP@k: average precision over the `k` best scores of each video together.

    `Σ_i p(i) Δr(i)` over those scores, falling: `p(i)` is the share of positives among
    the first `i`, and `Δr(i)` is `1/N` where the i-th is one, otherwise 0. `N` counts
    all positives, those beyond the `k` best included, so that 1 may be out of reach.

    It is that of YouTube-8M's evaluation, but for ties. There they keep an order of
    arrival, shuffled with a fixed seed, so that batches and workers change the value;
    here the smaller hash of (video, class) comes first, for the `k`-th place of a video
    too, and merging in any order gives the same bits. As hashes tell nothing of labels,
    the value is one of those that shuffles give.

    The `k` best scores of each video are kept on the host: 12 bytes each, or 16 where
    some scores need float64, so 240 bytes a video for `k = 20`. `result` takes some 50
    more of each at its peak.

    Scores may be infinite.

    Args:
        k: How many scores of a video count; all where it has fewer classes.

    Example:

    ```python
    metric = GlobalAveragePrecision()
    for ids, inputs, labels in batches:
        metric.update_state(labels, model.predict_on_batch(inputs), ids)
    metric.result()
    ```

    Reference:
        [Abu-El-Haija et al., 2016](https://arxiv.org/abs/1609.08675), and
        `eval_util.py` of [google/youtube-8m](https://github.com/google/youtube-8m)
    """

    def __init__(self, k=20):
        self.k = checked_k(k)
        super().__init__(
            "global average precision",
            {"scores": np.empty(0, np.float32), "keys": np.empty(0, np.uint64)},
            settings={"k": self.k},
        )

    def _rows(self, is_positive, scores, hashes):
        best = ordering.are_best(scores, hashes, is_positive, self.k)
        videos, classes = np.nonzero(best)
        keys = ordering.keys(hashes[videos], classes, is_positive[best])
        return {"scores": scores[best], "keys": keys}

    def _value(self):
        positives = self._array("tally")[:, 1].sum()
        return ordering.average_precision(
            self._array("scores"), self._array("keys"), positives
        )


class MeanAveragePrecision(VideoMetric):
    """The mean over classes of the average precision of each.

    That of a class is `Σ_i p(i)/N` over the ranks `i` of its `N` positives, with the
    share `p(i)` of positives among the first `i`; not interpolated. Without ties it is
    what scikit-learn's `average_precision_score` gives with `average="macro"`. Ties
    are ordered by a hash of (video, class), so that merging in any order gives the
    same bits; scikit-learn makes them one threshold, and YouTube-8M's evaluation
    shuffles them.

    That evaluation only takes the `k = 20` best scores of each video into its classes'
    lists, while `N` counts all positives. Pass `k=20` for it.

    Kept on the host: 4⅛ bytes of each score (8⅛ where some need float64) and 8 of each
    video, so 16 kB a video of 3862 classes, and 18 000 of them are 0.3 GB. With `k`,
    8⅛ (12⅛) bytes of each of the `k` best, and 8: 171 bytes a video for `k = 20`.
    `result` takes some 50 bytes more of each score of one class, and with `k` some 16
    of all.

    Scores may be infinite.

    Args:
        k: How many scores of a video count; all by default.
        absent: What becomes of a class without a positive. `"skip"`: it is left out of
            the mean, as YouTube-8M's evaluation does by default. `"zero"`: it counts as
            0, as with that one's `filter_empty_classes=False`. Either way it is NaN in
            `by_class()`.
    """

    def __init__(self, k=None, absent="skip"):
        if absent not in ("skip", "zero"):
            raise ValueError(
                f"`absent` must be 'skip' or 'zero'. Received: absent={absent!r}"
            )
        self.k, self.absent = None if k is None else checked_k(k), absent
        # How many classes there are is not known yet.
        nothing = {
            "videos": np.empty(0, np.uint64),
            "scores": np.empty((0, 0), np.float32),
            "correct": np.empty((0, 0), np.uint8),
            "positives": np.empty((0, 0), np.int64),
        }
        if self.k:
            nothing["classes"] = np.empty((0, 0), np.int32)
        super().__init__(
            "mean average precision",
            nothing,
            compacted={"positives": total},
            settings={"k": self.k, "absent": self.absent},
        )

    def _rows(self, is_positive, scores, hashes):
        rows = {"videos": hashes, "positives": is_positive.sum(0, np.int64)[None]}
        if self.k:
            best = ordering.are_best(scores, hashes, is_positive, self.k)
            shape = len(best), min(self.k, best.shape[1])
            rows["classes"] = np.nonzero(best)[1].astype(np.int32).reshape(shape)
            scores, is_positive = (
                array[best].reshape(shape) for array in (scores, is_positive)
            )
        # Eight labels a byte.
        return rows | {"scores": scores, "correct": np.packbits(is_positive, axis=1)}

    def by_class(self):
        """The average precision of each class, float64 `(classes,)`.

        It is NaN where a class has no positive, so that `np.flatnonzero(np.isnan(...))`
        are the absent ones.

        Raises:
            ValueError, NaNScoresError: As `result`.
        """
        self._has_positives()
        positives = self._array("positives").sum(axis=0)
        parts = self._best_by_class if self.k else self._all_by_class
        return np.array(
            [
                ordering.average_precision(scores, keys, count) if count else np.nan
                for count, (scores, keys) in zip(positives, parts(), strict=True)
            ]
        )

    def _all_by_class(self):
        """Scores and keys, class by class."""
        videos, scores = self._array("videos"), self._array("scores")
        correct = self._array("correct")
        for one in range(scores.shape[1]):
            is_correct = correct[:, one // 8] >> (7 - one % 8) & 1
            yield scores[:, one], ordering.keys(videos, one, is_correct)

    def _best_by_class(self):
        """As `_all_by_class`, of those that are among the best of their video."""
        scores, classes = self._array("scores"), self._array("classes").ravel()
        width = scores.shape[1]
        correct = np.unpackbits(self._array("correct"), axis=1, count=width).ravel()
        order = np.argsort(classes, kind="stable")
        count = self._array("positives").shape[1]
        starts = np.searchsorted(classes, np.arange(count + 1), sorter=order)
        for one in range(count):
            places = order[starts[one] : starts[one + 1]]
            videos = self._array("videos")[places // width]
            yield scores.ravel()[places], ordering.keys(videos, one, correct[places])

    def _value(self):
        found = self.by_class()
        return np.sum(found[~np.isnan(found)]) / (
            len(found) if self.absent == "zero" else np.count_nonzero(~np.isnan(found))
        )
