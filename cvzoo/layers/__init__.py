"""Complex and sparsifiable Keras layers."""

from cvzoo.layers.bilinear import ComplexBilinear, PhaseShift
from cvzoo.layers.complex import FromComplex, PerPart, ToComplex
from cvzoo.layers.convolution import ComplexConv1D, ComplexConv2D, ComplexConv3D
from cvzoo.layers.fourier import FourierFeatures
from cvzoo.layers.initializers import (
    ComplexGlorot,
    ComplexHe,
    ComplexIndependent,
    PartwiseUniform,
)
from cvzoo.layers.linear import ComplexDense
from cvzoo.layers.normalization import (
    ComplexBatchNormalization,
    ComplexLayerNormalization,
)
from cvzoo.layers.other_convolutions import (
    ComplexConv1DTranspose,
    ComplexConv2DTranspose,
    ComplexDepthwiseConv2D,
)
from cvzoo.layers.sparsifiers import (
    ARD,
    FixedMask,
    MagnitudePruning,
    VariationalDropout,
)
