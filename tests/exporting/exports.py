"""What tests of exports share."""

import pytest

from cvzoo import catalogue
from cvzoo.exporting import verification

# The others are exported by slow tests.
IN_EVERY_RUN = ("dcnn_digits", "two_layer_dense_complex_vd_digits")
NAMES = [
    pytest.param(name, marks=() if name in IN_EVERY_RUN else pytest.mark.slow)
    for name in catalogue.preset_names()
]


def run(folder, batches, format="tf_saved_model"):
    """Outputs of an export, from a process of its own."""
    return verification.run(folder, batches, format).outputs
