"""Metrics over whole data sets: exact ones on the host, binned ones for `compile`."""

from cvzoo.metrics.binned import BinnedAveragePrecision
from cvzoo.metrics.binned_global import BinnedGlobalAveragePrecision
from cvzoo.metrics.by_video import HitAtOne, PrecisionAtEqualRecallRate
from cvzoo.metrics.chunks import NaNScoresError
from cvzoo.metrics.pooled import PooledAveragePrecision
from cvzoo.metrics.ranked import GlobalAveragePrecision, MeanAveragePrecision
