"""Shapes of which not every size is known."""

from keras import ops


def leading(tensor):
    """Shape without the last axis, with -1 for one size that is not known."""
    shape = ops.shape(tensor)[:-1]
    unknown = [place for place, size in enumerate(tensor.shape[:-1]) if size is None]
    if len(unknown) == 1:
        return [-1 if place == unknown[0] else one for place, one in enumerate(shape)]
    return shape
