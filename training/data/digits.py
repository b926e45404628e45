"""scikit-learn's 1 797 handwritten digits of 8×8 pixels, split by writer.

The file is ordered by writer. A random split would put each writer on both sides and
flatter every model by 3–4 points, so folds are made of whole writers.

Source: Alpaydin and Kaynak, 1998, Optical Recognition of Handwritten Digits, UCI
Machine Learning Repository, CC BY 4.0; shipped inside scikit-learn.
"""

import numpy as np
import sklearn.datasets
import tensorflow as tf

# Group i holds the examples from BOUNDARIES[i] up to BOUNDARIES[i + 1].
BOUNDARIES = (
    *(0, 130, 256, 386, 516, 646, 776, 915),
    *(1029, 1157, 1287, 1415, 1545, 1667, 1797),
)
GROUPS = len(BOUNDARIES) - 1
FOLDS = GROUPS // 2
CLASSES = [str(digit) for digit in range(10)]
SPLITS = ("train", "validation", "test")
ABOUT = {
    "name": "scikit-learn digits, folds of whole writers",
    "source": "Alpaydin and Kaynak, 1998, UCI Machine Learning Repository",
    "licence": "CC BY 4.0",
    "notice": "Optical Recognition of Handwritten Digits by E. Alpaydin and C. Kaynak, "
    "https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits, "
    "under https://creativecommons.org/licenses/by/4.0/; the 1 797 test images, as "
    "scikit-learn has them, with pixels divided by 16, and resized for some networks",
    "inputs": "grey images, ink 0 to 1",
    "range": [0, 1],
}


def load(split, fold=0, size=8):
    """Images `(size, size, 1)` float32 in [0, 1] and labels int32.

    Args:
        split: `"train"`, `"validation"` or `"test"`: ten, two and two of the fourteen
            groups of writers.
        fold: 0 to 6. Each group is tested in one fold.
        size: Pixels of an edge. Other than 8, the images are resized bilinearly, for
            networks of MNIST's 28×28; that adds no detail.
    """
    return tf.data.Dataset.from_tensor_slices(arrays(split, fold, size))


def arrays(split, fold=0, size=8):
    """The same as two numpy arrays."""
    places = indices(split, fold)
    digits = sklearn.datasets.load_digits()
    images = (digits.images[places] / 16).astype(np.float32)[..., None]
    if size != 8:
        images = tf.image.resize(images, (size, size)).numpy()
    return images, digits.target[places].astype(np.int32)


def indices(split, fold=0):
    """Places of the examples of a split."""
    if split not in SPLITS or fold not in range(FOLDS):
        raise ValueError(
            f"`split` must be one of {SPLITS} and `fold` 0 to {FOLDS - 1}. "
            f"Received: split={split!r}, fold={fold!r}"
        )
    test = [2 * fold, 2 * fold + 1]
    validation = [(group + 2) % GROUPS for group in test]
    train = [group for group in range(GROUPS) if group not in test + validation]
    groups = {"train": train, "validation": validation, "test": test}[split]
    return np.concatenate(
        [np.arange(BOUNDARIES[group], BOUNDARIES[group + 1]) for group in groups]
    )
