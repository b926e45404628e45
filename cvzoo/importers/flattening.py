"""Layers on flattened feature maps, in which torch has the channels first."""

import math
from typing import NamedTuple

import keras

from cvzoo import graph
from cvzoo.importers import axes, table
from cvzoo.layers import FromComplex, PerPart


class Map(NamedTuple):
    """A feature map that was flattened.

    Attributes:
        shape: Channels, then the sizes of space.
        parts: 2 if the real parts of all of it come before the imaginary ones.
    """

    shape: tuple
    parts: int


def reorder(moves, prefix, flattened, expected):
    """The moves to a layer, with the axis of its features in the order of Keras.

    Args:
        moves: As `table.moves` gives them.
        prefix: Name of the torch layer.
        flattened: Prefix → shape of a feature map, or `None`, as the user gave them.
        expected: What `flattened_maps` has of the Keras layer, or `None`.

    Returns:
        The moves, and what is wrong, or `None`.
    """
    sizes = {move.sizes[move.features] for move in moves if move.features}
    if prefix not in flattened:
        if not sizes or expected is None:
            return moves, None
        return moves, (
            f"'{prefix}' works on a flattened feature map, which torch has in another "
            f"order. Give flattened={{'{prefix}': {expected.shape}}}; or None in place "
            "of the shape if the torch network flattened it with the channels last"
        )
    if flattened[prefix] is None:
        return moves, None
    given = Map(tuple(flattened[prefix]), 1)
    if sizes != {math.prod(given.shape) * (expected or given).parts}:
        found = f"its features are {max(sizes)}" if sizes else "it has no such axis"
        return moves, (
            f"`flattened` gives '{prefix}' the shape {given.shape}, which makes "
            f"{math.prod(given.shape)} features, but {found}"
        )
    if expected and given.shape != expected.shape:
        return moves, (
            f"`flattened` gives '{prefix}' the shape {given.shape}, but the model "
            f"flattens a map of {expected.shape}, channels first"
        )
    return [_flatten(move, expected or given) for move in moves], None


def _flatten(move, found):
    if move.features is None:
        return move
    order, sizes = axes.flatten(move.axes, move.sizes, move.features, found)
    return move._replace(axes=order, sizes=sizes)


def flattened_maps(model):
    """Path of a layer → `Map` that its inputs were.

    Only maps that torch, channels first, would flatten in another order. Layers that
    are called several times, or lie in subclassed models, are not looked at.
    """
    try:
        calls = {
            (call.layer, call.number): call
            for call in graph.read(graph.functional(model)).calls
        }
    except ValueError:
        return {}
    by_name = {layer.name: layer for layer in model.layers}
    found = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            nested = flattened_maps(layer)
            found |= {f"{layer.name}/{path}": one for path, one in nested.items()}
    for call in calls.values():
        source = _source(call, calls, by_name)
        if source is not None:
            found[call.layer] = source
    return found


def _source(call, calls, layers):
    """The map that a call's input was flattened from, or `None`."""
    parts = 1
    while call.tensors:
        before = call.tensors[0]
        call = calls.get((before.layer, before.call))
        layer = call and layers.get(call.layer)
        if layer is None:
            return None
        shapes = _shapes(layer)
        if shapes is None or len(shapes[1]) != 2:
            return None
        inner = layer.layer if isinstance(layer, PerPart) else layer
        if isinstance(inner, (keras.layers.Flatten, keras.layers.Reshape)):
            return _other_order(shapes[0], inner, parts)
        if isinstance(layer, FromComplex) and layer.layout == "concatenated":
            parts = 2
        elif shapes[0] != shapes[1] or not _keeps_features(layer):
            return None
    return None


def _keeps_features(layer):
    """Whether a layer, whose output is as its input, has each feature to itself."""
    is_activation = type(layer) in table.CHANNEL_VALUES
    return not layer.weights or is_activation or table.is_norm(layer)


def _shapes(layer):
    """Shapes of a layer's first input and output, or `None` if it is used twice."""
    try:
        ends = layer.input, layer.output
    except (AttributeError, ValueError):
        return None
    return [tuple(keras.tree.flatten(end)[0].shape) for end in ends]


def _other_order(shape, layer, parts):
    """The map, unless both orders are one."""
    if len(shape) < 3 or None in shape[1:]:
        return None
    channels, *space = shape[1:]
    if getattr(layer, "data_format", "channels_last") == "channels_last":
        *space, channels = shape[1:]
    if channels == 1 or math.prod(space) == 1:
        return None
    return Map((channels, *space), parts)
