"""MNIST, KMNIST, Fashion-MNIST, EMNIST-Letters and CIFAR-10.

TensorFlow Datasets serves them; `python -m training.prepare NAME` downloads one, once.

Paper 2 drew 10 000 training images by their places in the published files. With
`n_train=10_000` they are the same here, but not those of EMNIST-Letters: of its 124 800
training and 20 800 test images, TensorFlow Datasets keeps the first 88 800 and 14 800.
"""

import dataclasses
import numbers
import string

import numpy as np
import sklearn.model_selection
import tensorflow as tf

from training.data.augmentation import crop_and_flip
from training.data.tfds_files import Files

# Random images of a split whose number is not given.
SYNTHETIC = 256


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """One of the sets.

    Attributes:
        name: Its name here.
        tfds_name: Its name in TensorFlow Datasets.
        shape: `(height, width, channels)` of an image.
        CLASSES: Names of the classes.
        ABOUT: What presets keep about their data.
        seed: Of the training images that are drawn; paper 2's, which drew none of
            CIFAR-10.
        first_label: The label of the first class in the files.
        is_transposed: Whether rows and columns are swapped in the files.
    """

    name: str
    tfds_name: str
    shape: tuple
    CLASSES: list
    ABOUT: dict
    seed: int = 0
    first_label: int = 0
    is_transposed: bool = False
    SPLITS = ("train", "validation", "test")

    def load(
        self,
        split,
        n_train=0,
        n_validation=0,
        n_test=0,
        crop_padding=0,
        flips=0,
        synthetic=0,
    ):
        """Images `(height, width, channels)` uint8, and labels int32 from 0.

        Args:
            split: `"train"`, `"validation"` or `"test"`.
            n_train: Training images, drawn so that each class keeps its share; 0 for
                all that validation leaves.
            n_validation: Validation images, of the training images that were not
                drawn; 0, as in paper 2, for none.
            n_test: Test images, the first ones; 0 for all.
            crop_padding, flips: What `augment` does to the batches of training.
            synthetic: 1 for SYNTHETIC images, which need no files: random numbers in
                the shape of this set. There are 256 in a split of which all are asked
                for.
        """
        counts = {"train": n_train, "validation": n_validation, "test": n_test}
        if split not in self.SPLITS:
            raise ValueError(
                f"`split` must be one of {self.SPLITS}. Received: split={split!r}"
            )
        for option, count in counts.items():
            _check_whole(f"n_{option}", count)
        _check_whole("crop_padding", crop_padding)
        _check_whole("flips", flips, 1)
        _check_whole("synthetic", synthetic, 1)
        if split == "validation" and not n_validation:
            # Without reading files to take nothing of them.
            images, labels = np.empty((0, *self.shape), np.uint8), np.empty(0, np.int32)
        else:
            part = "test" if split == "test" else "train"
            whole = self._random(part, counts) if synthetic else self._read(part)
            places = self._places(split, whole[1], counts)
            images, labels = (array[places] for array in whole)
        return tf.data.Dataset.from_tensor_slices((images, labels))

    def augment(self, images, seed, crop_padding=0, flips=0, **others):
        """A batch as it is trained on.

        Args:
            images: `(batch, height, width, channels)`.
            seed: Two integers.
            crop_padding: Black pixels around each image, which is then cropped at
                random; 0 for no crops.
            flips: 1 for half of the images mirrored.
            others: Options of `load` that are not looked at.
        """
        if crop_padding or flips:
            images = crop_and_flip(images, seed, crop_padding, bool(flips))
        return images

    def prepare(self, data_dir=None, manual_dir=None):
        """Downloads the set, and checks what was written; returns its folder.

        Args:
            data_dir: Folder of all sets. Defaults to that of `tfds_files.Files`.
            manual_dir: Folder of downloads that are there already.
        """
        files = Files(self.name, self.tfds_name, data_dir)
        files.prepare(manual_dir)
        for part in ("train", "test"):
            self._read(part, files)
        return files.folder

    def _read(self, part, files=None):
        """All images and labels of a part, in the published order."""
        files = files or Files(self.name, self.tfds_name)
        images, labels = files.read(part)
        if images.shape[1:] != self.shape:
            shapes = (
                "×".join(map(str, shape)) for shape in (self.shape, images.shape[1:])
            )
            raise files.damaged("images should be of {}, and are of {}".format(*shapes))
        last = self.first_label + len(self.CLASSES) - 1
        wrong = np.unique(labels[(labels < self.first_label) | (labels > last)])
        if len(wrong):
            raise files.damaged(
                f"labels should be {self.first_label} to {last}, and there are "
                f"{', '.join(map(str, wrong))}"
            )
        if self.is_transposed:
            images = images.swapaxes(1, 2)
        return images, (labels - self.first_label).astype(np.int32)

    def _random(self, part, counts):
        """Random images, with as many of each class as can be."""
        if part == "test":
            size = counts["test"] or SYNTHETIC
        else:
            size = (counts["train"] or SYNTHETIC) + counts["validation"]
        random = np.random.default_rng(int(part == "test"))
        images = random.integers(0, 256, (size, *self.shape), np.uint8)
        return images, (random.permutation(size) % len(self.CLASSES)).astype(np.int32)

    def _places(self, split, labels, counts):
        """Places of a split's examples among all of its part."""
        size = len(labels)
        needed = counts["test"]
        if split != "test":
            needed = max(1, counts["train"]) + counts["validation"]
        if needed > size:
            raise ValueError(
                f"{self.name} has {size:,} images to take the {split!r} split from. "
                f"Received: {', '.join(f'n_{key}={n}' for key, n in counts.items())}"
            )
        if split == "test":
            return np.arange(needed or size)
        drawn = counts["train"] or size - counts["validation"]
        if drawn == size:
            return np.arange(size)
        try:
            train, rest = sklearn.model_selection.train_test_split(
                np.arange(size),
                train_size=drawn,
                stratify=labels,
                random_state=self.seed,
            )
        except ValueError as error:
            raise ValueError(
                f"{drawn:,} of {size:,} images of {self.name} cannot be drawn so that "
                f"each class keeps its share, and the rest too: {error}"
            ) from error
        return train if split == "train" else rest[: counts["validation"]]


def _check_whole(name, value, highest=None):
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or value < 0 or (highest is not None and value > highest):
        expected = "an integer, 0 or more" if highest is None else f"0 to {highest}"
        raise ValueError(f"`{name}` must be {expected}. Received: {name}={value!r}")


def _about(name, source, licence, inputs):
    return {
        "name": name,
        "source": source,
        "licence": licence,
        "inputs": inputs,
        "range": [0, 1],
    }


_GREY = "grey images of 28×28 pixels, ink 0 to 1"
_SETS = (
    ImageSet(
        "mnist",
        "mnist",
        (28, 28, 1),
        list(string.digits),
        _about(
            "MNIST",
            "LeCun, Cortes and Burges, yann.lecun.com/exdb/mnist",
            "CC BY-SA 3.0",
            _GREY,
        ),
        seed=1641730374,
    ),
    ImageSet(
        "kmnist",
        "kmnist",
        (28, 28, 1),
        ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
        _about(
            "KMNIST",
            "Clanuwat et al., 2018, codh.rois.ac.jp/kmnist",
            "CC BY-SA 4.0",
            _GREY,
        ),
        seed=102048205,
    ),
    ImageSet(
        "fashion_mnist",
        "fashion_mnist",
        (28, 28, 1),
        [
            *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
            *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
        ],
        _about(
            "Fashion-MNIST",
            "Xiao, Rasul and Vollgraf, 2017, github.com/zalandoresearch/fashion-mnist",
            "MIT",
            _GREY,
        ),
        seed=1526761432,
    ),
    ImageSet(
        "emnist_letters",
        "emnist/letters",
        (28, 28, 1),
        list(string.ascii_uppercase),
        _about(
            "EMNIST-Letters, first 88 800 training and 14 800 test images",
            "Cohen et al., 2017, nist.gov/itl/products-and-services/emnist-dataset",
            "none stated; of NIST Special Database 19",
            _GREY,
        ),
        seed=605446338,
        first_label=1,
        is_transposed=True,
    ),
    ImageSet(
        "cifar10",
        "cifar10",
        (32, 32, 3),
        [
            *("airplane", "automobile", "bird", "cat", "deer"),
            *("dog", "frog", "horse", "ship", "truck"),
        ],
        _about(
            "CIFAR-10",
            "Krizhevsky, 2009, cs.toronto.edu/~kriz/cifar.html",
            "none stated",
            "colour images of 32×32 pixels, 0 to 1",
        ),
    ),
)
SETS = {one.name: one for one in _SETS}
