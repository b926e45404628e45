"""The exact average precision of a whole data set."""

import warnings

import numpy as np

from cvzoo.metrics.chunks import (
    NaNScoresError,
    check_same_shape,
    exact_floats,
    is_positive,
    join,
)


class PooledAveragePrecision:
    """Average precision over the scores of all examples and classes together.

    `Σ_k (R_k − R_{k−1}) P_k`, with the precision `P_k` and recall `R_k` at the k-th
    largest distinct score: not interpolated, and equal scores are one threshold. It is
    what scikit-learn's `average_precision_score` gives for the flattened labels and
    scores, as in the runs of MusicNet of Trabelsi et al. and of paper 2.

    All scores are kept, on the host. float32 and smaller types take 4 bytes a score,
    and float64 takes 8, or 4 where no score of a call changes by it: no two scores
    become equal that were not. Labels take none, as positives and negatives are kept
    apart. `result` copies the scores once, to sort them: 8 bytes a score at its peak,
    and some 40 more of each positive.
    Its bits depend on which scores there are, and not on the order in which they came.

    Scores may be infinite. Where no label is positive, precision and recall say
    nothing; the result is 0, with a warning, as scikit-learn has it.

    Args:
        classes: Places on the last axis that count, such as the notes that the
            training data have; all by default.

    Example:

    ```python
    metric = PooledAveragePrecision()
    for inputs, labels in batches:
        metric.update_state(labels, model.predict_on_batch(inputs))
    metric.result()
    ```

    Reference:
        [Trabelsi et al., 2018](https://arxiv.org/abs/1705.09792)
    """

    def __init__(self, classes=None):
        self.classes = None if classes is None else _checked_classes(classes)
        self.reset_state()

    def reset_state(self):
        """Forgets all scores."""
        self._positives, self._negatives = [], []

    def update_state(self, labels, scores):
        """Adds the scores of a batch.

        Args:
            labels: Array of any type, 0 or 1, `(..., classes)`; any shape without
                `classes`.
            scores: Array of the same shape, larger where 1 is likelier: probabilities
                or logits.

        Raises:
            ValueError: Shapes differ, labels are not 0 or 1, or the last axis lacks one
                of `classes`.
        """
        labels, scores = np.asarray(labels), np.asarray(scores)
        check_same_shape(labels, scores)
        if self.classes is not None:
            labels, scores = (self._of_classes(array) for array in (labels, scores))
        which = is_positive(labels)
        scores = exact_floats(scores)
        self._positives.append(scores[which])
        self._negatives.append(scores[~which])

    def _of_classes(self, array):
        size = array.shape[-1] if array.ndim else 0
        if size <= self.classes[-1]:
            raise ValueError(
                f"The last axis must have the class {self.classes[-1]}. Received an "
                f"array of shape {array.shape}"
            )
        return array[..., self.classes]

    def merge_state(self, others):
        """Adds the scores of other metrics of the same classes, as a worker's each.

        Raises:
            ValueError: The classes differ.
        """
        others = list(others)
        for other in others:
            if other.classes != self.classes:
                raise ValueError(
                    "Only metrics of the same classes can be merged. Received: "
                    f"classes {other.classes}, here {self.classes}"
                )
        for other in others:
            self._positives += list(other._positives)
            self._negatives += list(other._negatives)

    def get_state(self):
        """The scores, `{"positives": array, "negatives": array}`, in any order."""
        return {
            "positives": join(self._positives).copy(),
            "negatives": join(self._negatives).copy(),
        }

    def set_state(self, state):
        """Takes over what `get_state` gave."""
        self._positives = [exact_floats(np.array(state["positives"]))]
        self._negatives = [exact_floats(np.array(state["negatives"]))]

    def result(self):
        """The average precision, a float.

        Raises:
            ValueError: There are no scores.
            NaNScoresError: Some are NaN. Not before, so that of several workers none
                waits for another that raised.
        """
        positives, negatives = join(self._positives), join(self._negatives)
        for scores in (positives, negatives):
            # Alone, so that neither places nor labels have to be moved with them.
            scores.sort()
        total = len(positives) + len(negatives)
        if not total:
            raise ValueError(
                "The average precision of no scores is not defined. Call "
                "`update_state` first; data may be used up or empty."
            )
        if wrong := np.isnan(positives).sum() + np.isnan(negatives).sum():
            raise NaNScoresError(f"{wrong} of {total} scores are NaN.")
        if not len(positives):
            warnings.warn(
                f"None of {total} labels is positive: the average precision is not "
                "defined, and 0 is returned.",
                stacklevel=2,
            )
            return 0.0
        return _average_precision(positives, negatives)


def _average_precision(positives, negatives):
    """From sorted scores; recall only rises at the scores of positives."""
    is_first = np.append(True, positives[1:] != positives[:-1])
    first = np.flatnonzero(is_first)
    above = len(positives) - first
    false = len(negatives) - np.searchsorted(negatives, positives[first])
    gained = np.diff(np.append(first, len(positives)))
    return float(np.sum(gained * (above / (above + false))) / len(positives))


def _checked_classes(classes):
    found = np.asarray(classes)
    if found.ndim != 1 or found.dtype.kind not in "iu" or not found.size:
        raise ValueError(
            "`classes` must be a list of places on the last axis, at least one; of a "
            f"mask, `np.flatnonzero(mask)`. Received: {classes!r}"
        )
    kept = sorted({int(one) for one in found})
    if kept[0] < 0 or len(kept) < len(found):
        raise ValueError(
            "`classes` must not be negative, and none be there twice. Received: "
            f"{classes!r}"
        )
    return kept
