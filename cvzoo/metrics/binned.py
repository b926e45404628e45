"""An average precision of fixed size, for `compile`."""

import numbers

import keras
import numpy as np
from keras import ops as kops


class BinnedMetric(keras.metrics.Metric):
    """Numbers of scores by bin, equally wide in the logit; 0 is that of the largest.

    Args:
        bins, limit, from_logits: As of `BinnedAveragePrecision`.
        histograms, others: The variable `counts` has as many, and as many other ones.
        name, dtype: As of `keras.metrics.Metric`.
    """

    def __init__(self, bins, limit, from_logits, histograms, others, name, dtype):
        super().__init__(name=name, dtype=dtype)
        if not (isinstance(bins, numbers.Integral) and bins > 0 and limit > 0):
            raise ValueError(
                "`bins` must be a whole number, and it and `limit` positive. Received: "
                f"bins={bins!r}, limit={limit!r}"
            )
        self.bins, self.limit = int(bins), float(limit)
        self.from_logits = from_logits
        self.counts = self.add_variable(
            (histograms * self.bins + others,),
            "zeros",
            dtype=_counting_dtype(),
            name="counts",
        )

    def _logits(self, scores):
        """Logits of the scores; NaN where one is NaN, or no probability."""
        return scores if self.from_logits else kops.log(scores) - kops.log1p(-scores)

    def _is_known(self, labels, logits):
        """Which labels are 0 or 1, and have a score that can be."""
        is_label = kops.logical_or(kops.equal(labels, 0), kops.equal(labels, 1))
        return kops.logical_and(is_label, kops.logical_not(kops.isnan(logits)))

    def _bin(self, logits):
        """The bin of each logit."""
        places = (self.limit - logits) * (self.bins / (2 * self.limit))
        # NaN stays within the bins too.
        places = kops.where(kops.isnan(places), 0.0, places)
        return kops.cast(kops.clip(places, 0, self.bins - 1), "int32")

    def _floats(self, *counts):
        dtype = keras.backend.result_type(self.dtype, "float32")
        return [kops.cast(one, dtype) for one in counts]

    def get_config(self):
        config = super().get_config()
        config |= {
            "bins": self.bins,
            "limit": self.limit,
            "from_logits": self.from_logits,
        }
        return config


@keras.saving.register_keras_serializable("cvzoo")
class BinnedAveragePrecision(BinnedMetric):
    """Average precision over all scores together, from two histograms of them.

    For `compile`, where a metric cannot grow; `PooledAveragePrecision` is exact. Bins
    are equally wide in the logit, so that confident scores are told apart; the first
    and the last one take all that is beyond `limit`.

    Of a bin that has `p` positives and `n` negatives, and `T` and `F` above it, the
    metric takes the precision of its middle for each positive,
    `(T + (p + 1)/2) / (T + (p + 1)/2 + F + n/2)`. The exact average precision is

    - at most `Σ p (T + p)/(T + p + F)/P`: no threshold in the bin has more than `T + p`
      true positives, or fewer than `F` false ones;
    - at least `Σ_bins Σ_i (T + i)/(T + i + F + n)/P`: at the i-th positive of the bin,
      in falling order, at least `T + i` are true, and at most `F + n` false;

    whatever the scores, ties included. The metric lies between the two as well: the
    terms of the lower bound are concave in `i`, so that their mean is at most their
    value at `i = (p + 1)/2`. So it is off by no more than `bounds()` tell.

    Counts are int64 (JAX without 64 bits: int32, up to 2^31): float32 stops at 2^24
    scores in a bin, which one epoch of MusicNet has. They are summed over replicas. A
    score that is NaN, a probability outside [0, 1], or a label that is not 0 or 1
    makes the result NaN, as a compiled step cannot raise. Without positives it is 0.

    Args:
        bins: Number of bins.
        limit: Logits from `-limit` to `limit` are told apart.
        from_logits: Whether scores are logits, and not probabilities.
        name, dtype: As of `keras.metrics.Metric`.
    """

    def __init__(
        self,
        bins=4096,
        limit=16.0,
        from_logits=False,
        name="average_precision",
        dtype=None,
    ):
        # Negatives by bin, positives by bin, and what is neither.
        super().__init__(bins, limit, from_logits, 2, 1, name, dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts the scores of a batch.

        Args:
            y_true: Labels, 0 or 1, `(batch, ...)`.
            y_pred: Scores of the same shape.
            sample_weight: Not to be given: whole scores are counted.
        """
        check_no_weights(self, sample_weight)
        labels, scores = (
            kops.convert_to_tensor(one, "float32") for one in (y_true, y_pred)
        )
        _check_shapes(labels, scores)
        labels, scores = (kops.reshape(one, (-1,)) for one in (labels, scores))
        scores = self._logits(scores)
        is_positive = kops.equal(labels, 1)
        is_known = self._is_known(labels, scores)
        bins = self._bin(scores) + self.bins * kops.cast(is_positive, "int32")
        bins = kops.where(is_known, bins, 2 * self.bins)
        ones = kops.ones_like(bins, dtype=self.counts.dtype)
        counts = kops.segment_sum(ones, bins, num_segments=2 * self.bins + 1)
        self.counts.assign(self.counts + counts)

    def result(self):
        negatives, positives, wrong = self._split(self.counts)
        total = kops.sum(positives)
        value = binned_precision(self._floats, positives, negatives, total)
        return kops.where(wrong > 0, float("nan"), value)

    def bounds(self):
        """A lower and an upper bound of the exact average precision, two floats.

        Of the sum of the lower one the integral is taken, which is no more.
        """
        counts = kops.convert_to_numpy(self.counts)
        negatives, positives, wrong = self._split(counts.astype(np.float64))
        total = np.sum(positives)
        if wrong or not total:
            return (np.nan, np.nan) if wrong else (0.0, 0.0)
        return (
            lower_bound(positives, negatives, total),
            upper_bound(positives, negatives, total),
        )

    def _split(self, counts):
        return counts[: self.bins], counts[self.bins : -1], counts[-1]


def binned_precision(as_floats, positives, negatives, total):
    """`Σ p/total · (T + (p + 1)/2) / (T + (p + 1)/2 + F + n/2)` over bins.

    Args:
        as_floats: Function that makes floats of integers.
        positives, negatives: Their numbers by bin, integers, that of the largest scores
            first.
        total: Number of all positives, those that are in no bin included.
    """
    # Cumulative in whole numbers, as float32 would lose some.
    above = kops.cumsum(positives) - positives, kops.cumsum(negatives) - negatives
    true, false, p, n, total = as_floats(*above, positives, negatives, total)
    middle = true + (p + 1) / 2
    return kops.sum(p / kops.maximum(total, 1) * (middle / (middle + false + n / 2)))


def upper_bound(positives, negatives, total):
    """Of the average precision of scores of these numbers by bin, float64 arrays."""
    true, false = np.cumsum(positives), np.cumsum(negatives)
    highest = positives * true / np.maximum(true + false - negatives, 1)
    return float(np.sum(highest) / total)


def lower_bound(positives, negatives, total):
    """As `upper_bound`, from below."""
    true, false = np.cumsum(positives), np.cumsum(negatives)
    # Σ_i (T + i)/(T + i + F + n) = p − (F + n) Σ_i 1/(T + i + F + n); as 1/x is
    # convex, each term is at most its integral from i − ½ to i + ½.
    middle = true - positives + false + 0.5
    lowest = positives - false * np.log1p(positives / middle)
    return float(np.sum(lowest) / total)


def check_no_weights(metric, sample_weight):
    if sample_weight is not None:
        raise ValueError(
            f"{type(metric).__name__} takes no sample weights. Give it to `compile` "
            "in `metrics`, and not in `weighted_metrics`."
        )


def _counting_dtype():
    if keras.backend.backend() != "jax":
        return "int64"
    import jax

    return "int64" if jax.config.jax_enable_x64 else "int32"


def _check_shapes(labels, scores):
    """Raises unless the shapes are equal but for axes of size 1."""
    shapes = [[size for size in one.shape if size != 1] for one in (labels, scores)]
    if len(shapes[0]) != len(shapes[1]) or any(
        None not in sizes and sizes[0] != sizes[1]
        for sizes in zip(*shapes, strict=True)
    ):
        raise ValueError(
            "Labels and scores must have the same shape. Received: labels of "
            f"{labels.shape}, scores of {scores.shape}"
        )
