"""Training steps of VGG16, batch 128: real, complex, and complex with VD.

Steps of the three networks take turns in one process. Memory is the most that a process
of its own holds while it trains, above what it held before it made the network. Read
from /proc, so on Linux only.
"""

import os
import subprocess
import sys

import keras
import numpy as np

import cvzoo
from tests.benchmarks import timing
from tests.benchmarks.networks import measured

BATCH, ROUNDS, STEPS = 128, 5, 3
NETWORKS = {"real": "real", "complex": "complex", "complex, VD": "complex"}


def network(name):
    """A compiled network."""
    model = cvzoo.create_model("vgg16", field=NETWORKS[name])
    if name.endswith("VD"):
        vd = cvzoo.VariationalDropout(strength=0.04)
        model = cvzoo.sparsify(model, vd, n_train=50_000)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    adam = keras.optimizers.Adam(1e-3, global_clipnorm=0.5)
    model.compile(adam, loss, metrics=["accuracy"])
    return model


def batch():
    """Random pixels and labels."""
    generator = np.random.default_rng(0)
    pixels = generator.random((BATCH, 32, 32, 3), np.float32)
    return pixels, generator.integers(0, 10, BATCH)


def peak(name):
    """Bytes that a few steps take, in this process."""

    def train():
        model, (pixels, labels) = network(name), batch()
        for _ in range(STEPS):
            model.train_on_batch(pixels, labels)

    return measured(train)[-1]


def main():
    """Times, then memory."""
    pixels, labels = batch()
    models = {name: network(name) for name in NETWORKS}
    steps = {
        name: lambda model=model: model.train_on_batch(pixels, labels)
        for name, model in models.items()
    }
    times = timing.show(
        f"VGG16, batch {BATCH}, training step", steps, "×3.3 complex", rounds=ROUNDS
    )
    ratio = times["complex, VD"] / times["complex"]
    print(f"  {'VD by deterministic complex':42} ×{ratio:.2f} (bound ×1.5)")
    peaks = {}
    for name in NETWORKS:
        command = [sys.executable, "-m", "tests.benchmarks.vgg", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[name] = int(done.stdout.splitlines()[-1])
        print(f"  {'peak memory, ' + name:42} {peaks[name] / 2**30:8.2f} GiB")
    ratio = peaks["complex, VD"] / peaks["complex"]
    print(f"  {'VD by deterministic complex':42} ×{ratio:.2f} (bound ×2)")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    print(peak(sys.argv[1]))
