"""Accuracy by signal-to-noise ratio and confusion matrices."""

import matplotlib.image
import numpy as np
import pytest
import sklearn.metrics

from training import pictures


def random_predictions(size, classes=4):
    random = np.random.default_rng(size)
    labels = random.integers(classes, size=size)
    predictions = np.where(
        random.random(size) < 0.6, labels, random.integers(classes, size=size)
    )
    return labels, predictions, 2 * random.integers(-1, 10, size=size)


@pytest.mark.parametrize("size", [1, 7, 500])
def test_accuracies_are_those_of_an_explicit_loop(size):
    labels, predictions, snr = random_predictions(size)
    values, accuracies = pictures.accuracy_per_snr(labels, predictions, snr)
    assert values.tolist() == sorted(set(snr.tolist()))
    for value, accuracy in zip(values, accuracies, strict=True):
        right = [
            label == prediction
            for label, prediction, ratio in zip(labels, predictions, snr, strict=True)
            if ratio == value
        ]
        np.testing.assert_allclose(accuracy, 100 * sum(right) / len(right))


def test_accuracies_of_no_examples_are_none():
    values, accuracies = pictures.accuracy_per_snr([], [], [])
    assert (values.size, accuracies.size) == (0, 0)


@pytest.mark.parametrize("size", [1, 500])
def test_confusion_is_scikit_learns(size):
    labels, predictions, _ = random_predictions(size)
    found = pictures.confusion(labels, predictions, 5)
    expected = sklearn.metrics.confusion_matrix(labels, predictions, labels=range(5))
    np.testing.assert_array_equal(found, expected)


def test_confusion_of_no_examples_is_zero():
    np.testing.assert_array_equal(pictures.confusion([], [], 2), np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 1], [0, 3], "`predictions` must be integers from 0 to 2"),
        ([0, -1], [0, 1], "`labels` must be integers from 0 to 2"),
        ([0, 1], [0.2, 0.8], "`predictions` must be integers"),
        ([0, 1], [0], "must be lists of one length"),
        ([0, 1], [[0.2, 0.8], [0.5, 0.5]], "must be lists of one length"),
    ],
)
def test_bad_predictions_are_refused(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        pictures.confusion(labels, predictions, 3)


def test_lists_of_unequal_length_have_no_accuracy():
    with pytest.raises(ValueError, match="must be lists of one length"):
        pictures.accuracy_per_snr([0, 1], [0, 1], [0])


def test_a_picture_of_curves_is_drawn(tmp_path):
    path = tmp_path / "new" / "curves.png"
    snr = np.arange(3)
    curves = {"with error": (snr, 30 * snr, snr), "without": (snr, 20 * snr)}
    pictures.accuracy_by_snr(curves, path, "Title")
    assert matplotlib.image.imread(path).shape == (585, 1040, 4)


def test_a_picture_of_a_confusion_matrix_is_drawn(tmp_path):
    path = tmp_path / "new" / "matrix.png"
    # The second class has no examples.
    pictures.confusion_matrix([[3, 1], [0, 0]], ["a", "b"], path, "Title")
    assert matplotlib.image.imread(path).shape == (585, 1040, 4)


def test_a_matrix_of_other_classes_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a row and a column for each of the 3"):
        pictures.confusion_matrix(np.eye(2), "abc", tmp_path / "matrix.png", "Title")


def test_no_curves_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one curve"):
        pictures.accuracy_by_snr({}, tmp_path / "curves.png", "Title")
