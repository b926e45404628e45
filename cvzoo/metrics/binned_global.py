"""A global average precision of fixed size, for `compile`."""

import keras
import numpy as np
from keras import ops as kops

from cvzoo.metrics.binned import (
    BinnedMetric,
    binned_precision,
    check_no_weights,
    lower_bound,
    upper_bound,
)
from cvzoo.metrics.videos import checked_k


@keras.saving.register_keras_serializable("cvzoo")
class BinnedGlobalAveragePrecision(BinnedMetric):
    """GAP@k from histograms of the `k` best scores of each video.

    For `compile`, where a metric cannot grow; `GlobalAveragePrecision` is exact. Bins,
    the value and its bounds are those of `BinnedAveragePrecision`, over the `k` best
    scores of each video, divided by the number of all positives, those beyond the `k`
    best included. So it is off by no more than `bounds()` tell.

    Where scores equal to the k-th are more than there are places for, `q` of them
    positive and `a` not, for `m` places, which of them are taken is open: the bin gets
    at least `max(0, m − a)` positives and at most `min(q, m)`. As both the average
    precision and the value of a bin rise where a negative becomes a positive, the
    lower bound is that of the fewest and the upper one that of the most; the metric is
    the mean of its value at both. So the bounds hold for any choice, that of
    `GlobalAveragePrecision` included.

    Counts are whole numbers, as of `BinnedAveragePrecision`, of three histograms. A
    score that is NaN, a probability outside [0, 1], or a label that is not 0 or 1,
    among the `k` best or not, makes the result NaN, as a compiled step cannot raise.
    Without positives it is 0.

    Args:
        k: How many scores of a video count; all where it has fewer classes.
        bins: Number of bins.
        limit: Logits from `-limit` to `limit` are told apart.
        from_logits: Whether scores are logits, and not probabilities.
        name, dtype: As of `keras.metrics.Metric`.
    """

    def __init__(
        self,
        k=20,
        bins=4096,
        limit=16.0,
        from_logits=False,
        name="global_average_precision",
        dtype=None,
    ):
        # Scores, fewest positives and most, by bin; all positives, and what is wrong.
        super().__init__(bins, limit, from_logits, 3, 2, name, dtype)
        self.k = checked_k(k)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts the scores of a batch.

        Args:
            y_true: Labels, 0 or 1, `(batch, classes)`.
            y_pred: Scores of the same shape.
            sample_weight: Not to be given: whole scores are counted.
        """
        check_no_weights(self, sample_weight)
        labels, scores = (
            kops.convert_to_tensor(one, "float32") for one in (y_true, y_pred)
        )
        _check_videos(labels, scores)
        logits = self._logits(scores)
        is_positive = kops.equal(labels, 1)
        is_known = self._is_known(labels, logits)
        # Scores, as several may have one logit.
        best, places = kops.top_k(scores, min(self.k, scores.shape[1]))
        total = self._histogram(
            kops.take_along_axis(logits, places, axis=1), kops.ones_like(places)
        )
        fewest, most = self._positives(scores, logits, is_positive, best, places)
        rest = (self._sum(is_positive), self._sum(kops.logical_not(is_known)))
        counts = kops.concatenate([total, fewest, most, kops.stack(rest)])
        self.counts.assign(self.counts + counts)

    def _positives(self, scores, logits, is_positive, best, places):
        """The fewest and the most positives among the best, by bin."""
        last = best[:, -1:]
        is_tied = kops.equal(scores, last)
        tied, right = self._sum(is_tied, 1), self._sum(is_tied & is_positive, 1)
        free = self._sum(kops.equal(best, last), 1)
        fewest = kops.maximum(free - (tied - right), 0)
        most = kops.minimum(right, free)
        correct = kops.take_along_axis(is_positive, places, axis=1)
        sure = self._histogram(
            kops.take_along_axis(logits, places, axis=1),
            kops.logical_and(correct, best > last),
        )
        # One of the tied ones, whose logits are equal.
        logit = kops.take_along_axis(logits, places[:, -1:], axis=1)[:, 0]
        return [sure + self._histogram(logit, open_) for open_ in (fewest, most)]

    def _histogram(self, logits, numbers):
        numbers = kops.cast(kops.reshape(numbers, (-1,)), self.counts.dtype)
        bins = self._bin(kops.reshape(logits, (-1,)))
        return kops.segment_sum(numbers, bins, num_segments=self.bins)

    def _sum(self, mask, axis=None):
        return kops.sum(kops.cast(mask, self.counts.dtype), axis=axis)

    def result(self):
        total, *by_choice, positives, wrong = self._split(self.counts)
        values = [
            binned_precision(self._floats, correct, total - correct, positives)
            for correct in by_choice
        ]
        return kops.where(wrong > 0, float("nan"), (values[0] + values[1]) / 2)

    def bounds(self):
        """A lower and an upper bound of the exact GAP, two floats."""
        counts = kops.convert_to_numpy(self.counts).astype(np.float64)
        total, fewest, most, positives, wrong = self._split(counts)
        if wrong or not positives:
            return (np.nan, np.nan) if wrong else (0.0, 0.0)
        return (
            lower_bound(fewest, total - fewest, positives),
            upper_bound(most, total - most, positives),
        )

    def _split(self, counts):
        bins = self.bins
        histograms = [counts[place * bins : (place + 1) * bins] for place in range(3)]
        return *histograms, counts[-2], counts[-1]

    def get_config(self):
        return super().get_config() | {"k": self.k}


def _check_videos(labels, scores):
    """Raises unless both are `(batch, classes)`, and how many classes is known."""
    shapes = tuple(labels.shape), tuple(scores.shape)
    is_fine = all(len(shape) == 2 for shape in shapes) and shapes[1][1]
    if not is_fine or any(
        None not in sizes and sizes[0] != sizes[1]
        for sizes in zip(*shapes, strict=True)
    ):
        raise ValueError(
            "Labels and scores must have the same shape, (batch, classes), with a "
            f"known number of classes. Received: labels of {labels.shape}, scores of "
            f"{scores.shape}"
        )
