"""Dense layers whose matrices have few numbers: rivals and products of circulants."""

from cvzoo.layers.structured.acdc import ACDC
from cvzoo.layers.structured.circulant_product import CirculantProduct
from cvzoo.layers.structured.displacement import LowDisplacementRank
from cvzoo.layers.structured.fastfood import Fastfood
from cvzoo.layers.structured.hashed import HashedDense
from cvzoo.layers.structured.low_rank import LowRank
from cvzoo.layers.structured.toeplitz import DiagonalToeplitz, Toeplitz
