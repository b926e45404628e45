"""Sizes of packed kernels beside their bound and beside dense files.

Kernels are random: 784×1024 normal values of deviation 0.1 at random places. Values of
a posterior are rounded to steps of 1/64, an eighth of that deviation.
"""

import numpy as np

from cvzoo import packing

PERCENT = (80, 90, 95, 98, 98.5, 99, 99.5, 99.9)
DEVIATION, STEP = 0.1, 2.0**-6
ROUND = {
    "float32": np.float32,
    "float16": lambda values: np.float32(np.float16(values)),
    "posterior": lambda values: np.float32(STEP * np.rint(values / STEP)),
}


def random_kernel(percent, values, parts, shape=(784, 1024)):
    """A kernel, or pair, with some percent of zeros."""
    generator = np.random.default_rng(0)
    mask = generator.random(shape) >= percent / 100
    made = [
        ROUND[values](DEVIATION * generator.normal(size=shape) * mask)
        for _ in range(parts)
    ]
    return tuple(made) if parts == 2 else made[0]


def bound(kernel, values):
    """Bytes that places and values of a kernel need, independent of each other.

    log2(e·N / n) bits for the place of each of n weights; 4 or 2 bytes a number, or the
    empirical entropy of integers.
    """
    parts = np.stack(kernel if isinstance(kernel, tuple) else [kernel])
    kept = (parts != 0).any(axis=0)
    numbers = parts[:, kept].ravel()
    places = kept.sum() * np.log2(np.e * kept.size / kept.sum()) / 8
    if values == "posterior":
        counts = np.unique(numbers, return_counts=True)[1]
        return places - np.sum(counts * np.log2(counts / counts.sum())) / 8
    return places + numbers.size * {"float32": 4, "float16": 2}[values]


def dense_bytes(kernel):
    """Bytes of a kernel in float32, zeros included."""
    return np.asarray(kernel).nbytes


def main():
    """One table for real and one for complex kernels."""
    for parts, field in ((1, "real"), (2, "complex")):
        print(
            f"Packed {field} kernel 784×1024: bytes over bound, and dense over packed"
        )
        print("  zeros, %" + "".join(f"{values:>20}" for values in ROUND))
        for percent in PERCENT:
            line = f"  {percent:8}"
            for values in ROUND:
                kernel = random_kernel(percent, values, parts)
                size = len(packing.pack({"kernel": kernel}))
                over = size / bound(kernel, values)
                times = dense_bytes(kernel) / size
                line += f"     {over:6.3f}  ×{times:6.1f}"
            print(line)
