"""Writes scattering_kymatio.npz, outputs of kymatio 0.3.0 for the tests.

kymatio cannot be imported beside the SciPy of this package, so in an environment of its
own, with Python 3.11:

    pip install kymatio==0.3.0 "numpy<2" "scipy<1.12"
    python tests/layers/data/scattering_kymatio.py

Names hold height, width, J, L and order. The image is
`numpy.random.default_rng(0).random((height, width))`, the output `(paths, h, w)`.
"""

from pathlib import Path

import numpy as np
from kymatio.numpy import Scattering2D

CASES = [
    (32, 32, 2, 8, 2),
    (28, 28, 2, 8, 2),
    (33, 29, 1, 8, 2),
    (33, 29, 3, 4, 2),
    (21, 40, 3, 3, 1),
    (4, 9, 2, 5, 2),
    (6, 5, 1, 1, 2),
]


def main():
    outputs = {}
    for height, width, scales, angles, order in CASES:
        image = np.random.default_rng(0).random((height, width))
        transform = Scattering2D(scales, (height, width), angles, order)
        name = f"{height}_{width}_{scales}_{angles}_{order}"
        outputs[name] = transform(image).astype(np.float32)
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **outputs)


if __name__ == "__main__":
    main()
