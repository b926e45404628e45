"""Complex, structured and sparsifiable Keras layers, and those for videos."""

from cvzoo.layers import structured
from cvzoo.layers.activations import (
    AdaptiveModReLU,
    Cardioid,
    ComplexTanh,
    ModReLU,
    SplitActivation,
    ThresholdModReLU,
    ZReLU,
)
from cvzoo.layers.aggregation import DBoF, NetFV, NetRVLAD, NetVLAD, SoftDBoF
from cvzoo.layers.bayesian import ARD, VariationalDropout
from cvzoo.layers.bilinear import Bilinear, ComplexBilinear, PhaseShift
from cvzoo.layers.block_circulant import BlockCirculant, ComplexBlockCirculant
from cvzoo.layers.circulant import (
    Circulant,
    ComplexCirculant,
    ComplexDiagonalCirculant,
    DiagonalCirculant,
)
from cvzoo.layers.circulant_stack import DiagonalCirculantStack
from cvzoo.layers.complex import FromComplex, PerPart, ToComplex
from cvzoo.layers.convolution import ComplexConv1D, ComplexConv2D, ComplexConv3D
from cvzoo.layers.dropout import ComplexDropout
from cvzoo.layers.fourier import FourierFeatures
from cvzoo.layers.frames import DequantizeFrames, FrameSampler
from cvzoo.layers.initializers import (
    ComplexGlorot,
    ComplexHe,
    ComplexIndependent,
    ComplexNormal,
    ComplexSigns,
    PartwiseUniform,
    RandomSigns,
)
from cvzoo.layers.layer_normalization import ComplexLayerNormalization
from cvzoo.layers.linear import ComplexDense
from cvzoo.layers.masking import FixedMask, MagnitudePruning
from cvzoo.layers.merging import ComplexAdd, ComplexConcatenate, ComplexMultiply
from cvzoo.layers.mixture import ContextGating, MixtureOfExperts
from cvzoo.layers.normalization import ComplexBatchNormalization
from cvzoo.layers.other_convolutions import (
    ComplexConv1DTranspose,
    ComplexConv2DTranspose,
    ComplexDepthwiseConv2D,
)
from cvzoo.layers.other_pooling import (
    ComplexGlobalAveragePooling1D,
    ComplexGlobalAveragePooling2D,
    ComplexGlobalAveragePooling3D,
    ComplexGlobalMaxPooling1D,
    ComplexGlobalMaxPooling2D,
    ComplexGlobalMaxPooling3D,
    SpectralPooling1D,
    SpectralPooling2D,
)
from cvzoo.layers.pooling import (
    ComplexAveragePooling1D,
    ComplexAveragePooling2D,
    ComplexAveragePooling3D,
    ComplexMaxPooling1D,
    ComplexMaxPooling2D,
    ComplexMaxPooling3D,
)
from cvzoo.layers.scattering import Scattering2D
from cvzoo.layers.short_time import STFT, InverseSTFT
from cvzoo.layers.widely_linear import WidelyLinear
