"""A data set of TensorFlow Datasets that takes no time to prepare."""

import numpy as np
import tensorflow_datasets as tfds

from training.data.images import ImageSet

SHAPE = (8, 6, 1)
COUNTS = {"train": 200, "test": 30}


class TinyImages(tfds.core.GeneratorBasedBuilder):
    """All pixels of an image are its place in files that were never published.

    A subclass may have other images.
    """

    VERSION = tfds.core.Version("1.0.0")
    SHAPE, COUNTS = SHAPE, COUNTS

    def image(self, place):
        """The image at a place."""
        return np.full(self.SHAPE, place, np.uint8)

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=self.SHAPE),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(n) for part, n in self.COUNTS.items()}

    def _generate_examples(self, count):
        for place in range(count):
            yield place, {"image": self.image(place), "label": place % 10}


def image_set(**changes):
    """What reads it."""
    about = {"name": "tiny", "source": "tests", "licence": "", "inputs": "images"}
    settings = {"shape": SHAPE, "CLASSES": list("0123456789"), "ABOUT": about}
    return ImageSet("tiny", "tiny_images", **{**settings, **changes})
