"""The closed list of layers, arguments and values that a preset may hold."""

import keras

from cvzoo import layers
from cvzoo.allowed_values import (
    either,
    is_boolean,
    is_equation,
    is_fraction,
    is_integer,
    is_letters_or_none,
    is_number,
    is_number_or_none,
    is_rate,
    is_seed,
    is_size,
    is_size_or_none,
    list_of,
    one_of,
)
from cvzoo.layers.aggregation import POOLINGS, SECOND_ORDERS
from cvzoo.layers.circulant import ORDERS, RECTANGULAR
from cvzoo.layers.complex import FROM_LAYOUTS, TO_LAYOUTS
from cvzoo.layers.frames import EVALUATIONS
from cvzoo.layers.projection import INITIALIZATIONS, PROJECTIONS
from cvzoo.layers.structured.acdc import DIAGONALS
from cvzoo.layers.structured.base import PADDINGS
from cvzoo.layers.structured.displacement import OPERATORS

# fmt: off
ACTIVATIONS = (
    "elu", "exponential", "gelu", "hard_sigmoid", "leaky_relu", "linear",
    "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax",
    "softplus", "softsign", "swish", "tanh",
)
# fmt: on


_ACTIVATION = one_of(*ACTIVATIONS)
_SIZES = list_of(is_size, most=3)
_LINEAR = {"activation": _ACTIVATION, "use_bias": is_boolean}
_DENSE = {**_LINEAR, "units": is_size}
_CIRCULANT = {
    **_DENSE,
    "rectangular": one_of(*RECTANGULAR),
    "padding": one_of(*PADDINGS),
    "transpose": is_boolean,
}
_SQUARE = {**_DENSE, "padding": one_of(*PADDINGS)}
_DIAGONAL_CIRCULANT = {
    **_CIRCULANT,
    "order": one_of(*ORDERS),
    "trainable_diagonal": is_boolean,
}
_WINDOWED = {
    **_LINEAR,
    "kernel_size": _SIZES,
    "strides": _SIZES,
    "padding": one_of("valid", "same", "causal", "circular"),
    "dilation_rate": list_of(lambda rate: is_integer(rate, 1, 2**14), most=3),
}
_CONVOLUTION = {**_WINDOWED, "filters": is_size, "groups": is_size}
_TRANSPOSED = {
    **_WINDOWED,
    "filters": is_size,
    "output_padding": lambda value: value is None or _PADS(value),
}
_PADS = list_of(lambda value: is_integer(value, low=0), most=3)
_EDGES = list_of(either(lambda value: is_integer(value, low=0), _PADS), most=3)
_NUMBERS = either(is_number, list_of(is_number, most=1024))
_AXES = either(is_integer, list_of(is_integer, most=8))
_POOLING = {
    "pool_size": _SIZES,
    "strides": _SIZES,
    "padding": one_of("valid", "same"),
}
_GLOBAL_POOLING = {"keepdims": is_boolean}
_BY = {"by": one_of("parts", "modulus")}
_NORMALIZATION = {"axis": is_integer, "momentum": is_fraction, "epsilon": is_fraction}
_PROJECTED = {
    "projection": one_of(*PROJECTIONS),
    "rank": is_size_or_none,
    "initialization": one_of(*INITIALIZATIONS),
}
_AGGREGATION = {**_PROJECTED, "clusters": is_size, "momentum": is_fraction}
_AFFINE = one_of(None, "full", "symmetric")


def _is_frame(value):
    return is_integer(value, low=1, high=2**16)


_SHORT_TIME = {
    "frame_length": _is_frame,
    "frame_step": _is_frame,
    "fft_length": _is_frame,
    "window": one_of("hann", "hamming", None),
    "periodic": is_boolean,
    "scaling": one_of(None, "density", "spectrum"),
    "padding": one_of("same", "valid"),
}


def _alike(arguments, *classes):
    return {layer_class: arguments for layer_class in classes}


# Class → its arguments and what each may be. `PerPart`, whose argument is a layer of
# this list, is treated apart.
LAYERS = {
    keras.layers.Activation: {"activation": _ACTIVATION},
    **_alike(
        {},
        keras.layers.Add,
        keras.layers.Average,
        keras.layers.Identity,
        keras.layers.Maximum,
        keras.layers.Minimum,
        keras.layers.Multiply,
        keras.layers.Subtract,
    ),
    keras.layers.BatchNormalization: {
        **_NORMALIZATION,
        "center": is_boolean,
        "scale": is_boolean,
    },
    keras.layers.Concatenate: {"axis": is_integer},
    keras.layers.Conv1D: _CONVOLUTION,
    keras.layers.Conv2D: _CONVOLUTION,
    keras.layers.Conv3D: _CONVOLUTION,
    keras.layers.Dense: _DENSE,
    **_alike(
        {**_WINDOWED, "depth_multiplier": is_size},
        keras.layers.DepthwiseConv1D,
        keras.layers.DepthwiseConv2D,
    ),
    **_alike(
        _TRANSPOSED,
        keras.layers.Conv1DTranspose,
        keras.layers.Conv2DTranspose,
        keras.layers.Conv3DTranspose,
    ),
    keras.layers.EinsumDense: {
        "activation": _ACTIVATION,
        "equation": is_equation,
        "output_shape": list_of(either(is_size, lambda size: size is None), most=8),
        "bias_axes": is_letters_or_none,
    },
    **_alike(
        {"rate": is_rate},
        keras.layers.Dropout,
        keras.layers.GaussianDropout,
        keras.layers.SpatialDropout1D,
        keras.layers.SpatialDropout2D,
        keras.layers.SpatialDropout3D,
    ),
    keras.layers.GaussianNoise: {"stddev": is_number},
    **_alike(
        {"padding": _EDGES},
        keras.layers.ZeroPadding1D,
        keras.layers.ZeroPadding2D,
        keras.layers.ZeroPadding3D,
    ),
    **_alike(
        {"cropping": _EDGES},
        keras.layers.Cropping1D,
        keras.layers.Cropping2D,
        keras.layers.Cropping3D,
    ),
    keras.layers.UpSampling1D: {"size": is_size},
    keras.layers.UpSampling2D: {
        "size": _SIZES,
        "interpolation": one_of(
            *("bicubic", "bilinear", "lanczos3", "lanczos5", "nearest")
        ),
    },
    keras.layers.UpSampling3D: {"size": _SIZES},
    keras.layers.LayerNormalization: {
        "axis": _AXES,
        "epsilon": is_fraction,
        "center": is_boolean,
        "scale": is_boolean,
    },
    keras.layers.Normalization: {
        "axis": either(_AXES, lambda axis: axis is None),
        "invert": is_boolean,
    },
    keras.layers.PReLU: {
        "shared_axes": either(lambda axes: axes is None, list_of(is_integer, most=8)),
    },
    keras.layers.Permute: {"dims": list_of(is_size, most=8)},
    keras.layers.RepeatVector: {"n": is_size},
    keras.layers.ELU: {"alpha": is_number},
    keras.layers.Flatten: {},
    keras.layers.LeakyReLU: {"negative_slope": is_number},
    keras.layers.ReLU: {
        "max_value": is_number_or_none,
        "negative_slope": is_number,
        "threshold": is_number,
    },
    keras.layers.Rescaling: {"scale": _NUMBERS, "offset": _NUMBERS},
    keras.layers.Reshape: {"target_shape": list_of(is_integer, most=8)},
    keras.layers.Softmax: {"axis": is_integer},
    **_alike(
        _POOLING,
        keras.layers.AveragePooling1D,
        keras.layers.AveragePooling2D,
        keras.layers.AveragePooling3D,
        keras.layers.MaxPooling1D,
        keras.layers.MaxPooling2D,
        keras.layers.MaxPooling3D,
    ),
    **_alike(
        _GLOBAL_POOLING,
        keras.layers.GlobalAveragePooling1D,
        keras.layers.GlobalAveragePooling2D,
        keras.layers.GlobalAveragePooling3D,
        keras.layers.GlobalMaxPooling1D,
        keras.layers.GlobalMaxPooling2D,
        keras.layers.GlobalMaxPooling3D,
    ),
    **_alike(
        _POOLING,
        layers.ComplexAveragePooling1D,
        layers.ComplexAveragePooling2D,
        layers.ComplexAveragePooling3D,
    ),
    **_alike(
        {**_POOLING, **_BY},
        layers.ComplexMaxPooling1D,
        layers.ComplexMaxPooling2D,
        layers.ComplexMaxPooling3D,
    ),
    **_alike(
        _GLOBAL_POOLING,
        layers.ComplexGlobalAveragePooling1D,
        layers.ComplexGlobalAveragePooling2D,
        layers.ComplexGlobalAveragePooling3D,
    ),
    **_alike(
        {**_GLOBAL_POOLING, **_BY},
        layers.ComplexGlobalMaxPooling1D,
        layers.ComplexGlobalMaxPooling2D,
        layers.ComplexGlobalMaxPooling3D,
    ),
    layers.STFT: _SHORT_TIME,
    layers.InverseSTFT: {
        **_SHORT_TIME,
        # Sums of windows are computed, of that length.
        "length": lambda value: is_integer(value, low=1, high=2**20),
    },
    layers.AdaptiveModReLU: {"axis": is_integer},
    layers.Cardioid: {},
    layers.ComplexAdd: {},
    layers.ComplexConcatenate: {"axis": is_integer},
    layers.ComplexDropout: {"rate": is_rate},
    layers.ComplexMultiply: {"conjugate": is_boolean},
    layers.ComplexTanh: {},
    layers.ModReLU: {"axis": is_integer},
    layers.Scattering2D: {
        "J": lambda value: is_integer(value, low=1, high=24),
        "L": lambda value: is_integer(value, low=1, high=1024),
        "max_order": lambda value: is_integer(value, low=1, high=2),
    },
    layers.SpectralPooling1D: {"output_size": _SIZES},
    layers.SpectralPooling2D: {"output_size": _SIZES},
    layers.SplitActivation: {"activation": _ACTIVATION},
    layers.ThresholdModReLU: {"threshold": is_number_or_none},
    layers.ZReLU: {},
    **_alike(
        {**_DENSE, "block_size": is_size},
        layers.BlockCirculant,
        layers.ComplexBlockCirculant,
    ),
    layers.Circulant: _CIRCULANT,
    layers.ComplexCirculant: _CIRCULANT,
    layers.DiagonalCirculant: _DIAGONAL_CIRCULANT,
    layers.ComplexDiagonalCirculant: _DIAGONAL_CIRCULANT,
    layers.DiagonalCirculantStack: {
        "depth": lambda value: is_integer(value, low=1, high=1024),
        "activation_every": is_size,
        "negative_slope": is_number,
        "order": one_of(*ORDERS),
        "use_bias": is_boolean,
    },
    layers.structured.ACDC: {
        **_SQUARE,
        "diagonal_at": one_of(*DIAGONALS),
        "permute": is_boolean,
        "seed": is_seed,
    },
    layers.structured.DiagonalToeplitz: _SQUARE,
    layers.structured.Fastfood: {**_SQUARE, "seed": is_seed},
    layers.structured.HashedDense: {
        **_DENSE,
        "buckets": is_size_or_none,
        "compression": is_number_or_none,
        "seed": is_seed,
    },
    layers.structured.CirculantProduct: {
        **_SQUARE,
        "factors": is_size,
        "field": one_of("real", "complex"),
        "first": one_of("circulant", "diagonal"),
    },
    layers.structured.LowDisplacementRank: {
        **_SQUARE,
        "rank": is_size,
        "operators": one_of(*OPERATORS),
        "corner": is_boolean,
        "tied": is_boolean,
    },
    layers.structured.LowRank: {
        **_DENSE,
        "rank": is_size,
        "overcomplete": is_boolean,
    },
    layers.structured.Toeplitz: _SQUARE,
    layers.ComplexBatchNormalization: {**_NORMALIZATION, "affine": _AFFINE},
    layers.ComplexConv1D: _CONVOLUTION,
    layers.ComplexConv1DTranspose: _TRANSPOSED,
    layers.ComplexConv2D: _CONVOLUTION,
    layers.ComplexConv2DTranspose: _TRANSPOSED,
    layers.ComplexConv3D: _CONVOLUTION,
    layers.ComplexDense: _DENSE,
    layers.WidelyLinear: {},
    layers.ComplexDepthwiseConv2D: {**_WINDOWED, "depth_multiplier": is_size},
    layers.Bilinear: _DENSE,
    layers.ComplexBilinear: {**_DENSE, "conjugate": is_boolean},
    layers.ComplexLayerNormalization: {
        "axis": is_integer,
        "epsilon": is_fraction,
        "affine": _AFFINE,
        "statistics": one_of("features", "space"),
    },
    layers.DequantizeFrames: {"normalize": is_boolean},
    layers.FrameSampler: {
        "bags": is_size,
        "frames": is_size,
        "evaluation": one_of(*EVALUATIONS),
    },
    layers.DBoF: {**_AGGREGATION, "pooling": one_of(*POOLINGS)},
    layers.SoftDBoF: {**_AGGREGATION, "with_max": is_boolean},
    layers.NetRVLAD: _AGGREGATION,
    layers.NetVLAD: _AGGREGATION,
    layers.NetFV: {
        **_AGGREGATION,
        "tied_centres": is_boolean,
        "second_order": one_of(*SECOND_ORDERS),
    },
    layers.ContextGating: {
        **_PROJECTED,
        "use_batch_norm": is_boolean,
        "momentum": is_fraction,
    },
    layers.MixtureOfExperts: {
        **_PROJECTED,
        "classes": is_size,
        "mixtures": is_size,
        "regularization": is_number,
    },
    layers.FourierFeatures: {
        "axes": list_of(is_integer, most=2),
        "norm": one_of("ortho", "backward"),
        "shift": is_boolean,
    },
    layers.FromComplex: {"layout": one_of(*FROM_LAYOUTS)},
    layers.PerPart: {},
    layers.PhaseShift: {},
    layers.ToComplex: {
        "layout": one_of(None, *TO_LAYOUTS),
        "mask_value": is_number_or_none,
    },
}
BY_NAME = {layer_class.__name__: layer_class for layer_class in LAYERS}


def _frames_are_few(arguments):
    """Whether an inverse transform adds up few numbers, in few steps."""
    length, size, step = (
        arguments[key] for key in ("length", "frame_length", "frame_step")
    )
    return size <= 128 * step and size * -(-length // step) <= 2**26


# Class → what its arguments must be together, each of them being allowed.
TOGETHER = {layers.InverseSTFT: _frames_are_few}

# Layers without weights, in which nothing is nested.
IN_PER_PART = (
    *("Activation", "Add", "AveragePooling1D", "AveragePooling2D", "Concatenate"),
    *("AveragePooling3D", "Cropping1D", "Cropping2D", "Cropping3D"),
    *("ELU", "Flatten", "GlobalAveragePooling1D", "GlobalAveragePooling2D"),
    *("GlobalAveragePooling3D", "Identity", "LeakyReLU", "MaxPooling1D"),
    *("MaxPooling2D", "MaxPooling3D", "Permute", "ReLU", "RepeatVector"),
    *("Rescaling", "Reshape", "UpSampling1D", "UpSampling2D", "UpSampling3D"),
    *("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"),
)

# What only matters in training, or has one value in every preset.
LEFT_OUT = {
    *("name", "trainable", "dtype", "seed", "sparsifier", "synchronized"),
    *("renorm_momentum", "regularizer"),
    # Of a Dropout: like its rate, it only matters in training.
    "noise_shape",
    *(
        f"{weight}_{role}"
        for weight in ("kernel", "depthwise", "bias", "beta", "gamma", "alpha")
        + ("circulant", "diagonal")
        + ("moving_mean", "moving_variance", "phase", "threshold", "activity")
        for role in ("initializer", "regularizer", "constraint")
    ),
}
DEFAULTS = {
    "data_format": ("channels_last", None),
    "renorm": (False,),
    "rms_scaling": (False,),
}
