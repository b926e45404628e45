"""Windows of recordings and their Fourier transforms, beside `numpy.fft.fft` alone.

MusicNet's training batches: one random window, labelled, of each of 321 recordings,
here 30 seconds of noise each, read from the disk's cache.
"""

import tempfile
import types
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

import cvzoo
import training.data
from tests.benchmarks.timing import alternate
from training import config as configs
from training import datasets
from training.data.recordings import NOTES, Recordings, Writer

ASKED = 0.6
SECONDS, HERTZ, NOTES_OF_ONE = 30, 11_000, 300
RECIPE = "musicnet_deep_complex_vd_musicnet"


def noise(folder, count):
    """So many recordings of noise, with random notes."""
    generator = np.random.default_rng(0)
    length = SECONDS * HERTZ
    with Writer(folder) as writer:
        for number in range(count):
            begins = generator.integers(0, length, NOTES_OF_ONE)
            notes = generator.integers(21, 21 + NOTES, NOTES_OF_ONE)
            sound = generator.normal(size=length).astype(np.float32)
            writer.add(str(number), [sound], begins, begins + HERTZ, notes)
    return Recordings.open(folder)


def source(folder):
    """The data set, as a recipe finds it."""
    splits = {"train": 321, "validation": 1, "test": 1}
    found = {split: noise(folder / split, count) for split, count in splits.items()}
    return types.SimpleNamespace(
        recordings=lambda split: found[split],
        SPLITS=tuple(found),
        CLASSES=[str(note) for note in range(NOTES)],
        ABOUT={"name": "noise", "source": "-", "licence": "-", "inputs": "-"},
    )


def features():
    """The first layers of the network: the transform, zero frequency in the middle."""
    model = cvzoo.create_model("musicnet_deep", filters=1)
    first = keras.Model(model.input, model.get_layer("fourier").output)
    return tf.function(first)


def main():
    """All benchmarks."""
    with tempfile.TemporaryDirectory() as folder:
        noises = source(Path(folder))
        with mock.patch.object(training.data, "find", lambda name: noises):
            data = datasets.open_data(configs.get(RECIPE))
        batches = iter(data.training(10**6))
        windows, _ = next(batches)
        sound, first = windows.numpy(), features()

        def pipeline():
            first(next(batches)[0])[0].numpy()

        functions = {
            "numpy.fft.fft": lambda: np.fft.fft(sound),
            "windows, transform, shift": pipeline,
            "transform, shift": lambda: first(windows)[0].numpy(),
        }
        # So many that those which wait ready when the pipeline's turn comes are few.
        times = alternate(functions, repeats=100, rounds=5)
    print(f"Windows of 4096 samples a second, batch 321 (asked ×{ASKED} or more)")
    fastest = np.array(times["numpy.fft.fft"])
    for name, values in times.items():
        ratio = np.median(fastest / values)
        print(f"  {name:42} {321_000 / np.median(values):10,.0f}   ×{ratio:.2f}")


if __name__ == "__main__":
    main()
