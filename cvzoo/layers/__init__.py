"""Complex and sparsifiable Keras layers."""

from cvzoo.layers.complex import FromComplex, PerPart, ToComplex
from cvzoo.layers.fourier import FourierFeatures
from cvzoo.layers.initializers import PartwiseUniform
from cvzoo.layers.linear import ComplexDense
from cvzoo.layers.sparsifiers import (
    ARD,
    FixedMask,
    MagnitudePruning,
    VariationalDropout,
)
