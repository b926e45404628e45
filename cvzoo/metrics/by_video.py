"""Metrics of YouTube-8M that look at one video at a time, and take the mean."""

import numpy as np

from cvzoo.metrics import ordering
from cvzoo.metrics.videos import VideoMetric, total


def _by_number(rows):
    """Sums the rows that have the same first entry."""
    numbers, places = np.unique(rows[:, 0], return_inverse=True)
    found = np.zeros((len(numbers), rows.shape[1]), rows.dtype)
    np.add.at(found, places, rows)
    found[:, 0] = numbers
    return found


class HitAtOne(VideoMetric):
    """Hit@1: the share of videos whose best score is that of a positive.

    A video without positives is a miss and counts, as in YouTube-8M's evaluation. Of
    several best scores that one takes the first class's, which are the frequent ones;
    here the smaller hash of (video, class) comes first, so that equal scores do as
    well as chance. Only whole numbers are kept, of fixed size.

    Scores may be infinite.

    Reference:
        [Abu-El-Haija et al., 2016](https://arxiv.org/abs/1609.08675)
    """

    def __init__(self):
        # Videos, hits.
        nothing = {"hits": np.empty((0, 2), np.int64)}
        super().__init__("share of hits at one", nothing, {"hits": total})

    def _rows(self, is_positive, scores, hashes):
        best = ordering.are_best(scores, hashes, is_positive, 1)
        hits = np.count_nonzero(best & is_positive)
        return {"hits": np.array([[len(scores), hits]], np.int64)}

    def _value(self):
        videos, hits = self._array("hits").sum(axis=0)
        return hits / videos


class PrecisionAtEqualRecallRate(VideoMetric):
    """PERR: the mean over videos of the precision at as many scores as positives.

    Of a video that has `n` positives it is the share of them among its `n` best scores,
    where precision and recall are equal. A video without positives counts as 0, as it
    comes out in YouTube-8M's evaluation.

    Two things differ from that one. It takes no score that is not above 0 for a hit,
    which probabilities always are, but for those that are rounded to 0; here all of the
    `n` best may hit, so that logits will do. And of scores equal to the n-th it takes
    those that a partial sort leaves there; here the smaller hashes of (video, class).

    Kept are whole numbers, videos and hits by how many positives a video has: 24 bytes
    for each of these numbers. So merging is exact.

    Scores may be infinite.

    Reference:
        [Abu-El-Haija et al., 2016](https://arxiv.org/abs/1609.08675)
    """

    def __init__(self):
        # Positives of a video, how many videos have as many, their hits.
        nothing = {"hits": np.empty((0, 3), np.int64)}
        super().__init__(
            "precision at equal recall rate", nothing, {"hits": _by_number}
        )

    def _rows(self, is_positive, scores, hashes):
        numbers, rows = np.count_nonzero(is_positive, axis=1), []
        for number in np.unique(numbers):
            own = numbers == number
            videos, hits = np.count_nonzero(own), 0
            if number:
                labels = is_positive[own]
                best = ordering.are_best(scores[own], hashes[own], labels, number)
                hits = np.count_nonzero(best & labels)
            rows.append((number, videos, hits))
        return {"hits": np.array(rows, np.int64).reshape(-1, 3)}

    def _value(self):
        numbers, videos, hits = self._array("hits").T
        return np.sum(hits / np.maximum(numbers, 1)) / videos.sum()
