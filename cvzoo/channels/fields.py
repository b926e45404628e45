"""What is known of tensors whatever the inputs of their model are."""

from typing import NamedTuple

import numpy as np

from cvzoo import layers
from cvzoo.channels import kinds


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
    """The `Field` of values of which only some are known."""
    known = known & np.isfinite(values)  # no bias can take over 1 / 0
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
