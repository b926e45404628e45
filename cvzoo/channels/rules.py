"""One rule for each call of a layer, and the rules of all layers but linear ones.

A rule knows of a layer which input channels each output channel is made of, and what
becomes of channels that do not depend on the model's inputs. A layer without a rule
here reads all its channels and keeps all.
"""

import functools
from typing import NamedTuple

import keras
import numpy as np
from keras import ops as kops

from cvzoo import layers
from cvzoo.channels import calling, fields, kinds, linear_rule


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
        is_mixing: See `linear_rule.Linear`.
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
            fields.field_of(known, values)
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


def rule_for(layer, values, inputs, outputs, args=(), is_masked=False):
    """The rule of a call, or `None` for a layer that is not understood.

    Args:
        layer: The layer.
        values: `calling.Values` of a linear layer, or `None`.
        inputs: Shapes of its inputs, flat: a pair counts as two.
        outputs: Likewise.
        args: What an operation is called on, with `graph.Tensor`s in it.
        is_masked: Whether the inputs may have a mask.
    """
    if any(len(shape) < 2 or shape[-1] is None for shape in (*inputs, *outputs)):
        return None
    rank = len(inputs[0])
    if not kinds.is_last(layer, rank):
        return None
    if kinds.is_linear(layer):
        if not (kinds.is_depthwise(layer) or kinds.is_grouped(layer)):
            return linear_rule.Linear(layer, values, inputs[0])
        if not kinds.is_elementwise(layer):
            return None
        sources = _of_groups(layer, values, inputs, outputs)
        run, reach = calling.twin(layer, values), linear_rule.reach(layer, values)
        return Mapped(sources, run, reach)
    if kinds.is_operation(layer) and not kinds.is_understood(layer, args, rank):
        return None
    sources = _sources(layer, inputs, outputs)
    if sources is None:
        return None

    def run(parts):
        if kinds.is_operation(layer):
            return calling.operate(layer, args, parts)
        return calling.call(layer, parts)

    if is_masked and kinds.is_masked_mean(layer):
        # Nothing is known: of no step at all, the mean is NaN or 0.
        return Mapped(sources, run, lambda parts: run([x + 1 for x in parts]))
    is_product = type(layer).__name__ in ("Multiply", "ComplexMultiply")
    return Mapped(sources, run, run if kinds.is_placing(layer) else None, is_product)


def _sources(layer, inputs, outputs):
    """The `Source`s of the outputs of a layer that is no linear one, or `None`."""
    kind, before, after = type(layer), inputs[0][-1], outputs[0][-1]
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
    if kinds.is_concatenating(layer) and layer.axis in (-1, len(inputs[0]) - 1):
        return _side_by_side(inputs, len(outputs))
    if kind is layers.FromComplex and layer.layout != "modulus":
        return _closed(layer, inputs)
    is_alike = (
        kind in kinds.MERGING + kinds.SPATIAL
        or kind is layers.FromComplex
        or kinds.is_operation(layer)
        or kinds.is_concatenating(layer)
        or kinds.is_pointwise(layer)
    )
    if not is_alike or len({shape[-1] for shape in (*inputs, *outputs)}) != 1:
        return None
    is_read = True
    if kind is keras.layers.BatchNormalization and layer.scale:
        is_read = kops.convert_to_numpy(layer.gamma) != 0
    return _all_of(np.arange(before), len(inputs), len(outputs), is_read)


def _of_groups(layer, values, inputs, outputs):
    """Each group of a convolution's inputs has outputs of its own.

    With all inputs of its group as sources, an output stays or goes with the whole
    group, as groups must have equal sizes. A depthwise convolution has groups of one.
    """
    before, after = inputs[0][-1], outputs[0][-1]
    links = np.logical_or.reduce([part != 0 for part in values.kernel])
    links = links.any(axis=tuple(range(links.ndim - 2)))
    links = links.reshape(1 if kinds.is_depthwise(layer) else -1, after)
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
    if not kinds.is_last(inner, len(inputs[0])):
        return None
    part = _sources(inner, inputs[::2], outputs[:1])
    if part is None:
        return None
    return [
        [Source(2 * one.position + imag, one.channels) for one in part[0]]
        for imag in (0, 1)
    ]
