"""Weights as bytes that TensorFlow's own operations decode, when an export is loaded.

The bytes of numbers are laid out by planes, the lowest byte of all of them first, and
deflated. Kernels with many zeros are two streams: the gaps between the places of what
is not zero, and the values there. Numbers of 16 bits, or multiples of a power of two,
are kept as such where that is exact. Subnormal numbers, below 1.2e-38, become 0, as in
TensorFlow's products.
"""

import functools
import zlib
from typing import NamedTuple

import numpy as np

from cvzoo import coding

# Kind of values → numpy's dtype of what is stored.
_STORED = {name: np.dtype(text) for name, text in coding.VALUES.items()}
_GAPS = np.dtype("<u4")
_MOST_DENSE = 0.5
# Begins the kind of weights that are not float32; their dtype follows.
_RAW = "raw "


class Stream(NamedTuple):
    """A weight as bytes.

    Attributes:
        data: The deflated values, and before them the gaps, if there are any.
        shape: Of the weight.
        kind: A key of `coding.VALUES`; or "raw " and another dtype.
        step: Exponent of the power of two that integers are multiples of.
        count: Number of values.
        gaps: Length of the deflated gaps; 0 where all values are kept.
    """

    data: bytes
    shape: tuple
    kind: str
    step: int
    count: int
    gaps: int


def encode(values):
    """The `Stream` of an array; only float32 is looked at for how to keep it."""
    flat = np.asarray(values).reshape(-1)
    if flat.dtype != np.float32:
        kind = f"{_RAW}{flat.dtype}"
        return Stream(_deflated(flat), np.shape(values), kind, 0, flat.size, 0)
    places = np.flatnonzero(flat)
    gaps = b""
    if places.size <= _MOST_DENSE * flat.size:
        flat = flat[places]
        gaps = _deflated(np.diff(places, prepend=-1).astype(_GAPS) - 1)
    kind, step, stored = coding.as_stored(flat)
    data = gaps + _deflated(stored.astype(_STORED[kind], copy=False))
    return Stream(data, values.shape, kind, step, flat.size, len(gaps))


def decode(stream, data):
    """The weight, a tensor, from the bytes in a string tensor.

    Args:
        stream: What `encode` returned; its bytes are not looked at.
        data: Scalar string tensor of these bytes.
    """
    import tensorflow as tf

    if stream.kind not in _STORED:
        values = _decoder(stream.kind, False)(data, 0, stream.count, 0.0, 0.0, [0])
        return tf.reshape(values, stream.shape)
    # Two factors, as one might be too small a number; their product with a whole number
    # is exact.
    half = stream.step // 2
    factors = 2.0**half, 2.0 ** (stream.step - half)
    size = [int(np.prod(stream.shape))]
    decoder = _decoder(stream.kind, stream.gaps > 0)
    values = decoder(data, stream.gaps, stream.count, *factors, size)
    return tf.reshape(values, stream.shape)


@functools.cache
def _decoder(kind, has_gaps):
    """A function of the graph, which all weights of a kind share."""
    import tensorflow as tf

    dtype = _STORED.get(kind) or np.dtype(kind.removeprefix(_RAW))
    number = tf.TensorSpec((), tf.int32)
    factor = tf.TensorSpec((), tf.float32)

    @tf.function(
        autograph=False,
        input_signature=[
            *(tf.TensorSpec((), tf.string), number, number, factor, factor),
            tf.TensorSpec((1,), tf.int64),
        ],
    )
    def decoded(data, gaps, count, first, second, size):
        values = _inflated(tf.strings.substr(data, gaps, -1), dtype, count)
        if kind in _STORED:
            values = _values(kind, values, first, second)
        if not has_gaps:
            return values
        gaps = _inflated(tf.strings.substr(data, 0, gaps), _GAPS, count)
        places = tf.cumsum(tf.cast(gaps, tf.int64) + 1) - 1
        return tf.scatter_nd(places[:, None], values, size)

    return decoded


def _deflated(numbers):
    planes = numbers.view(np.uint8).reshape(-1, numbers.dtype.itemsize).T
    return zlib.compress(np.ascontiguousarray(planes).tobytes(), 9)


def _inflated(packed, dtype, count):
    """Numbers from their deflated planes."""
    import tensorflow as tf

    planes = tf.io.decode_raw(tf.io.decode_compressed(packed, "ZLIB"), tf.uint8)
    planes = tf.reshape(planes, (dtype.itemsize, count))
    if dtype.kind == "b":
        return tf.cast(planes[0], tf.bool)
    if dtype.itemsize == 1:
        return tf.bitcast(planes[0], tf.as_dtype(dtype))
    return tf.bitcast(tf.transpose(planes), tf.as_dtype(dtype))


def _values(kind, stored, first, second):
    """float32 from what is stored; see `coding.VALUES`."""
    import tensorflow as tf

    if "integers" not in kind:
        return tf.cast(stored, tf.float32)
    zigzag = tf.cast(stored, tf.int32)
    whole = tf.where(zigzag % 2 == 0, zigzag // 2, -(zigzag + 1) // 2)
    return tf.cast(whole, tf.float32) * first * second
