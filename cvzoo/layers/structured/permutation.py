"""Fixed permutations, kept as a seed."""

import random

import numpy as np

from cvzoo.layers.linear import as_integer

MOST_SEEDS = 2**32


def check_seed(seed):
    """The value of an argument `seed`, drawn where it is `None`."""
    if seed is None:
        return random.randrange(MOST_SEEDS)
    integer = as_integer(seed)
    if integer is None or not 0 <= integer < MOST_SEEDS:
        raise ValueError(
            f"`seed` must be None or an integer in [0, 2**32). Received: {seed!r}"
        )
    return integer


def permutation(size, seed):
    """An array of the places 0, …, size − 1 in an order that only depends on the seed.

    NumPy has promised that this generator, unlike newer ones, never changes.
    """
    return np.random.RandomState(seed).permutation(size).astype("int32")
