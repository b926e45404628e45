"""Within what a run agrees with a published value.

An uncompressed network agrees within the published range and the error of reading it,
or, where only a median is known, within three standard errors of 10,000 test images
around that. Compression agrees within 10 % of the published mean, and the accuracies
before and after fine-tuning within 0.01.
"""

import math
from typing import NamedTuple

from training.published import cells

READING = 0.0005
# Where a range is known, its farther end lies 1.6 (MNIST, real convolutions) to 3.4
# (VGG16) of these from the median, so that they follow how ranges grow with the error.
# Three are about ±0.003 (convolutions) and ±0.005 (dense networks) on MNIST, and ±0.01
# on the other sets.
STANDARD_ERRORS, TEST_IMAGES = 3, 10_000
# Twice the strength, such as of a divergence without its ½, is two steps of k: at least
# 14 % more, or 12 % less, which a band of 15 % would let pass. Means of five lie within
# 1 to 2 % of a smooth curve for VGG16, one run so within about 4 %; reading adds 1 %.
COMPRESSION = 0.10
# VGG16's points before fine-tuning lie up to 0.01 off a smooth curve: of these, one
# seed may miss by chance.
ACCURACY = 0.01
# The plots of VGG16 end about here, and what was below counts as if on the edge.
CLIPPED_BELOW = 0.80
# Accuracies are stored in single precision.
ROUNDING = 1e-6

LEGEND = f"""\
uncompressed   test accuracy after pre-training: within the published range and \
{READING} for the error of reading it; where only a median is known, within \
{STANDARD_ERRORS} standard errors of {TEST_IMAGES:,} test images
compression    N / (N − Z), Z of N weights pruned: within {COMPRESSION:.0%}
before, after  test accuracy before and after fine-tuning: within {ACCURACY}; ≤ where \
the plot was clipped, so that only too much disagrees
here           mean over seeds"""


class Band(NamedTuple):
    """Values that agree, both ends included, and how a table shows them."""

    lowest: float
    highest: float
    text: str

    def holds(self, value):
        """Whether a value agrees."""
        return self.lowest - ROUNDING <= value <= self.highest + ROUNDING


def of(cell):
    """Quantity → `Band`, of a published cell."""
    if cell.method is None:
        return {"uncompressed": _uncompressed(cells.UNCOMPRESSED[cell])}
    published = cells.COMPRESSED[cell]
    middle = published.compression
    width = COMPRESSION * middle
    text = f"×{middle:g} ± {COMPRESSION:.0%}"
    bands = {"compression": Band(middle - width, middle + width, text)}
    if published.before is not None:
        bands["before"] = _around(published.before, ACCURACY)
        if cell.model == cells.VGG and published.before < CLIPPED_BELOW:
            highest = published.before + ACCURACY
            bands["before"] = Band(0.0, highest, f"≤ {highest:.4f}")
    if published.after is not None:
        bands["after"] = _around(published.after, ACCURACY)
    return bands


def _uncompressed(published):
    if published.lowest is None:
        (median,) = published.medians
        error = math.sqrt(median * (1 - median) / TEST_IMAGES)
        return _around(median, STANDARD_ERRORS * error)
    lowest, highest = published.lowest, published.highest
    text = f"{lowest:.4f} – {highest:.4f}"
    return Band(lowest - READING, highest + READING, text)


def _around(middle, width):
    return Band(middle - width, middle + width, f"{middle:.4f} ± {width:.2g}")
