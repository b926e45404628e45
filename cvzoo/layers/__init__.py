"""Complex and sparsifiable Keras layers."""

from cvzoo.layers.complex import FourierFeatures, FromComplex, PerPart, ToComplex
from cvzoo.layers.linear import ComplexDense, PartwiseUniform
from cvzoo.layers.sparsifiers import (
    ARD,
    FixedMask,
    MagnitudePruning,
    VariationalDropout,
)
