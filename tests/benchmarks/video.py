"""Training steps of networks of frames, diagonal-circulant beside dense.

Parts of paper 1's network alone, then the whole of it, of images, with its published
sizes, with the Adam that recipes are trained with, and for the FC layer that of Keras
too. Steps of the networks of a table take turns in one process. Memory is the most that
a process of its own holds while it trains, above what it held before it made the
network. Read from /proc, so on Linux.
"""

import os
import subprocess
import sys

import keras
import numpy as np

import cvzoo
from cvzoo.layers import DBoF
from cvzoo.layers.projection import make_projection
from tests.benchmarks import timing
from tests.benchmarks.networks import measured
from training.optimizers import FusedAdam

ADAMS = {"recipes'": FusedAdam, "Keras'": keras.optimizers.Adam}
KINDS = {"dense": "dense", "DC": "diagonal_circulant"}
CLUSTERS, UNITS, FEATURES, CLASSES = 8192, 512, 1024, 3862
BATCHES, BAGS, FRAMES = (80, 320), 10, 15
# Of the whole network; it holds all 300 frames of each video.
BATCH, TIME, STEPS = 32, 300, 3
ROUNDS = 9


def fc(kind, adam):
    """The FC layer: what the embedding found → 512 units."""
    inputs = keras.Input((CLUSTERS,))
    outputs = make_projection(kind, UNITS, name="fc")(inputs)
    return compiled(keras.Model(inputs, outputs), "mean_squared_error", adam)


def dbof(kind):
    """The embedding of bags of frames."""
    inputs = keras.Input((BAGS, FRAMES, FEATURES))
    outputs = DBoF(CLUSTERS, projection=kind)(inputs)
    return compiled(keras.Model(inputs, outputs), "mean_squared_error")


def network(**blocks):
    """The whole network, of images."""
    model = cvzoo.create_model("video_classifier", **blocks)
    return compiled(model, cvzoo.MultiLabelCrossEntropy())


def compiled(model, loss, adam=FusedAdam):
    """A model with Adam."""
    model.compile(adam(2e-4, clipnorm=1.0), loss)
    return model


NETWORKS = {
    "dense": {},
    "DC embedding": {"embedding": "diagonal_circulant"},
    "DC FC": {"fc": "diagonal_circulant"},
    "dense, no gating": {"gating": "none"},
    "circulant MoE, no gating": {"moe": "circulant"},
}


def batch(size=BATCH):
    """Random frames and labels."""
    generator = np.random.default_rng(0)
    rgb = generator.integers(0, 256, (size, TIME, FEATURES), np.uint8)
    labels = (generator.random((size, CLASSES)) < 3 / CLASSES).astype(np.float32)
    return [rgb, np.full(size, TIME, np.int32)], labels


def steps(models, inputs, outputs):
    """Name → function that trains a step."""
    return {
        name: lambda model=model: model.train_on_batch(inputs, outputs)
        for name, model in models.items()
    }


def parts():
    """Times of the parts."""
    generator = np.random.default_rng(0)
    for size in BATCHES:
        inputs = generator.random((size, CLUSTERS), np.float32)
        outputs = generator.random((size, UNITS), np.float32)
        for whose, adam in ADAMS.items():
            models = {name: fc(kind, adam) for name, kind in KINDS.items()}
            times = timing.show(
                f"FC, {CLUSTERS} → {UNITS}, batch {size}, training step, {whose} Adam",
                *(steps(models, inputs, outputs), "DC ×0.56 or less, batch 80"),
                rounds=ROUNDS,
                repeats=5,
            )
            print(f"  {'dense by DC':42} ×{times['dense'] / times['DC']:.2f}")
    size = BATCHES[0] // 10
    inputs = generator.random((size, BAGS, FRAMES, FEATURES), np.float32)
    models = {name: dbof(kind) for name, kind in KINDS.items()}
    outputs = np.zeros((size, BAGS, CLUSTERS), np.float32)
    timing.show(
        f"DBoF, {FEATURES} → {CLUSTERS}, {size} videos of {BAGS} × {FRAMES} frames, "
        "training step",
        *(steps(models, inputs, outputs), "no bound"),
        rounds=ROUNDS,
    )


def whole():
    """Times of the whole network."""
    models = {name: network(**blocks) for name, blocks in NETWORKS.items()}
    timing.show(
        f"video_classifier, {CLASSES} classes, batch {BATCH}, training step",
        *(steps(models, *batch()), "DC no slower"),
        rounds=ROUNDS,
    )


def peak(name):
    """Bytes that a few steps take, in this process."""

    def train():
        model, (inputs, labels) = network(**NETWORKS[name]), batch()
        for _ in range(STEPS):
            model.train_on_batch(inputs, labels)

    return measured(train)[-1]


def main():
    """Times, then memory."""
    parts()
    whole()
    for name in NETWORKS:
        command = [sys.executable, "-m", "tests.benchmarks.video", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        size = int(done.stdout.splitlines()[-1]) / 2**30
        print(f"  {'peak memory, ' + name:42} {size:8.2f} GiB (bound 12)")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    print(peak(sys.argv[1]))
