"""What a layer does to the channels of its inputs: `shrink`'s knowledge of layers.

A channel is one index of a tensor's last axis. A rule knows of a layer which input
channels each output channel is made of, and what becomes of channels that do not depend
on the model's inputs. A layer without a rule here reads all its channels and keeps all.
"""

import functools
import math
import numbers
from typing import NamedTuple

import keras
import numpy as np
from keras import ops as kops

from cvzoo import graph, layers, sparsity
from cvzoo.layers.merging import PairMerge

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
# Maps within each channel.
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
    keras.layers.ZeroPadding1D, keras.layers.ZeroPadding2D,
    keras.layers.ZeroPadding3D,
)
_RESHAPING = (keras.layers.Flatten, keras.layers.Reshape)
_MERGING = (
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
    return type(layer) in _DENSE + _CONVOLUTIONS + _TRANSPOSED + _DEPTHWISE


def is_transposed(layer):
    """Whether the last axis of a layer's kernel is that of the inputs."""
    return type(layer) in _TRANSPOSED


def is_depthwise(layer):
    """Whether each output channel of a layer has one input channel."""
    return type(layer) in _DEPTHWISE


def is_grouped(layer):
    """Whether each output channel of a layer has the inputs of its group only."""
    return getattr(layer, "groups", 1) > 1


def takes_mask(layer):
    """Whether a layer that is given a mask keeps channels as far apart as without."""
    norms = (keras.layers.BatchNormalization, layers.ComplexBatchNormalization)
    return type(layer) in norms or _is_masked_mean(layer)


def _is_masked_mean(layer):
    kinds = (keras.layers.GlobalAveragePooling1D, layers.ComplexGlobalAveragePooling1D)
    return type(layer) in kinds


def has_size(layer):
    """Whether all calls of a layer have the same channels, those that it is made for.

    A layer without weights, such as an activation, takes what it is given.
    """
    inner = layer.layer if isinstance(layer, layers.PerPart) else layer
    is_reshape = type(inner) is keras.layers.Reshape
    return not is_operation(layer) and (bool(layer.weights) or is_reshape)


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


class Field(NamedTuple):
    """What is known of a tensor whatever the model's inputs are.

    Attributes:
        known: Where it does not depend on the inputs: boolean array of the tensor's
            shape with a batch of 1.
        values: Its values there; 0 elsewhere.
    """

    known: np.ndarray
    values: np.ndarray

    def constants(self):
        """float64 along the channels: the value where it is one, NaN elsewhere."""
        size = self.values.shape[-1]
        flat = self.values.reshape(-1, size).astype(np.float64)
        if not flat.size:
            return np.full(size, np.nan)
        known = self.known.reshape(-1, size).all(axis=0)
        return np.where(known & (np.ptp(flat, axis=0) == 0), flat[0], np.nan)


class Source(NamedTuple):
    """Where the channels of an output come from.

    Attributes:
        position: Number of the input.
        channels: For each output channel that of the input, or -1.
        is_read: Whether the value matters, for each output channel or for all; if not,
            only the number of channels does.
    """

    position: int
    channels: np.ndarray
    is_read: np.ndarray | bool = True


class Mapped:
    """Rule of a layer whose output channels are each made of a few input channels.

    Attributes:
        sources: For each output, its `Source`s.
        is_mixing: See `Linear`.
    """

    is_mixing = False

    def __init__(self, sources, run, reach=None, is_product=False):
        """`run` and `reach` are functions from the inputs' parts to the outputs'.

        Args:
            sources: See above.
            run: What the layer does.
            reach: Gives what is not 0 where an input that is not 0 is made use of.
                `None` for a layer that works at each place alone.
            is_product: Whether one factor of 0 makes the output 0.
        """
        self.sources, self._run = sources, run
        self._reach, self._is_product = reach, is_product

    def fields(self, inputs):
        """`Field`s of the outputs from those of the inputs."""
        outputs = self._run([field.values for field in inputs])
        return [
            _field(known, values)
            for known, values in zip(self._known(inputs), outputs, strict=True)
        ]

    def _known(self, inputs):
        unknown = [~field.known for field in inputs]
        if self._reach is not None:
            reached = self._reach([mask.astype(np.float32) for mask in unknown])
            return [part == 0 for part in reached]
        known = []
        for sources in self.sources:
            read = [unknown[source.position] & source.is_read for source in sources]
            known.append(~functools.reduce(np.logical_or, read))
        if self._is_product:
            parts = len(self.sources)
            for at in range(0, len(inputs), parts):
                factor = inputs[at : at + parts]
                zero = [field.known & (field.values == 0) for field in factor]
                known = [mask | np.logical_and.reduce(zero) for mask in known]
        return known

    def used(self, outputs, sizes):
        """Which input channels matter, from which output channels do."""
        used = [np.zeros(size, bool) for size in sizes]
        for is_used, sources in zip(outputs, self.sources, strict=True):
            for source in sources:
                there = (source.channels >= 0) & is_used & source.is_read
                used[source.position][source.channels[there]] = True
        return used


class Linear:
    """Rule of a dense layer or convolution.

    Attributes:
        links: `(inputs, outputs)`: whether the kernel joins two channels.
        is_mixing: Whether the layer's activation, such as softmax, needs all outputs.
    """

    def __init__(self, layer, values, shape):
        self.layer, self.values = layer, values
        self.is_mixing = not _is_elementwise(layer)
        self.links = self._any_over_window(slice(None))
        self._varying = self._any_over_window(~_even_taps(layer, shape))

    def _any_over_window(self, taps):
        found = [(part[taps] != 0).any(axis=0) for part in self._parts()]
        return np.logical_or.reduce(found)

    def _parts(self):
        """The parts of the kernel as `(window, inputs, outputs)`."""
        for part in self.values.kernel:
            part = part.swapaxes(-1, -2) if is_transposed(self.layer) else part
            yield part.reshape(-1, *part.shape[-2:])

    def used(self, outputs):
        """Which input channels matter, from which output channels do."""
        return np.any(self.links, axis=1, where=self._used_outputs(outputs))

    def needed(self, constants, outputs):
        """The same, without the channels that the bias can take over."""
        is_used = self._used_outputs(outputs)
        found = np.any(self._varying, axis=1, where=is_used)
        found &= ~np.logical_and.reduce([part == 0 for part in constants])
        unknown = np.logical_or.reduce([np.isnan(part) for part in constants])
        return found | (unknown & np.any(self.links, axis=1, where=is_used))

    def _used_outputs(self, outputs):
        is_used = np.logical_or.reduce(outputs)[None, :]
        return np.ones_like(is_used) if self.is_mixing else is_used

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

    def fields(self, inputs):
        """`Field`s of the outputs from those of the inputs."""
        reached = _reach(self.layer, self.values)([~field.known for field in inputs])
        outputs = _twin(self.layer, self.values)([field.values for field in inputs])
        known = (reached[0] == 0) & (not self.is_mixing)
        return [_field(known, part) for part in outputs]


def _field(known, values):
    known = known & np.isfinite(values)  # no bias can take over 1 / 0
    return Field(known, np.where(known, values, np.float32(0)))


def _even_taps(layer, shape):
    """Which entries of the window see the same number of inputs at every place.

    At a border with padding an entry sees none, so that a constant input does not make
    a constant output. Found by a convolution of ones, one filter for each entry.
    """
    window = getattr(layer, "kernel_size", ())
    size = math.prod(window)
    if not _sees_borders(layer):
        return np.ones(size, bool)
    if None in shape[1:-1]:
        return np.zeros(size, bool)
    kernel = np.eye(size, dtype=np.float32).reshape(*window, 1, size)
    if is_transposed(layer):
        kernel = kernel.swapaxes(-1, -2)
    parts = len(sparsity.kernel_variables(layer))
    kernels = [kernel, np.zeros_like(kernel)][:parts]
    linear = _twin(layer, Values(kernels, []), filters=size, activation=None)
    ones = np.ones((1, *shape[1:-1], 1), np.float32)
    (counts, *_) = linear([ones, np.zeros_like(ones)][:parts])
    return np.ptp(counts.reshape(-1, size), axis=0) == 0


def _sees_borders(layer):
    """Whether a linear layer may give a constant input other outputs at a border."""
    is_windowed = math.prod(getattr(layer, "kernel_size", ())) > 1
    is_padded = is_windowed and layer.padding not in ("valid", "circular")
    return is_padded or is_transposed(layer)


def spread(layer, field, shape):
    """What is known of a tensor of some size, from what is known at every place.

    Args:
        layer: The layer that it is for.
        field: `Field`, of length 1 along the axes of unknown size.
        shape: Shape of the tensor. Without unknown sizes, the field stays as it is.
    """
    if None not in shape[1:]:
        return field
    shape = [1, *(size or _room(layer) for size in shape[1:])]
    known, values = (np.broadcast_to(part, shape) for part in field)
    if is_linear(layer) and _sees_borders(layer):
        known = known & (values == 0)
    return _field(known, values)


def _room(layer):
    """A size that a layer can work on, where any will do."""
    layer = layer.layer if isinstance(layer, layers.PerPart) else layer
    window = np.multiply(
        getattr(layer, "kernel_size", 1), getattr(layer, "dilation_rate", 1)
    )
    cropped = np.sum(getattr(layer, "cropping", 0), axis=-1) + 1
    pool, reshaped = getattr(layer, "pool_size", 1), getattr(layer, "target_shape", 1)
    return int(
        max(np.max(window), np.max(cropped), np.max(pool), abs(np.prod(reshaped)))
    )


def _twin(layer, values, **changes):
    """A function of arrays that does what a linear layer does, with other values."""

    def run(parts):
        config = layer.get_config()
        config |= {"use_bias": bool(values.bias), "name": None, **changes}
        twin = type(layer).from_config(config)
        return _call(twin, parts, weights=[*values.kernel, *values.bias])

    return run


def _reach(layer, values):
    """The `reach` of a linear layer: what its non-zero weights see."""
    is_linked = np.logical_or.reduce([part != 0 for part in values.kernel])
    none = np.zeros(is_linked.shape, np.float32)
    kernels = [is_linked.astype(np.float32), none][: len(values.kernel)]
    linear = _twin(layer, Values(kernels, []), activation=None)

    def run(parts):
        seen = np.logical_or.reduce([part != 0 for part in parts]).astype(np.float32)
        reached = linear([seen, np.zeros_like(seen)][: len(parts)])[0]
        return [np.round(reached)] * len(parts)  # counts, up to rounding

    return run


def _call(layer, parts, weights=None):
    """A layer on the parts of its inputs, flat, as arrays."""
    parts = [kops.convert_to_tensor(part, layer.compute_dtype) for part in parts]
    if isinstance(layer, PairMerge) or (
        isinstance(layer, layers.PerPart) and len(parts) > 2
    ):
        inputs = [list(zip(parts[::2], parts[1::2], strict=True))]
    elif type(layer) in _MERGING + _CONCATENATING:
        inputs = [parts]
    else:
        inputs = [tuple(parts) if len(parts) == 2 else parts[0]]
    if weights is not None:
        layer.build(keras.tree.map_structure(lambda part: part.shape, inputs[0]))
        for variable, value in zip(layer.weights, weights, strict=True):
            variable.assign(value)
    return [
        kops.convert_to_numpy(kops.cast(part, "float32"))
        for part in keras.tree.flatten(layer(*inputs))
    ]


def _operate(operation, args, parts):
    """An operation on arrays, among the plain numbers that it is called with."""
    parts = iter([kops.convert_to_tensor(part, "float32") for part in parts])
    filled = graph.map_tensors(args, lambda tensor: next(parts))
    return [kops.convert_to_numpy(kops.cast(operation(*filled), "float32"))]


def rule_for(layer, values, inputs, outputs, args=(), is_masked=False):
    """The rule of a call, or `None` for a layer that is not understood.

    Args:
        layer: The layer.
        values: `Values` of a linear layer, or `None`.
        inputs: Shapes of its inputs, flat: a pair counts as two.
        outputs: Likewise.
        args: What an operation is called on, with `graph.Tensor`s in it.
        is_masked: Whether the inputs may have a mask.
    """
    if any(len(shape) < 2 or shape[-1] is None for shape in (*inputs, *outputs)):
        return None
    if not _is_last(layer, len(inputs[0])):
        return None
    if is_linear(layer):
        if not (is_depthwise(layer) or is_grouped(layer)):
            return Linear(layer, values, inputs[0])
        if not _is_elementwise(layer):
            return None
        sources = _of_groups(layer, values, inputs, outputs)
        return Mapped(sources, _twin(layer, values), _reach(layer, values))
    if is_operation(layer) and not _is_understood(layer, args, len(inputs[0])):
        return None
    sources = _sources(layer, inputs, outputs)
    if sources is None:
        return None

    def run(parts):
        if is_operation(layer):
            return _operate(layer, args, parts)
        return _call(layer, parts)

    if is_masked and _is_masked_mean(layer):
        # Nothing is known: of no step at all, the mean is NaN or 0.
        return Mapped(sources, run, lambda parts: run([x + 1 for x in parts]))
    inner = layer.layer if isinstance(layer, layers.PerPart) else layer
    is_placing = type(inner) in _SPATIAL + _RESHAPING or _is_concatenating(inner)
    is_placing |= is_operation(layer) and type(layer).__name__ in _REDUCING_OPERATIONS
    is_placing |= getattr(layer, "layout", None) == "concatenated"
    is_product = type(layer).__name__ in ("Multiply", "ComplexMultiply")
    return Mapped(sources, run, run if is_placing else None, is_product)


def _sources(layer, inputs, outputs):
    """The `Source`s of the outputs of a layer that is no linear one, or `None`."""
    kind, before, after = type(layer), inputs[0][-1], outputs[0][-1]
    if kind in _RESHAPING:
        # Row-major order: the channel is the fastest index, if it stays whole.
        whole = after % before == 0
        return (
            _all_of(np.tile(np.arange(before), after // before), 1, 1)
            if whole
            else None
        )
    if kind is layers.PerPart:
        return _sources_per_part(layer.layer, inputs, outputs)
    if _is_concatenating(layer) and layer.axis in (-1, len(inputs[0]) - 1):
        return _side_by_side(inputs, len(outputs))
    if kind is layers.FromComplex and layer.layout != "modulus":
        return _closed(layer, inputs)
    is_alike = (
        kind in _MERGING + _SPATIAL
        or kind is layers.FromComplex
        or is_operation(layer)
        or _is_concatenating(layer)
        or _is_pointwise(layer)
    )
    if not is_alike or len({shape[-1] for shape in (*inputs, *outputs)}) != 1:
        return None
    is_read = True
    if kind is keras.layers.BatchNormalization and layer.scale:
        is_read = kops.convert_to_numpy(layer.gamma) != 0
    return _all_of(np.arange(before), len(inputs), len(outputs), is_read)


def _is_understood(operation, args, rank):
    """Whether an operation keeps channels apart, and examples too."""
    kind = type(operation).__name__
    if _is_concatenating(operation):
        return operation.axis % rank != 0
    plain = graph.Tensor | numbers.Real
    if kind in _MERGING_OPERATIONS:
        return len(args) == 2 and all(isinstance(one, plain) for one in args)
    if kind in _REDUCING_OPERATIONS and operation.axis is not None:
        axes = {axis % rank for axis in operation.axis}
        return not axes & {0, rank - 1} and getattr(operation, "initial", None) is None
    return len(args) == 1 and kind.lower() in _ELEMENTWISE_OPERATIONS


def _is_concatenating(layer):
    if is_operation(layer):
        return type(layer).__name__ == "Concatenate"
    return type(layer) in _CONCATENATING


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


def _of_groups(layer, values, inputs, outputs):
    """Each group of a convolution's inputs has outputs of its own.

    With all inputs of its group as sources, an output stays or goes with the whole
    group, as groups must have equal sizes. A depthwise convolution has groups of one.
    """
    before, after = inputs[0][-1], outputs[0][-1]
    links = np.logical_or.reduce([part != 0 for part in values.kernel])
    links = links.any(axis=tuple(range(links.ndim - 2)))
    links = links.reshape(1 if is_depthwise(layer) else -1, after)
    size = len(links)
    first = np.repeat(np.arange(0, before, size), after * size // before)
    sources = [
        Source(position, first + number, is_read)
        for position in range(len(inputs))
        for number, is_read in enumerate(links)
    ]
    return [sources] * len(outputs)


def _all_of(channels, inputs, outputs, is_read=True):
    """All outputs are made of the same channels of all inputs."""
    sources = [Source(position, channels, is_read) for position in range(inputs)]
    return [sources] * outputs


def _side_by_side(inputs, parts):
    """Channels one after the other; for pairs, inputs are real, imag, real, imag, …."""
    sizes = [shape[-1] for shape in inputs[::parts]]
    ends = np.cumsum(sizes)
    found = [[] for _ in range(parts)]
    for number, (size, end) in enumerate(zip(sizes, ends, strict=True)):
        channels = np.full(ends[-1], -1)
        channels[end - size : end] = np.arange(size)
        for part, sources in enumerate(found):
            sources.append(Source(parts * number + part, channels))
    return found


def _closed(layer, inputs):
    channels = np.arange(inputs[0][-1])
    if layer.layout == "real":
        return [[Source(0, channels), Source(1, channels, is_read=False)]]
    if layer.layout == "concatenated":
        return _side_by_side(inputs, 1)
    return None


def _sources_per_part(inner, inputs, outputs):
    """Those of the wrapped layer, twice."""
    if not _is_last(inner, len(inputs[0])):
        return None
    part = _sources(inner, inputs[::2], outputs[:1])
    if part is None:
        return None
    return [
        [Source(2 * one.position + imag, one.channels) for one in part[0]]
        for imag in (0, 1)
    ]
