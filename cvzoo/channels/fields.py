"""What is known of a tensor whatever a model's inputs are."""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops as kops

from cvzoo import graph, layers
from cvzoo.channels import kinds
from cvzoo.layers.merging import PairMerge


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


def field_of(known, values):
    """A `Field` of values that are not known everywhere."""
    return Field(known, np.where(known, values, np.float32(0)))


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
    if kinds.is_linear(layer) and kinds.sees_borders(layer):
        known = known & (values == 0)
    return field_of(known, values)


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


def call(layer, parts, weights=None, arguments=()):
    """A layer on the parts of its inputs, flat, as arrays.

    Args:
        layer: A layer, or an operation.
        parts: The arrays.
        weights: Those that a layer, not built, gets.
        arguments: Of an operation: those of its call, a tensor being a `graph.Tensor`.
    """
    dtype = "float32" if kinds.is_operation(layer) else layer.compute_dtype
    parts = [kops.convert_to_tensor(part, dtype) for part in parts]
    if kinds.is_operation(layer):
        rest = iter(parts)
        inputs = graph.map_tensors(arguments, lambda _: next(rest))
    elif isinstance(layer, PairMerge) or (
        isinstance(layer, layers.PerPart) and len(parts) > 2
    ):
        inputs = [list(zip(parts[::2], parts[1::2], strict=True))]
    elif type(layer) in kinds.MERGING + kinds.CONCATENATING:
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
