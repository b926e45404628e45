"""Metrics over whole data sets: exact ones on the host, binned ones for `compile`."""

from cvzoo.metrics.binned import BinnedAveragePrecision
from cvzoo.metrics.pooled import NaNScoresError, PooledAveragePrecision
