"""What a layer does to the channels of its inputs: `shrink`'s knowledge of layers.

A channel is one index of a tensor's last axis. A rule knows three things of a layer:
which input channels each output channel is made of, what becomes of channels that are
constant over the whole batch and space, and where a constant may move into a bias.
A layer without a rule here reads all its channels and keeps all.

Constants are float64 arrays along the channels, NaN where a channel is not constant.
"""

import math
from typing import NamedTuple

import keras
import numpy as np
from keras import ops as kops

from cvzoo import layers, sparsity

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
    layers.ZReLU,
)
# The same with an argument `axis`, which must be the last.
_POINTWISE_ALONG_AXIS = (
    keras.layers.BatchNormalization, layers.AdaptiveModReLU,
    layers.ComplexBatchNormalization, layers.ModReLU,
)
# Maps within each channel that leave a constant as it is.
_SPATIAL = (
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
)
# The same, but only zero stays as it is.
_ZERO_SPATIAL = (
    keras.layers.ZeroPadding1D, keras.layers.ZeroPadding2D,
    keras.layers.ZeroPadding3D, layers.SpectralPooling1D, layers.SpectralPooling2D,
)
_RESHAPING = (keras.layers.Flatten, keras.layers.Reshape)
_MERGING = (
    keras.layers.Add, keras.layers.Average, keras.layers.Maximum,
    keras.layers.Minimum, keras.layers.Multiply, keras.layers.Subtract,
    layers.ComplexAdd, layers.ComplexMultiply,
)
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


def is_linear(layer):
    """Whether a layer has a kernel and a bias that are understood here."""
    return type(layer) in _DENSE + _CONVOLUTIONS + _TRANSPOSED + _DEPTHWISE


def is_transposed(layer):
    """Whether the last axis of a layer's kernel is that of the inputs."""
    return type(layer) in _TRANSPOSED


def is_depthwise(layer):
    """Whether each output channel of a layer has one input channel."""
    return type(layer) in _DEPTHWISE


class Values:
    """numpy kernel and bias of a linear layer while its model shrinks.

    Attributes:
        kernel: Its parts, one or two.
        bias: Likewise, or an empty list.
    """

    def __init__(self, kernel, bias):
        self.kernel, self.bias = kernel, bias

    @classmethod
    def of(cls, layer):
        return cls(*sparsity.linear_values(layer))


class Source(NamedTuple):
    """Where the channels of an output come from.

    Attributes:
        position: Number of the input.
        channels: For each output channel that of the input, or -1.
        is_read: Whether the value matters; if not, only the number of channels does.
    """

    position: int
    channels: np.ndarray
    is_read: bool = True


class Mapped:
    """Rule of a layer whose output channels are each made of a few input channels.

    Attributes:
        sources: For each output, its `Source`s.
    """

    def __init__(self, sources, evaluate):
        self.sources, self._evaluate = sources, evaluate

    def constants(self, inputs):
        """Constants of the outputs from those of the inputs."""
        return self._evaluate(inputs)

    def used(self, outputs, sizes):
        """Which input channels matter, from which output channels do."""
        used = [np.zeros(size, bool) for size in sizes]
        for is_used, sources in zip(outputs, self.sources, strict=True):
            for source in sources:
                if source.is_read:
                    there = (source.channels >= 0) & is_used
                    used[source.position][source.channels[there]] = True
        return used


class Linear:
    """Rule of a dense layer or convolution.

    Attributes:
        links: `(inputs, outputs)`: whether the kernel joins two channels.
        keeps_constants: Whether a constant input gives the same sum everywhere, and
            so may move into the bias.
    """

    def __init__(self, layer, values):
        self.layer, self.values = layer, values
        self.is_transposed = is_transposed(layer)
        self.links = self._over_window(lambda part: (part != 0).any(axis=0))
        # A window at the border sees fewer inputs where there is padding.
        padding = getattr(layer, "padding", "valid")
        is_point = math.prod(getattr(layer, "kernel_size", (1,))) == 1
        if self.is_transposed:
            self.keeps_constants = is_point and math.prod(layer.strides) == 1
        else:
            self.keeps_constants = is_point or padding in ("valid", "circular")

    def _over_window(self, reduce):
        """`(inputs, outputs)` from the parts of the kernel, `(window, in, out)`."""
        found = [reduce(part) for part in self._parts()]
        return found[0] | found[1] if len(found) == 2 else found[0]

    def _parts(self):
        for part in self.values.kernel:
            part = part.swapaxes(-1, -2) if self.is_transposed else part
            yield part.reshape(-1, *part.shape[-2:])

    def foldable(self, constants):
        """Which input channels are constants that a bias can take over."""
        known = np.logical_and.reduce([~np.isnan(part) for part in constants])
        return known & (self.keeps_constants | _are_zero(constants))

    def used(self, outputs):
        """Which input channels matter, from which output channels do."""
        is_used = np.logical_or.reduce(outputs)
        return np.any(self.links, axis=1, where=is_used[None, :])

    def shift(self, channels, constants):
        """What constant `channels` add to the parts of the bias."""
        rows = [
            part[:, channels].sum(axis=0, dtype=np.float64) for part in self._parts()
        ]
        values = [part[channels] for part in constants]
        if len(rows) == 1:
            return [values[0] @ rows[0]]
        (u, v), (real, imag) = rows, values
        return [real @ u - imag @ v, real @ v + imag @ u]

    def constants(self, inputs):
        """Constants of the outputs from those of the inputs."""
        fixed = self.foldable(inputs)
        varies = np.any(self.links, axis=0, where=~fixed[:, None])
        sums = self.shift(np.flatnonzero(fixed & ~_are_zero(inputs)), inputs)
        if self.values.bias:
            sums = [x + bias for x, bias in zip(sums, self.values.bias, strict=True)]
        return [
            np.where(varies, np.nan, _activated(self.layer.activation, part))
            for part in sums
        ]


def rule_for(layer, values, inputs, outputs):
    """The rule of a call, or `None` for a layer that is not understood.

    Args:
        layer: The layer.
        values: `Values` of a linear layer, or `None`.
        inputs: Shapes of its inputs, flat: a pair counts as two.
        outputs: Likewise.
    """
    if any(not shape or shape[-1] is None for shape in (*inputs, *outputs)):
        return None
    if isinstance(layer, layers.PerPart):
        return _per_part(layer, inputs, outputs)
    kind = type(layer)
    if not _is_last(layer, len(inputs[0])):
        return None
    if kind in _RESHAPING:
        return _reshaped(inputs, outputs)
    if kind in _DENSE + _CONVOLUTIONS + _TRANSPOSED:
        is_plain = getattr(layer, "groups", 1) == 1 and _is_elementwise(layer)
        return Linear(layer, values) if is_plain else None
    if is_depthwise(layer):
        return _depthwise(layer, values, outputs) if _is_elementwise(layer) else None
    return _mapped(layer, inputs, outputs)


def _mapped(layer, inputs, outputs):
    kind = type(layer)
    if kind in _CONCATENATING:
        return _concatenated(layer, inputs, outputs)
    if kind is layers.FromComplex:
        return _closed(layer, inputs, outputs)
    same_size = {shape[-1] for shape in (*inputs, *outputs)}
    if len(same_size) != 1:
        return None
    if kind in _MERGING:
        evaluate = _run_on(layer, inputs)
        is_product = kind in (keras.layers.Multiply, layers.ComplexMultiply)
        return _alike(inputs, outputs, _or_zero(evaluate) if is_product else evaluate)
    if _is_pointwise(layer):
        return _alike(inputs, outputs, _run_on(layer, inputs))
    if kind in _SPATIAL:
        return _alike(inputs, outputs, lambda constants: constants)
    if kind in _ZERO_SPATIAL:
        return _alike(inputs, outputs, _zeros_only)
    return None


def _is_pointwise(layer):
    kind = type(layer)
    if kind in (keras.layers.Activation, layers.SplitActivation):
        return _is_elementwise(layer)
    if kind is keras.layers.Rescaling:
        return np.ndim(layer.scale) == 0 and np.ndim(layer.offset) == 0
    if kind is layers.ComplexDropout:
        return layer.noise_shape is None
    return kind in _POINTWISE + _POINTWISE_ALONG_AXIS


def _is_last(layer, rank):
    """Whether the layer's channels are on the last axis."""
    if type(layer) in _POINTWISE_ALONG_AXIS:
        return layer.axis in (-1, rank - 1)
    return getattr(layer, "data_format", None) != "channels_first"


def _is_elementwise(layer):
    return getattr(layer.activation, "__name__", "") in _ELEMENTWISE


def _alike(inputs, outputs, evaluate):
    """All outputs have the channels of all inputs."""
    channels = np.arange(inputs[0][-1])
    sources = [Source(position, channels) for position in range(len(inputs))]
    return Mapped([sources] * len(outputs), evaluate)


def _reshaped(inputs, outputs):
    """Row-major order: the channel is the fastest index, if it stays whole."""
    (before,), (after,) = inputs, outputs
    if after[-1] % before[-1]:
        return None
    channels = np.tile(np.arange(before[-1]), after[-1] // before[-1])
    return Mapped([[Source(0, channels)]], lambda constants: [constants[0][channels]])


def _concatenated(layer, inputs, outputs):
    rank = len(inputs[0])
    if layer.axis not in (-1, rank - 1):
        # Along space: each channel of the output holds that of all inputs.
        return _alike(inputs, outputs, _equal_only(len(outputs)))
    return _side_by_side(inputs, len(outputs))


def _side_by_side(inputs, parts):
    """Channels one after the other; for pairs, inputs are real, imag, real, imag, …."""
    sizes = [shape[-1] for shape in inputs[::parts]]
    ends = np.cumsum(sizes)
    sources = []
    for number, (size, end) in enumerate(zip(sizes, ends, strict=True)):
        channels = np.full(ends[-1], -1)
        channels[end - size : end] = np.arange(size)
        sources += [Source(parts * number + part, channels) for part in range(parts)]

    def evaluate(constants):
        return [np.concatenate(constants[part::parts]) for part in range(parts)]

    return Mapped([sources] * parts, evaluate)


def _closed(layer, inputs, outputs):
    channels = np.arange(inputs[0][-1])
    if layer.layout == "real":
        sources = [Source(0, channels), Source(1, channels, is_read=False)]
        return Mapped([sources], lambda constants: constants[:1])
    if layer.layout == "concatenated":
        return _side_by_side(inputs, 1)
    if layer.layout == "trailing":
        return None
    return _alike(inputs, outputs, _run_on(layer, inputs))


def _per_part(layer, inputs, outputs):
    """The rule of the wrapped layer, both parts having the same channels."""
    inner, (first, *_) = layer.layer, outputs
    part = rule_for(inner, None, inputs[::2], [first])
    if part is None:
        return None
    sources = [
        Source(2 * source.position + imag, source.channels)
        for source in part.sources[0]
        for imag in (0, 1)
    ]

    def evaluate(constants):
        return [part.constants(constants[imag::2])[0] for imag in (0, 1)]

    return Mapped([sources, sources], evaluate)


def _depthwise(layer, values, outputs):
    """Each input channel gives `depth_multiplier` outputs of its own."""
    kernels = [part.reshape(-1, *part.shape[-2:]) for part in values.kernel]
    inputs, multiplier = kernels[0].shape[1:]
    channels = np.repeat(np.arange(inputs), multiplier)
    sums = [part.sum(axis=0, dtype=np.float64).ravel() for part in kernels]
    is_dead = np.logical_and.reduce(
        [(part == 0).all(axis=0).ravel() for part in kernels]
    )
    keeps = layer.padding == "valid" or math.prod(layer.kernel_size) == 1

    def evaluate(constants):
        found = [part[channels] for part in constants]
        usable = is_dead | _are_zero(found) | keeps
        found = [np.where(is_dead, 0.0, part) for part in found]
        if len(found) == 2:
            (real, imag), (u, v) = found, sums
            found = [real * u - imag * v, real * v + imag * u]
        else:
            found = [found[0] * sums[0]]
        if values.bias:
            found = [x + bias for x, bias in zip(found, values.bias, strict=True)]
        return [
            np.where(usable, _activated(layer.activation, part), np.nan)
            for part in found
        ]

    sources = [Source(position, channels) for position in range(len(kernels))]
    return Mapped([sources] * len(outputs), evaluate)


# What becomes of constants


def _are_zero(constants):
    return np.logical_and.reduce([part == 0 for part in constants])


def _zeros_only(constants):
    return [np.where(part == 0, 0.0, np.nan) for part in constants]


def _equal_only(parts):
    def evaluate(constants):
        groups = [constants[part::parts] for part in range(parts)]
        return [
            np.where(np.all([x == group[0] for x in group], axis=0), group[0], np.nan)
            for group in groups
        ]

    return evaluate


def _or_zero(evaluate):
    """A product is zero where one factor is, constant or not the others."""

    def with_zeros(constants):
        found = evaluate(constants)
        parts = len(found)
        pairs = [constants[at : at + parts] for at in range(0, len(constants), parts)]
        is_zero = np.any([_are_zero(pair) for pair in pairs], axis=0)
        return [np.where(is_zero, 0.0, part) for part in found]

    return with_zeros


def _run_on(layer, shapes):
    """Evaluates a layer on constants: one place of space, all channels."""

    def evaluate(constants):
        varies = np.any([np.isnan(part) for part in constants], axis=0)
        places = [
            np.where(varies, 0.0, part).reshape(*[1] * (len(shape) - 1), -1)
            for part, shape in zip(constants, shapes, strict=True)
        ]
        outputs = layer(_as_the_layer_takes_them(layer, places))
        found = []
        for part in keras.tree.flatten(outputs):
            part = kops.convert_to_numpy(kops.cast(part, "float32"))
            # A learned slope per place makes a constant differ between places.
            is_one_place = part.size == part.shape[-1]
            part = part.reshape(-1, part.shape[-1])[0].astype(np.float64)
            found.append(np.where(varies | (not is_one_place), np.nan, part))
        return found

    return evaluate


def _as_the_layer_takes_them(layer, parts):
    parts = [kops.convert_to_tensor(part, layer.compute_dtype) for part in parts]
    if isinstance(layer, keras.layers.Layer) and type(layer) in _MERGING:
        if type(layer) in (layers.ComplexAdd, layers.ComplexMultiply):
            return list(zip(parts[::2], parts[1::2], strict=True))
        return parts
    return tuple(parts) if len(parts) == 2 else parts[0]


def _activated(activation, values):
    return kops.convert_to_numpy(
        activation(kops.convert_to_tensor(values, "float32"))
    ).astype(np.float64)
