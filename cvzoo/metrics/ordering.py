"""One order of all scores, equal ones included, which no order of arrival changes.

Larger scores come first. Equal ones are ordered by a hash of video and class, as good
as a shuffle, but the same whichever worker had which video when; scores that have that
in common too, by whether they are correct, wrong ones first.
"""

import hashlib

import numpy as np

# Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014: the
# numbers of SplitMix64, seeded by the video, of which a class takes the one it counts.
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIXING = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_CORRECT = np.uint64(1)


def video_hashes(videos, is_positive, scores):
    """A 64-bit hash of each video.

    Args:
        videos: Ids, integers, strings or bytes, `(videos,)`; or `None`, where labels
            and scores stand for the video.
        is_positive, scores: Arrays `(videos, classes)`.

    Returns:
        uint64 array `(videos,)`. A string and its UTF-8 bytes have the same.
    """
    if videos is None:
        # Not -0.0, which equals 0.0.
        wide = (row.astype("<f8") + 0.0 for row in scores)
        labels = np.packbits(is_positive, axis=1)
        return _digests(
            row.tobytes() + own.tobytes() for row, own in zip(wide, labels, strict=True)
        )
    videos = np.asarray(videos)
    if videos.shape != scores.shape[:1]:
        raise ValueError(
            "`videos` must be one id for each video. Received: ids of shape "
            f"{videos.shape}, scores of {scores.shape}"
        )
    if videos.dtype.kind in "iu":
        return _mix(videos.astype(np.int64).view(np.uint64))
    ids = [one.encode() if isinstance(one, str) else one for one in videos.tolist()]
    if strange := [one for one in ids if not isinstance(one, bytes)]:
        raise ValueError(
            "`videos` must be integers of no more than 64 bits, strings or bytes. "
            f"Received: {strange[0]!r}"
        )
    return _digests(ids)


def keys(hashes, classes, is_correct):
    """What orders equal scores: 63 bits of a hash, and last whether it is correct.

    Within one video the 64-bit hashes of two classes always differ.

    Args:
        hashes: `video_hashes`, to be broadcast with `classes`.
        classes: Numbers of classes.
        is_correct: Whether the label of that class is positive.

    Returns:
        uint64 array; smaller ones come first.
    """
    # Arrays overflow silently, as is meant; single numbers warn.
    counted = (np.atleast_1d(classes).astype(np.uint64) + np.uint64(1)) * _STEP
    hashed = _mix(hashes + counted)
    return (hashed & ~_CORRECT) | np.asarray(is_correct).astype(np.uint64)


def is_correct(keys):
    """Which of the keys are of positives."""
    return (keys & _CORRECT).astype(bool)


def are_best(scores, hashes, is_positive, k):
    """Which scores are among the `k` best of their video.

    Args:
        scores: `(videos, classes)`, none of them NaN.
        hashes: `video_hashes`.
        is_positive: Labels, `(videos, classes)`.
        k: How many; all where there are fewer classes.

    Returns:
        Mask `(videos, classes)`, true `min(k, classes)` times in each row.
    """
    classes = scores.shape[1]
    if k >= classes:
        return np.ones(scores.shape, bool)
    last = np.partition(scores, classes - k, axis=1)[:, classes - k, None]
    found = scores >= last
    # Hashes are only needed where more than one place has the last score.
    tied = np.flatnonzero(np.count_nonzero(found, axis=1) > k)
    own = keys(hashes[tied, None], np.arange(classes), is_positive[tied])
    best = np.lexsort((own, -scores[tied]))[:, :k]
    found[tied] = False
    found[tied[:, None], best] = True
    return found


def average_precision(scores, keys, positives):
    """`Σ p(i)/positives` over the ranks `i` that are correct, with the precision `p`.

    Args:
        scores, keys: Of the same shape `(n,)`, in any order.
        positives: How many there are, those that are not among the scores included.
    """
    ranks = np.flatnonzero(is_correct(keys[np.lexsort((keys, -scores))])) + 1
    return float(np.sum(np.arange(1, len(ranks) + 1) / ranks) / positives)


def _mix(numbers):
    for shift, factor in _MIXING:
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
    return numbers ^ (numbers >> np.uint64(31))


def _digests(texts):
    digests = b"".join(hashlib.blake2b(one, digest_size=8).digest() for one in texts)
    return np.frombuffer(digests, "<u8").astype(np.uint64)
