"""Orders of axes, written as `"o i x y -> x y i o"`: on the left torch, then Keras.

Letters that stand together are axes that are one, the first being the slowest; `1` is
an axis of size 1.
"""

import math

# A flattened feature map: real and imaginary parts, channels, then space.
_PARTS, _MAP = "P", "CXYZ"


def shape(axes, sizes):
    """Shape of the tensor on the left.

    Args:
        axes: The two orders.
        sizes: Letter → size.
    """
    left, _ = _split(axes)
    return tuple(math.prod(sizes[one] for one in _letters(group)) for group in left)


def rearrange(array, axes, sizes):
    """An array, in the order on the left, in the order on the right."""
    left, right = _split(axes)
    before = [letter for group in left for letter in _letters(group)]
    after = [letter for group in right for letter in _letters(group)]
    array = array.reshape([sizes[letter] for letter in before])
    array = array.transpose([before.index(letter) for letter in after])
    return array.reshape(
        [math.prod(sizes[one] for one in _letters(group)) for group in right]
    )


def flatten(axes, sizes, features, feature_map):
    """The same, where an axis of features is a flattened map of them.

    torch has the channels first in it, Keras last.

    Args:
        axes: The two orders.
        sizes: Letter → size.
        features: The letter of that axis.
        feature_map: A `flattening.Map`.

    Returns:
        The orders and sizes.
    """
    channels, *space = letters = _MAP[: len(feature_map.shape)]
    left, right = axes.split(" -> ")
    left = left.replace(features, _PARTS + letters)
    right = right.replace(features, "".join([_PARTS, *space, channels]))
    found = dict(zip(letters, feature_map.shape, strict=True))
    return f"{left} -> {right}", {**sizes, **found, _PARTS: feature_map.parts}


def _split(axes):
    return [order.split() for order in axes.split("->")]


def _letters(group):
    return group.replace("1", "")
