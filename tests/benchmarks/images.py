"""The input pipeline of CIFAR-10 beside the training step of VGG16, and files alone.

Images are random bytes in the shape of CIFAR-10, in memory: a batch is gathered,
cropped, mirrored, made floats and normalised. The files are read once, before training.
"""

import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

import cvzoo
from tests.benchmarks.timing import alternate
from tests.training import tiny_images
from training import datasets
from training.data.tfds_files import Files

BATCH, ROUNDS, ASKED = 128, 5, 5
# Batches in a row: many more than those that wait ready when their turn comes.
IN_A_ROW = 50


class NoiseImages(tiny_images.TinyImages):
    """Noise in the files of TensorFlow Datasets; PNG cannot make it smaller."""

    VERSION = tiny_images.TinyImages.VERSION
    SHAPE, COUNTS = (32, 32, 3), {"train": 5000, "test": 1}

    def image(self, place):
        return np.random.default_rng(place).integers(0, 256, self.SHAPE, np.uint8)


def pipeline():
    """Some training batches in a row, as the first layers of VGG16 get them."""
    settings = {
        **{"name": "cifar10", "batch_size": BATCH, "n_train": 100 * BATCH},
        **{"crop_padding": 4, "flips": 1, "synthetic": 1},
    }
    source = datasets.open_data({"seed": 0, "data": settings})
    batches = iter(source.training(10**6))
    normalise = tf.function(cvzoo.create_model("vgg16").get_layer("normalise"))

    def run():
        for _ in range(IN_A_ROW):
            pixels, _ = next(batches)
            normalise(pixels).numpy()

    return run


def step(field):
    """A training step of VGG16."""
    model = cvzoo.create_model("vgg16", field=field)
    model.compile(
        keras.optimizers.Adam(1e-3, global_clipnorm=0.5),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    pixels = tf.random.uniform((BATCH, 32, 32, 3))
    labels = tf.range(BATCH) % 10
    return lambda: model.train_on_batch(pixels, labels)


def read_files():
    """Prints how fast a set is read from its files."""
    tfds.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        files = Files("noise", "noise_images", Path(folder))
        files.prepare()
        start = time.perf_counter()
        images, _ = files.read("train")
        seconds = time.perf_counter() - start
    print(f"Files read once: {len(images) / seconds:,.0f} PNG images of noise a second")


def main():
    """All benchmarks."""
    functions = {"pipeline": pipeline()}
    functions |= {f"step, {field}": step(field) for field in ("real", "complex")}
    times = alternate(functions, rounds=ROUNDS)
    times["pipeline"] = [each / IN_A_ROW for each in times["pipeline"]]
    print(f"VGG16, batch {BATCH}: steps beside the pipeline (asked ×{ASKED} or more)")
    for name, values in times.items():
        ratios = [a / b for a, b in zip(values, times["pipeline"], strict=True)]
        median = statistics.median(values)
        print(
            f"  {name:42} {median:8.2f} ms   ×{statistics.median(ratios):.2f}   "
            f"{1000 * BATCH / median:,.0f} examples a second"
        )
    read_files()
