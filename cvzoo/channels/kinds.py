"""What is known of layers by their class alone, for `shrink`."""

import math
import numbers

import keras
import numpy as np

from cvzoo import graph, layers
from cvzoo.layers.sparsifiable import einsum_specs

# fmt: off
_ELEMENTWISE = (
    "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_tanh",
    "leaky_relu", "linear", "log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid",
    "silu", "soft_shrink", "softplus", "softsign", "swish", "tanh", "tanh_shrink",
)
_POINTWISE = (
    keras.layers.ActivityRegularization, keras.layers.AlphaDropout,
    keras.layers.Dropout, keras.layers.ELU, keras.layers.GaussianDropout,
    keras.layers.GaussianNoise, keras.layers.Identity, keras.layers.LeakyReLU,
    keras.layers.PReLU, keras.layers.ReLU, keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D, keras.layers.SpatialDropout3D,
    layers.Cardioid, layers.ComplexTanh, layers.PhaseShift, layers.ThresholdModReLU,
    layers.WidelyLinear, layers.ZReLU,
)
# The same with an argument `axis`, which must be the last.
_POINTWISE_ALONG_AXIS = (
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
# Of `x + y`, `0.5 * x` and `keras.ops.relu(x)`, whose classes are not public.
_MERGING_OPERATIONS = (
    "Add", "Divide", "Maximum", "Minimum", "Multiply", "Power", "Subtract",
    "TrueDivide",
)
_ELEMENTWISE_OPERATIONS = {
    "absolute", "exp", "negative", "sqrt", "square",
    *(name.replace("_", "") for name in _ELEMENTWISE),
}
_REDUCING_OPERATIONS = ("Max", "Mean")
_CONCATENATING = (keras.layers.Concatenate, layers.ComplexConcatenate)
_DENSE = (keras.layers.Dense, layers.ComplexDense)
_CONVOLUTIONS = (
    keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D,
    layers.ComplexConv1D, layers.ComplexConv2D, layers.ComplexConv3D,
)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose, layers.ComplexConv1DTranspose,
    layers.ComplexConv2DTranspose,
)
_DEPTHWISE = (
    keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D,
    layers.ComplexDepthwiseConv2D,
)
# fmt: on


def is_operation(layer):
    """Whether it is an operation on tensors, such as `x + y`, and no layer."""
    return not isinstance(layer, keras.Layer)


def is_linear(layer):
    """Whether a layer has a kernel and a bias that are understood here."""
    if graph.is_quantized(layer):
        return False
    kinds = _DENSE + _CONVOLUTIONS + _TRANSPOSED + _DEPTHWISE
    return type(layer) in kinds or is_dense_einsum(layer)


def is_dense_einsum(layer):
    """Whether it is an `EinsumDense` that does what a `Dense` does."""
    if type(layer) is not keras.layers.EinsumDense:
        return False
    inputs, kernel, outputs = einsum_specs(layer.equation)
    return (
        kernel == inputs[-1] + outputs[-1]
        and inputs[:-1] == outputs[:-1]
        and not set(kernel) & set(inputs[:-1])
        and len(set(kernel)) == 2
        and layer.bias_axes in (None, "", outputs[-1])
    )


def is_transposed(layer):
    """Whether the last axis of a layer's kernel is that of the inputs."""
    return type(layer) in _TRANSPOSED


def is_depthwise(layer):
    """Whether each output channel of a layer has one input channel."""
    return type(layer) in _DEPTHWISE


def is_grouped(layer):
    """Whether each output channel of a layer has the inputs of its group only."""
    return getattr(layer, "groups", 1) > 1


def is_elementwise(layer):
    """Whether a layer's activation takes each value by itself."""
    return getattr(layer.activation, "__name__", "") in _ELEMENTWISE


def is_pointwise(layer):
    """Whether a layer takes each value by itself, or with weights of its channel."""
    kind = type(layer)
    if kind in (keras.layers.Activation, layers.SplitActivation):
        return is_elementwise(layer)
    if kind is keras.layers.Rescaling:
        return np.ndim(layer.scale) == 0 and np.ndim(layer.offset) == 0
    if kind is layers.ComplexDropout:
        return layer.noise_shape is None
    return kind in _POINTWISE + _POINTWISE_ALONG_AXIS


def is_placing(layer):
    """Whether a layer moves values to other places, or makes one of several places."""
    inner = layer.layer if isinstance(layer, layers.PerPart) else layer
    is_reducing = type(layer).__name__ in _REDUCING_OPERATIONS and is_operation(layer)
    return (
        type(inner) in SPATIAL + RESHAPING
        or is_reducing
        or is_concatenating(inner)
        or getattr(layer, "layout", None) == "concatenated"
    )


def takes_list(layer):
    """Whether a layer is called on one list of tensors."""
    return type(layer) in MERGING + _CONCATENATING


def is_concatenating(layer):
    """Whether a layer, or an operation, puts its inputs side by side on some axis."""
    if is_operation(layer):
        return type(layer).__name__ == "Concatenate"
    return type(layer) in _CONCATENATING


def is_understood(operation, args, rank):
    """Whether an operation keeps channels apart, and examples too."""
    kind = type(operation).__name__
    if is_concatenating(operation):
        return operation.axis % rank != 0
    plain = graph.Tensor | numbers.Real
    if kind in _MERGING_OPERATIONS:
        return len(args) == 2 and all(isinstance(one, plain) for one in args)
    if kind in _REDUCING_OPERATIONS and operation.axis is not None:
        axes = {axis % rank for axis in operation.axis}
        return not axes & {0, rank - 1} and getattr(operation, "initial", None) is None
    return len(args) == 1 and kind.lower() in _ELEMENTWISE_OPERATIONS


def is_masked_mean(layer):
    """Whether a layer averages over the steps that a mask leaves."""
    means = (keras.layers.GlobalAveragePooling1D, layers.ComplexGlobalAveragePooling1D)
    return type(layer) in means


def takes_mask(layer):
    """Whether a layer that is given a mask keeps channels as far apart as without."""
    return is_batch_norm(layer) or is_masked_mean(layer)


def is_batch_norm(layer):
    """Whether a layer is a batch norm, real or complex."""
    norms = (keras.layers.BatchNormalization, layers.ComplexBatchNormalization)
    return type(layer) in norms


def is_last(layer, rank):
    """Whether the layer's channels are on the last axis."""
    if type(layer) in _POINTWISE_ALONG_AXIS:
        return layer.axis in (-1, rank - 1)
    return getattr(layer, "data_format", None) != "channels_first"


def sees_borders(layer):
    """Whether a linear layer may give a constant input other outputs at a border."""
    is_windowed = math.prod(getattr(layer, "kernel_size", ())) > 1
    is_padded = is_windowed and layer.padding not in ("valid", "circular")
    return is_padded or is_transposed(layer)


def has_size(layer):
    """Whether all calls of a layer have the same channels, those that it is made for.

    A layer without weights, such as an activation, takes what it is given.
    """
    inner = layer.layer if isinstance(layer, layers.PerPart) else layer
    is_reshape = type(inner) is keras.layers.Reshape
    return not is_operation(layer) and (bool(layer.weights) or is_reshape)
