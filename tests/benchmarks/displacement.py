"""A training step of LowDisplacementRank against n × n matrices: time, and memory.

n = 3072, rank 3, batch 50: the sizes of paper 1's Table 1. Tridiagonal operators are
the written out form of all kinds, by n × n Krylov matrices. A dense layer has a matrix
of its own. A step is forward and gradients to inputs and weights, without an optimizer.
The memory is the peak of a fresh process, TensorFlow in it included.
"""

import re
import subprocess
import sys
from pathlib import Path

import keras
import tensorflow as tf

from cvzoo.layers.structured import LowDisplacementRank
from tests.benchmarks.timing import layer_step, show

SIZE, RANK, BATCH = 3072, 3, 50
KINDS = {
    "tridiagonal": {"operators": "tridiagonal"},
    "tridiagonal, corners": {"operators": "tridiagonal", "corner": True},
    "shift": {"operators": "shift"},
    "shift, corners": {"operators": "shift", "corner": True},
    "subdiagonal": {"operators": "subdiagonal"},
    "subdiagonal, corners": {"operators": "subdiagonal", "corner": True},
}


def step(kind):
    """One training step of a layer of some kind, or of a dense one."""
    layer = keras.layers.Dense(SIZE)
    if kind in KINDS:
        layer = LowDisplacementRank(SIZE, RANK, **KINDS[kind])
    inputs = tf.random.normal((BATCH, SIZE))
    return layer_step(layer, inputs)


def peak(kind):
    """GiB that a process needs at most for three steps of a kind."""
    run = step(kind)
    for _ in range(3):
        run()
    # Not `getrusage`, where a child begins with the peak of its parent.
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) / 2**20


def main():
    """Times of all kinds, and the peaks of memory."""
    sizes = f"n = {SIZE}, rank {RANK}, batch {BATCH}"
    kinds = [*KINDS, "keras Dense"]
    show(f"Training step, {sizes}", {kind: step(kind) for kind in kinds})
    print(f"Peak memory of a process, {sizes} (bound 2 GiB)")
    for kind in kinds:
        command = [sys.executable, "-m", "tests.benchmarks.displacement", kind]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"  {kind:42} {float(found.stdout):8.2f} GiB")


if __name__ == "__main__":
    print(peak(sys.argv[1]))
