"""Dense layers whose matrices have few numbers: what circulant ones compete with."""

from cvzoo.layers.structured.acdc import ACDC
from cvzoo.layers.structured.displacement import LowDisplacementRank
from cvzoo.layers.structured.fastfood import Fastfood
from cvzoo.layers.structured.hashed import HashedDense
from cvzoo.layers.structured.low_rank import LowRank
from cvzoo.layers.structured.toeplitz import DiagonalToeplitz, Toeplitz
