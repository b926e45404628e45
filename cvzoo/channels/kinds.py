"""Which layers `shrink` understands, by what they do to channels."""

import math
import numbers

import keras
import numpy as np

from cvzoo import graph, layers

# fmt: off
ELEMENTWISE = (
    "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_tanh",
    "leaky_relu", "linear", "log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid",
    "silu", "soft_shrink", "softplus", "softsign", "swish", "tanh", "tanh_shrink",
)
POINTWISE = (
    keras.layers.ActivityRegularization, keras.layers.AlphaDropout,
    keras.layers.Dropout, keras.layers.ELU, keras.layers.GaussianDropout,
    keras.layers.GaussianNoise, keras.layers.Identity, keras.layers.LeakyReLU,
    keras.layers.PReLU, keras.layers.ReLU, keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D, keras.layers.SpatialDropout3D,
    layers.Cardioid, layers.ComplexTanh, layers.PhaseShift, layers.ThresholdModReLU,
    layers.ZReLU,
)
# The same with an argument `axis`, which must be the last.
POINTWISE_ALONG_AXIS = (
    keras.layers.BatchNormalization, layers.AdaptiveModReLU,
    layers.ComplexBatchNormalization, layers.ModReLU,
)
# Maps within each channel.
SPATIAL = (
    keras.layers.AveragePooling1D, keras.layers.AveragePooling2D,
    keras.layers.AveragePooling3D, keras.layers.Cropping1D, keras.layers.Cropping2D,
    keras.layers.Cropping3D, keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D, keras.layers.GlobalAveragePooling3D,
    keras.layers.GlobalMaxPooling1D, keras.layers.GlobalMaxPooling2D,
    keras.layers.GlobalMaxPooling3D, keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D, keras.layers.MaxPooling3D, keras.layers.UpSampling1D,
    keras.layers.UpSampling2D, keras.layers.UpSampling3D,
    layers.ComplexAveragePooling1D, layers.ComplexAveragePooling2D,
    layers.ComplexAveragePooling3D, layers.ComplexGlobalAveragePooling1D,
    layers.ComplexGlobalAveragePooling2D, layers.ComplexGlobalAveragePooling3D,
    layers.ComplexGlobalMaxPooling1D, layers.ComplexGlobalMaxPooling2D,
    layers.ComplexGlobalMaxPooling3D, layers.ComplexMaxPooling1D,
    layers.ComplexMaxPooling2D, layers.ComplexMaxPooling3D,
    keras.layers.ZeroPadding1D, keras.layers.ZeroPadding2D,
    keras.layers.ZeroPadding3D,
)
RESHAPING = (keras.layers.Flatten, keras.layers.Reshape)
MERGING = (
    keras.layers.Add, keras.layers.Average, keras.layers.Maximum,
    keras.layers.Minimum, keras.layers.Multiply, keras.layers.Subtract,
    layers.ComplexAdd, layers.ComplexMultiply,
)
# Of `x + y`, `x / 2` and `keras.ops.relu(x)`, whose classes are not public.
MERGING_OPERATIONS = ("Add", "Maximum", "Minimum", "Multiply", "Subtract")
SCALING_OPERATIONS = ("Divide", "TrueDivide")
REDUCING_OPERATIONS = ("Max", "Mean", "Sum")
ELEMENTWISE_OPERATIONS = {
    "exp", *(name.replace("_", "") for name in ELEMENTWISE)
}
CONCATENATING = (keras.layers.Concatenate, layers.ComplexConcatenate)
DENSE = (keras.layers.Dense, layers.ComplexDense)
CONVOLUTIONS = (
    keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D,
    layers.ComplexConv1D, layers.ComplexConv2D, layers.ComplexConv3D,
)
TRANSPOSED = (
    keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose, layers.ComplexConv1DTranspose,
    layers.ComplexConv2DTranspose,
)
DEPTHWISE = (
    keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D,
    layers.ComplexDepthwiseConv2D,
)
# fmt: on


def is_operation(layer):
    """Whether it is an operation on tensors, such as `x + y`, and no layer."""
    return not isinstance(layer, keras.Layer)


def is_linear(layer):
    """Whether a layer has a kernel and a bias that are understood here."""
    return type(layer) in DENSE + CONVOLUTIONS + TRANSPOSED + DEPTHWISE


def is_transposed(layer):
    """Whether the last axis of a layer's kernel is that of the inputs."""
    return type(layer) in TRANSPOSED


def is_depthwise(layer):
    """Whether each output channel of a layer has one input channel."""
    return type(layer) in DEPTHWISE


def has_size(layer):
    """Whether all calls of a layer have the same channels, those that it is made for.

    A layer without weights, such as an activation, takes what it is given.
    """
    inner = layer.layer if isinstance(layer, layers.PerPart) else layer
    is_reshape = type(inner) is keras.layers.Reshape
    return not is_operation(layer) and (bool(layer.weights) or is_reshape)


def is_merging_operation(layer, arguments):
    """Whether it is an operation such as `x + y`, `2 - x` or `x / 2`.

    Args:
        layer: A layer, or an operation.
        arguments: Those of its call, a tensor being a `graph.Tensor`.
    """
    name, is_number = type(layer).__name__, [_is_number(one) for one in arguments]
    if not is_operation(layer) or len(arguments) != 2:
        return False
    if name in SCALING_OPERATIONS:
        return is_number[1] and arguments[1] != 0
    return name in MERGING_OPERATIONS and all(
        number or isinstance(one, graph.Tensor)
        for number, one in zip(is_number, arguments, strict=True)
    )


def _is_number(argument):
    return isinstance(argument, numbers.Real)


def is_reduction(layer, rank):
    """Whether it is an operation such as `keras.ops.mean`, within each channel."""
    if not is_operation(layer) or type(layer).__name__ not in REDUCING_OPERATIONS:
        return False
    axes = range(rank) if layer.axis is None else np.atleast_1d(layer.axis) % rank
    return not {0, rank - 1} & set(axes)


def is_concatenation(layer, rank):
    """Whether it puts channels side by side."""
    name = type(layer).__name__
    is_known = type(layer) in CONCATENATING or (
        is_operation(layer) and name == "Concatenate"
    )
    return is_known and layer.axis in (-1, rank - 1)


def is_pointwise(layer):
    """Whether each number of a layer's output is made of the same one of its input."""
    kind = type(layer)
    if is_operation(layer):
        return kind.__name__.lower() in ELEMENTWISE_OPERATIONS
    if kind in (keras.layers.Activation, layers.SplitActivation):
        return is_elementwise(layer)
    if kind is keras.layers.Rescaling:
        return np.ndim(layer.scale) == 0 and np.ndim(layer.offset) == 0
    if kind is layers.ComplexDropout:
        return layer.noise_shape is None
    return kind in POINTWISE + POINTWISE_ALONG_AXIS


def is_last(layer, rank):
    """Whether the layer's channels are on the last axis."""
    if type(layer) in POINTWISE_ALONG_AXIS:
        return layer.axis in (-1, rank - 1)
    return getattr(layer, "data_format", None) != "channels_first"


def is_elementwise(layer):
    """Whether a layer's activation works on each number alone."""
    return getattr(layer.activation, "__name__", "") in ELEMENTWISE


def sees_borders(layer):
    """Whether a linear layer may give a constant input other outputs at a border."""
    is_windowed = math.prod(getattr(layer, "kernel_size", ())) > 1
    is_padded = is_windowed and layer.padding not in ("valid", "circular")
    return is_padded or is_transposed(layer)
