"""What metrics of ranked labels of videos have in common."""

import abc
import numbers
import warnings

import numpy as np

from cvzoo.metrics.chunks import (
    NaNScoresError,
    check_same_shape,
    exact_floats,
    is_positive,
    join,
)
from cvzoo.metrics.ordering import video_hashes


class VideoMetric(abc.ABC):
    """A metric of videos that each may have several labels; exact, on the host.

    Its state is named arrays, to which each batch adds rows, as merging does; all
    workers' arrays one after another, along the first axis, are the state of all. No
    order of rows changes a bit of the result.

    Metrics that derive from it give the rows of a batch (`_rows`) and the value
    (`_value`).

    Args:
        name: What it is, for messages.
        nothing: Name of each array → the array without rows.
        compacted: Name of an array → function that makes many of its rows into few.
        settings: What must be equal for two metrics to be merged, by name.
    """

    def __init__(self, name, nothing, compacted=None, settings=None):
        self._name, self._settings = name, settings or {}
        # Scores, positives, scores that are NaN.
        self._nothing = {"tally": np.empty((0, 3), np.int64)} | nothing
        self._compacted = {"tally": total} | (compacted or {})
        self.reset_state()

    @abc.abstractmethod
    def _rows(self, is_positive, scores, hashes):
        """Name → rows of a batch; scores that are NaN came as -inf."""

    @abc.abstractmethod
    def _value(self):
        """The value, where there are positives and no NaN."""

    def reset_state(self):
        """Forgets all videos."""
        self._chunks = {name: [] for name in self._nothing}

    def update_state(self, labels, scores, videos=None):
        """Adds videos.

        Args:
            labels: Array of any type, 0 or 1, `(videos, classes)`.
            scores: Array of the same shape, larger where 1 is likelier: probabilities
                or logits.
            videos: Their ids, `(videos,)`: integers, strings or bytes, by which equal
                scores are ordered. By default a hash of the video's labels and scores
                stands for it.

        Raises:
            ValueError: Shapes differ or cannot be, labels are not 0 or 1, or there are
                not as many ids as videos.
        """
        labels, scores = np.asarray(labels), np.asarray(scores)
        check_same_shape(labels, scores)
        if labels.ndim != 2 or not labels.shape[1]:
            raise ValueError(
                "Labels and scores must be of shape (videos, classes), at least one "
                f"class. Received: {labels.shape}"
            )
        labels, scores = is_positive(labels), exact_floats(scores)
        hashes = video_hashes(videos, labels, scores)
        is_nan = np.isnan(scores)
        counts = labels.size, np.count_nonzero(labels), np.count_nonzero(is_nan)
        rows = self._rows(labels, np.where(is_nan, -np.inf, scores), hashes)
        self._add({"tally": np.array([counts], np.int64), **rows})

    @property
    def scores_seen(self):
        """Number of scores that were added, videos times classes."""
        return int(self._array("tally")[:, 0].sum())

    def merge_state(self, others):
        """Adds the videos of other metrics of the same kind, as a worker's each.

        Raises:
            ValueError: They are of another kind, or their numbers of classes differ.
        """
        others = list(others)
        for other in others:
            if type(other) is not type(self) or other._settings != self._settings:
                raise ValueError(
                    "Only metrics of the same kind can be merged. Received: "
                    f"{type(other).__name__} {getattr(other, '_settings', '')}, here "
                    f"{type(self).__name__} {self._settings}"
                )
        for other in others:
            self._add(other._arrays())

    def get_state(self):
        """Name → array; the rows are in any order."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def set_state(self, state):
        """Takes over what `get_state` gave, or several of them, row after row."""
        arrays = {name: np.array(state[name]) for name in self._chunks}
        self.reset_state()
        self._add(arrays)

    def result(self):
        """The value, a float; 0 with a warning where no label is positive.

        Raises:
            ValueError: There are no videos.
            NaNScoresError: Some scores are NaN. Not before, so that of several workers
                none waits for another that raised.
        """
        if not self._has_positives():
            warnings.warn(
                f"No label is positive: the {self._name} is not defined, and 0 is "
                "returned.",
                stacklevel=2,
            )
            return 0.0
        return float(self._value())

    def _has_positives(self):
        scores, positives, wrong = self._array("tally").sum(axis=0)
        if not scores:
            raise ValueError(
                f"The {self._name} of no videos is not defined. Call `update_state` "
                "first; data may be used up or empty."
            )
        if wrong:
            raise NaNScoresError(f"{wrong} of {scores} scores are NaN.")
        return positives > 0

    def _add(self, arrays):
        # Of no rows not even the width need be known.
        arrays = {name: array for name, array in arrays.items() if len(array)}
        for name, array in arrays.items():
            kept = self._chunks[name]
            if kept and kept[0].shape[1:] != array.shape[1:]:
                raise ValueError(
                    "All videos must have the same classes. Received rows of "
                    f"{array.shape[1]} {name}, here {kept[0].shape[1]}"
                )
        for name, array in arrays.items():
            self._chunks[name].append(array)
            if name in self._compacted:
                self._chunks[name] = [self._compacted[name](self._array(name))]

    def _arrays(self):
        return {name: self._array(name) for name in self._chunks}

    def _array(self, name):
        """All rows of an array."""
        chunks = self._chunks[name]
        return join(chunks) if chunks else self._nothing[name]


def total(rows):
    """Their sum, as the one row."""
    return rows.sum(axis=0, keepdims=True)


def checked_k(k):
    """`k` as an int; raises unless it is a positive whole number."""
    is_whole = isinstance(k, numbers.Integral) and not isinstance(k, bool)
    if not (is_whole and k > 0):
        raise ValueError(f"`k` must be a positive whole number. Received: k={k!r}")
    return int(k)
