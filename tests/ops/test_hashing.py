"""The hash against published values, and a count of where it leads."""

import numpy as np
import pytest
import scipy.stats
from keras import ops as kops

from cvzoo import ops
from tests.helpers import jitted


def hashed(keys, seed):
    keys = np.asarray(keys, "int32")
    return np.asarray(kops.convert_to_numpy(ops.murmur_hash(keys, seed)), np.int64)


@pytest.mark.parametrize(
    ("key", "seed", "expected"),
    [
        # Of the usual test vectors of MurmurHash3, those of four bytes.
        (0, 0, 0x2362F9DE),
        (0x87654321 - 2**32, 0, 0xF55B516B),
        (0x87654321 - 2**32, 0x5082EDEE, 0x2362F9DE),
        (-1, 0, 0x76293B50),
    ],
)
def test_published_values(key, seed, expected):
    assert hashed([key], seed) == [expected]


def test_it_is_that_of_scikit_learn():
    reference = pytest.importorskip("sklearn.utils").murmurhash3_32
    keys = np.random.default_rng(0).integers(0, 2**31, 200).astype("int32")
    for seed in (0, 1, 2**32 - 1):
        expected = [reference(int(key), seed, positive=True) for key in keys]
        np.testing.assert_array_equal(hashed(keys, seed), expected)


def test_keys_in_a_row_fall_evenly():
    counts = np.bincount(hashed(np.arange(100_000), 7) % 100, minlength=100)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_it_compiles_to_the_same():
    keys = np.arange(50, dtype="int32")
    found = jitted(lambda keys: ops.murmur_hash(keys, 3))(keys)
    np.testing.assert_array_equal(found, hashed(keys, 3))
