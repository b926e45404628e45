"""Fixed permutations, kept as a seed."""

import random

import numpy as np

MOST_SEEDS = 2**32


def check_seed(seed):
    """The value of an argument `seed`, drawn where it is `None`."""
    if seed is None:
        return random.randrange(MOST_SEEDS)
    if not isinstance(seed, int) or isinstance(seed, bool):
        in_range = False
    else:
        in_range = 0 <= seed < MOST_SEEDS
    if not in_range:
        raise ValueError(
            f"`seed` must be None or an integer in [0, 2**32). Received: {seed!r}"
        )
    return seed


def permutation(size, seed):
    """An array of the places 0, …, size − 1 in an order that only depends on the seed.

    NumPy has promised that this generator, unlike newer ones, never changes.
    """
    return np.random.RandomState(seed).permutation(size).astype("int32")
