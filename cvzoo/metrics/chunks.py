"""Labels and scores as the exact metrics keep them: checked, small, in chunks."""

import numpy as np

_LARGEST_INTEGER = 2**53  # Up to which float64 has them all.


class NaNScoresError(ValueError):
    """Scores that are NaN have no order."""


def join(chunks):
    """The one array that a list of them becomes."""
    if len(chunks) != 1:
        chunks[:] = [np.concatenate(chunks) if chunks else np.empty(0, np.float32)]
    return chunks[0]


def is_positive(labels):
    """Which labels are 1; raises where one is neither 0 nor 1."""
    found = labels == 1
    is_wrong = ~(found | (labels == 0))
    if np.any(is_wrong):
        raise ValueError(
            f"Labels must be 0 or 1. Received: {np.unique(labels[is_wrong])[:5]}"
        )
    return found


def check_same_shape(labels, scores):
    """Raises where the shapes differ."""
    if labels.shape != scores.shape:
        raise ValueError(
            "Labels and scores must have the same shape. Received: labels of "
            f"{labels.shape}, scores of {scores.shape}"
        )


def exact_floats(scores):
    """Scores as float32 where that changes none of them, otherwise as float64."""
    # float16, bfloat16, and integers of up to 16 bits.
    if np.can_cast(scores.dtype, np.float32):
        return scores.astype(np.float32, copy=False)
    if not np.can_cast(scores.dtype, np.float64):
        raise ValueError(
            "Scores must be real numbers of no more than 64 bits. Received: "
            f"{scores.dtype}"
        )
    if scores.dtype.kind in "iu" and scores.size:
        extreme = max(int(scores.max()), -int(scores.min()))
        if extreme > _LARGEST_INTEGER:
            raise ValueError(
                "Scores that are integers must be within ±2^53, where float64 tells "
                f"them apart. Received: {extreme}"
            )
    scores = scores.astype(np.float64, copy=False)
    with np.errstate(over="ignore"):
        narrow = scores.astype(np.float32)
    return narrow if np.array_equal(narrow, scores, equal_nan=True) else scores
