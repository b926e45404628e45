"""Arithmetic on pairs `(real, imag)`.

A complex tensor is the tuple `(real, imag)` of two real tensors of equal shape
and dtype. All pair arithmetic of the package lives here.
"""

import keras
from keras import ops

from cvzoo.ops import real_transforms, targets


def check_pair(inputs, receiver):
    """Raises unless `inputs` is a pair: two real tensors of one shape and dtype.

    Unpacking alone would not do: an eager tensor of batch 2 unpacks as well.

    Args:
        inputs: What a layer was called on. A list of two stands for a tuple: Keras
            reads tuples back from a file as lists.
        receiver: Name of that layer, for the message.

    Returns:
        The pair, a tuple.
    """
    if not isinstance(inputs, (tuple, list)):
        remedy = "ToComplex()" if is_complex(inputs) else "ToComplex(layout=...)"
        raise ValueError(
            f"{receiver} works on a pair: a tuple `(real, imag)` of two real tensors. "
            f"Received: {_describe(inputs)}. Make a pair of it with "
            f"`cvzoo.layers.{remedy}`."
        )
    if len(inputs) != 2:
        raise ValueError(
            f"{receiver} works on a pair: a tuple `(real, imag)` of two real tensors. "
            f"Received {len(inputs)} of them. `+` joins two pairs into a tuple of "
            "four; add pairs part by part."
        )
    real, imag = inputs
    if not all(_dtype_name(part) and not is_complex(part) for part in inputs):
        raise ValueError(
            f"{receiver} works on a pair of real tensors `(real, imag)`. Received: "
            f"{_describe(real)} and {_describe(imag)}. Split a complex tensor with "
            "`cvzoo.layers.ToComplex()`."
        )
    if tuple(real.shape) != tuple(imag.shape) or _dtype_name(real) != _dtype_name(imag):
        raise ValueError(
            f"{receiver} works on a pair whose parts have one shape and one dtype. "
            f"Received: {_describe(real)} and {_describe(imag)}."
        )
    return real, imag


def check_real(inputs, receiver, complex_form=None):
    """Raises unless `inputs` is one real tensor.

    Args:
        inputs: What a layer was called on.
        receiver: Name of that layer, for the message.
        complex_form: Name of the layer that takes pairs, if there is one.
    """
    several = isinstance(inputs, (tuple, list))
    if several or is_complex(inputs):
        received = f"{len(inputs)} tensors" if several else _describe(inputs)
        instead = f", or use `cvzoo.layers.{complex_form}`" if complex_form else ""
        raise ValueError(
            f"{receiver} takes one real tensor. Received: {received}. Put "
            "`cvzoo.layers.FromComplex('modulus')` or `FromComplex('concatenated')` "
            f"before it{instead}."
        )


def is_complex(value):
    """Whether a tensor has a complex dtype."""
    return _dtype_name(value).startswith("complex")


def _dtype_name(value):
    dtype = getattr(value, "dtype", None)
    return "" if dtype is None else keras.backend.standardize_dtype(dtype)


def _describe(value):
    if _dtype_name(value):
        return f"one tensor of shape {tuple(value.shape)}, {_dtype_name(value)}"
    return f"a {type(value).__name__}"


def squared_modulus(pair):
    real, imag = pair
    return ops.square(real) + ops.square(imag)


def modulus(pair):
    """`|z|`, with a gradient of 0 (not NaN) at 0."""
    real, imag = pair
    # In float32: squares leave the range of half precision.
    squared = squared_modulus((ops.cast(real, "float32"), ops.cast(imag, "float32")))
    is_zero = squared == 0
    root = ops.sqrt(ops.where(is_zero, ops.ones_like(squared), squared))
    return ops.cast(ops.where(is_zero, ops.zeros_like(squared), root), real.dtype)


def phase(pair):
    """`arg z` in (-π, π], 0 at 0, with a gradient of 0 (not NaN) at 0."""
    real, imag = pair
    is_zero = ops.logical_and(real == 0, imag == 0)
    angle = ops.arctan2(imag, ops.where(is_zero, ops.ones_like(real), real))
    return ops.where(is_zero, ops.zeros_like(angle), angle)


def fourier(pair, axes, norm="backward"):
    """Discrete Fourier transform over one or two axes of a pair.

    Args:
        pair: Pair of float32 tensors; the second is `None` of a real one.
        axes: One or two axes.
        norm: `"backward"` (no scaling) or `"ortho"` (divided by the square root
            of the number of points), as in `numpy.fft`.
    """
    rank = len(pair[0].shape)
    axes = [axis % rank for axis in axes]
    order = [axis for axis in range(rank) if axis not in axes] + axes
    inverse = [order.index(axis) for axis in range(rank)]
    real, imag = (part if part is None else ops.transpose(part, order) for part in pair)
    if targets.is_litert():
        pair = real_transforms.fourier((real, imag), len(axes))
    else:
        pair = real, ops.zeros_like(real) if imag is None else imag
        pair = ops.fft(pair) if len(axes) == 1 else ops.fft2(pair)
    if norm == "ortho":
        points = ops.cast(ops.prod(ops.shape(pair[0])[-len(axes) :]), pair[0].dtype)
        pair = tuple(part / ops.sqrt(points) for part in pair)
    return tuple(ops.transpose(part, inverse) for part in pair)


def real_fourier(tensor, points):
    """The first half, `points // 2 + 1`, of the transform of a real tensor.

    Args:
        tensor: `(..., n)` of float32 or float64, which is padded with zeros.
        points: At least n.
    """
    if targets.is_litert():
        return real_transforms.half_spectrum(tensor, points)
    return ops.rfft(tensor, fft_length=points)


def inverse_real_fourier(pair, points):
    """The real tensor `(..., points)` of a pair as of `real_fourier`."""
    if targets.is_litert():
        return real_transforms.of_half_spectrum(pair, points)
    return ops.irfft(pair, fft_length=points)


def shifted(tensor, axes):
    """A tensor with zero frequency in the middle, as `numpy.fft.fftshift` does."""
    for axis in axes:
        size = ops.shape(tensor)[axis]
        if targets.is_litert():  # which has no operation for it
            last = ops.split(tensor, [size - size // 2], axis)
            tensor = ops.concatenate(last[::-1], axis)
        else:
            tensor = ops.roll(tensor, size // 2, axis)
    return tensor


def square_pair(pair, dtype=None):
    """`z²` of a pair, computed in `dtype`."""
    real, imag = pair if dtype is None else (ops.cast(part, dtype) for part in pair)
    return (real - imag) * (real + imag), 2 * real * imag


# Below this |z|², the direction of z is rounding; its gradient, of order 1/|z|, is
# bounded.
_SMALLEST_SQUARE = 1e-12


def twice_the_phase(pair):
    """`e^{2i arg z} = z² / |z|²` of a pair; 0 and a gradient of 0 at z = 0."""
    square = square_pair(pair)
    size = ops.maximum(squared_modulus(pair), _SMALLEST_SQUARE)
    return tuple(part / size for part in square)
