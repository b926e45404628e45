"""Pooling of pairs: by modulus, and in the Fourier domain."""

import math

from keras import ops

from cvzoo.ops import targets
from cvzoo.ops.pairs import fourier, squared_modulus


def modulus_max_pool(pair, pool_size, strides, padding, first_axis=1):
    """Of each window the complex value of largest modulus; of equals, the first.

    First in row-major order. A window is reduced one axis after the other, the last
    axis first, which keeps this order and takes k₁ + k₂ steps in place of k₁ · k₂.

    Args:
        pair: Pair of any rank.
        pool_size: Sizes of the window, one for each spatial axis.
        strides: Likewise.
        padding: `"valid"` or `"same"`; what pads is never chosen.
        first_axis: First spatial axis.
    """
    candidates = _lengths(pair), *pair
    spatial = list(zip(pool_size, strides, strict=True))
    for axis in reversed(range(len(spatial))):
        candidates = _pool_axis(candidates, first_axis + axis, *spatial[axis], padding)
    return candidates[1:]


def global_modulus_max_pool(pair, axes, keepdims=False):
    """The complex value of largest modulus over whole axes; of equals, the first.

    Args:
        pair: Pair of any rank.
        axes: Consecutive axes, in ascending order.
        keepdims: Whether the axes stay, with size 1.
    """
    shape = ops.shape(pair[0])
    before, after = shape[: axes[0]], shape[axes[-1] + 1 :]
    points = math.prod(shape[axis] for axis in axes)
    real, imag, lengths = (
        ops.reshape(part, (*before, points, *after)) for part in (*pair, _lengths(pair))
    )
    choose = _chosen_by_sums if targets.is_litert() else _chosen
    kept = (1,) * len(axes) if keepdims else ()
    return tuple(
        ops.reshape(part, (*before, *kept, *after))
        for part in choose((real, imag), lengths, axes[0])
    )


def _chosen(pair, lengths, axis):
    """The numbers of a pair where lengths are largest along an axis."""
    place = ops.argmax(lengths, axis=axis, keepdims=True)
    return tuple(ops.take_along_axis(part, place, axis=axis) for part in pair)


def _chosen_by_sums(pair, lengths, axis):
    """The same for LiteRT, which lacks operations of Keras' `argmax`."""
    points = ops.shape(lengths)[axis]
    places = ops.arange(points, dtype="int32")
    places = ops.reshape(places, (-1,) + (1,) * (len(lengths.shape) - 1 - axis))
    is_longest = lengths == ops.max(lengths, axis=axis, keepdims=True)
    first = ops.min(ops.where(is_longest, places, points), axis=axis, keepdims=True)
    # Not a product: what is not chosen may be infinite.
    return tuple(
        ops.sum(ops.where(places == first, part, ops.zeros_like(part)), axis=axis)
        for part in pair
    )


def _lengths(pair):
    """`|z|²` to compare, which no gradient passes."""
    # In float32: squares leave the range of half precision.
    pair = tuple(ops.cast(part, "float32") for part in pair)
    return ops.stop_gradient(squared_modulus(pair))


def _pool_axis(candidates, axis, window, stride, padding):
    """Reduces windows along one axis of `(lengths, real, imag)`."""
    size = ops.shape(candidates[0])[axis]
    if padding == "same":
        count = -(-size // stride)
        before = _at_least_0((count - 1) * stride + window - size) // 2
    else:
        count, before = (size - window) // stride + 1, 0
    fills = (-1.0, 0.0, 0.0)  # shorter than any number: never chosen
    entries = [
        _window_entries(tensor, axis, window, stride, count, before, fill)
        for tensor, fill in zip(candidates, fills, strict=True)
    ]
    best, *others = zip(*entries, strict=True)
    for other in others:
        is_longer = other[0] > best[0]
        best = [
            ops.where(is_longer, new, old) for new, old in zip(other, best, strict=True)
        ]
    return best


def _window_entries(tensor, axis, window, stride, count, before, fill):
    """The first, second, … entry of all windows along an axis, each a tensor.

    Blocks of `stride` entries are taken apart once: slices with steps are several
    times slower, and so are their gradients.
    """
    blocks = count + (window - 1) // stride
    size = ops.shape(tensor)[axis]
    after = _at_least_0(blocks * stride - before - size)
    edges = [(0, 0)] * len(tensor.shape)
    edges[axis] = before, after
    tensor = ops.pad(tensor, edges, constant_values=fill)
    tensor = _sliced(tensor, axis, 0, blocks * stride)
    shape = ops.shape(tensor)
    shape = (*shape[:axis], blocks, stride, *shape[axis + 1 :])
    phases = ops.unstack(ops.reshape(tensor, shape), stride, axis=axis + 1)
    return [
        _sliced(phases[entry % stride], axis, entry // stride, count)
        for entry in range(window)
    ]


def _sliced(tensor, axis, start, length):
    return tensor[(slice(None),) * axis + (slice(start, start + length),)]


def _at_least_0(size):
    """Sizes are tensors in a TensorFlow graph that was traced without them."""
    return max(size, 0) if isinstance(size, int) else ops.maximum(size, 0)


def spectral_pool(pair, output_size, first_axis=1):
    """Keeps the `m` lowest frequencies of each spatial axis of n ≥ m points.

    Frequencies −⌊m/2⌋ … ⌈m/2⌉ − 1, as in the middle of `numpy.fft.fftshift`. A
    constant keeps its value.

    Args:
        pair: Pair of float32 tensors.
        output_size: m of each spatial axis, one or two of them.
        first_axis: First spatial axis.
    """
    axes = list(range(first_axis, first_axis + len(output_size)))
    shape = ops.shape(pair[0])
    points = math.prod(shape[axis] for axis in axes)
    real, imag = fourier(pair, axes)
    for axis, size in zip(axes, output_size, strict=True):
        real, imag = (_low(part, axis, shape[axis], size) for part in (real, imag))
    # The inverse transform is the transform with the parts exchanged, twice.
    imag, real = fourier((imag, real), axes)
    return real / points, imag / points


def _low(spectrum, axis, size, kept):
    negative = kept // 2
    ends = (0, kept - negative), (size - negative, negative)
    return ops.concatenate(
        [_sliced(spectrum, axis, start, length) for start, length in ends], axis=axis
    )
