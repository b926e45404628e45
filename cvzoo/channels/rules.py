"""Which input channels each output channel of a layer is made of."""

import functools
from typing import NamedTuple

import keras
import numpy as np
from keras import ops as kops

from cvzoo import layers
from cvzoo.channels import kinds
from cvzoo.channels.fields import call, field_of
from cvzoo.channels.linear import Linear, reach, twin


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
        is_mixing: See `Linear`.
    """

    is_mixing = False

    def __init__(self, sources, run, reach=None, is_product=False, reads=True):
        """`run` and `reach` are functions from the inputs' parts to the outputs'.

        Args:
            sources: See above.
            run: What the layer does.
            reach: Gives what is not 0 where an input that is not 0 is made use of.
                `None` for a layer that works at each place alone.
            is_product: Whether one factor of 0 makes the output 0.
            reads: For each output channel, whether any weight joins it to its inputs.
        """
        self.sources, self._run = sources, run
        self._reach, self._is_product = reach, is_product
        self._reads = reads

    def fields(self, inputs):
        """`Field`s of the outputs from those of the inputs."""
        outputs = self._run([field.values for field in inputs])
        return [
            field_of(known, values)
            for known, values in zip(self._known(inputs), outputs, strict=True)
        ]

    def _known(self, inputs):
        unknown = [~field.known for field in inputs]
        if self._reach is not None:
            reached = self._reach([mask.astype(np.float32) for mask in unknown])
            return [part == 0 for part in reached]
        known = []
        for sources in self.sources:
            read = [unknown[source.position] for source in sources if source.is_read]
            known.append(~functools.reduce(np.logical_or, read))
        if self._is_product:
            parts = len(self.sources)
            for at in range(0, len(inputs), parts):
                factor = inputs[at : at + parts]
                zero = [field.known & (field.values == 0) for field in factor]
                known = [mask | np.logical_and.reduce(zero) for mask in known]
        return [mask | np.logical_not(self._reads) for mask in known]

    def used(self, outputs, sizes):
        """Which input channels matter, from which output channels do."""
        used = [np.zeros(size, bool) for size in sizes]
        for is_used, sources in zip(outputs, self.sources, strict=True):
            for source in sources:
                if source.is_read:
                    there = (source.channels >= 0) & is_used & self._reads
                    used[source.position][source.channels[there]] = True
        return used


def rule_for(layer, values, inputs, outputs, arguments=()):
    """The rule of a call, or `None` for a layer that is not understood.

    Args:
        layer: The layer, or an operation.
        values: `Values` of a linear layer, or `None`.
        inputs: Shapes of its inputs, flat: a pair counts as two.
        outputs: Likewise.
        arguments: Of an operation: those of its call, a tensor being a `graph.Tensor`.
    """
    if any(len(shape) < 2 or shape[-1] is None for shape in (*inputs, *outputs)):
        return None
    if not kinds.is_last(layer, len(inputs[0])):
        return None
    if kinds.is_linear(layer):
        if getattr(layer, "groups", 1) != 1:
            return None
        if kinds.is_depthwise(layer):
            if not kinds.is_elementwise(layer):
                return None
            channels = _of_groups(inputs[0][-1], outputs[0][-1])
            sources = _all_of(channels, len(inputs), len(outputs))
            links = [part != 0 for part in values.kernel]
            window = tuple(range(links[0].ndim - 2))
            reads = np.logical_or.reduce(links).any(axis=window).ravel()
            run, reached_by = twin(layer, values), reach(layer, values)
            return Mapped(sources, run, reached_by, reads=reads)
        return Linear(layer, values, inputs[0])
    sources = _sources(layer, inputs, outputs, arguments)
    if sources is None:
        return None

    def run(parts):
        return call(layer, parts, arguments=arguments)

    inner = layer.layer if isinstance(layer, layers.PerPart) else layer
    is_placing = type(inner) in kinds.SPATIAL + kinds.RESHAPING + kinds.CONCATENATING
    is_placing |= getattr(layer, "layout", None) == "concatenated"
    rank = len(inputs[0])
    is_placing |= kinds.is_concatenation(layer, rank)
    is_placing |= kinds.is_reduction(layer, rank)
    is_product = type(layer).__name__ in ("Multiply", "ComplexMultiply")
    reads = True
    if type(layer) is keras.layers.BatchNormalization and layer.scale:
        reads = kops.convert_to_numpy(layer.gamma) != 0
    return Mapped(sources, run, run if is_placing else None, is_product, reads)


def _sources(layer, inputs, outputs, arguments=()):
    """The `Source`s of the outputs of a layer that is no linear one, or `None`."""
    kind, before, after = type(layer), inputs[0][-1], outputs[0][-1]
    rank = len(inputs[0])
    if kind in kinds.RESHAPING:
        # Row-major order: the channel is the fastest index, if it stays whole.
        whole = after % before == 0
        return (
            _all_of(np.tile(np.arange(before), after // before), 1, 1)
            if whole
            else None
        )
    if kind is layers.PerPart:
        return _sources_per_part(layer.layer, inputs, outputs)
    if kinds.is_concatenation(layer, rank):
        return _side_by_side(inputs, len(outputs))
    if kind is layers.FromComplex and layer.layout != "modulus":
        return _closed(layer, inputs)
    is_alike = (
        kind in kinds.MERGING + kinds.SPATIAL + kinds.CONCATENATING
        or kind is layers.FromComplex
        or kinds.is_merging_operation(layer, arguments)
        or kinds.is_reduction(layer, rank)
        or kinds.is_pointwise(layer)
    )
    if not is_alike or len({shape[-1] for shape in (*inputs, *outputs)}) != 1:
        return None
    return _all_of(np.arange(before), len(inputs), len(outputs))


def _of_groups(inputs, outputs):
    """Each input channel of a depthwise convolution has outputs of its own."""
    return np.repeat(np.arange(inputs), outputs // inputs)


def _all_of(channels, inputs, outputs):
    """All outputs are made of the same channels of all inputs."""
    sources = [Source(position, channels) for position in range(inputs)]
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
    if not kinds.is_last(inner, len(inputs[0])):
        return None
    part = _sources(inner, inputs[::2], outputs[:1])
    if part is None:
        return None
    return [
        [Source(2 * one.position + imag, one.channels) for one in part[0]]
        for imag in (0, 1)
    ]
