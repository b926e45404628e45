"""The digits and their folds of whole writers."""

import numpy as np
import pytest
import sklearn.datasets

from training.data import digits


@pytest.mark.parametrize("fold", range(digits.FOLDS))
def test_splits_are_disjoint_and_whole(fold):
    splits = [digits.indices(split, fold) for split in digits.SPLITS]
    together = np.concatenate(splits)
    np.testing.assert_array_equal(np.sort(together), np.arange(1797))
    for places in splits:
        # Whole groups: each group is inside or outside.
        groups = np.searchsorted(digits.BOUNDARIES, places, side="right") - 1
        for group in np.unique(groups):
            size = digits.BOUNDARIES[group + 1] - digits.BOUNDARIES[group]
            assert np.sum(groups == group) == size


def test_each_example_is_tested_once():
    tested = [digits.indices("test", fold) for fold in range(digits.FOLDS)]
    np.testing.assert_array_equal(np.sort(np.concatenate(tested)), np.arange(1797))


def test_images_and_labels_are_sklearns():
    images, labels = next(iter(digits.load("validation", fold=3).batch(2000)))
    places = digits.indices("validation", 3)
    stored = sklearn.datasets.load_digits()
    np.testing.assert_array_equal(images[..., 0] * 16, stored.images[places])
    np.testing.assert_array_equal(labels, stored.target[places])
    assert float(np.max(images)) == 1.0


@pytest.mark.parametrize(("split", "fold"), [("dev", 0), ("test", 7), ("test", -1)])
def test_unknown_splits_and_folds_are_refused(split, fold):
    with pytest.raises(ValueError, match="`split` must be one of"):
        digits.load(split, fold)
