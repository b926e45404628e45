"""Fourier transforms of what LiteRT has: real ones, of 2ᵏ points, and products.

LiteRT's one transform that is built in is `RFFT2D`. An inverse transform is a forward
one of a real sequence: with P = p + iq the spectrum of real y, p even and q odd, the
transform S of p + q has the real part Σ p cos and the imaginary part −Σ q sin, and
`y[j] = (Re S[j] + Im S[j]) / n`, `y[n − j] = (Re S[j] − Im S[j]) / n`. Circulants of
other sizes are linear convolutions over 2ᵏ ≥ 2n − 1 points, folded back; small
transforms of features are products with matrices of cosines and sines.
"""

import numpy as np
from keras import ops

from cvzoo.ops.products import complex_multiply
from cvzoo.ops.shapes import leading

# Features of more points, and no power of two, are refused.
LARGEST_MATRIX = 512
_SMALLEST_TRANSFORM = 128


def circulant_products(inputs, kernels, multiply=complex_multiply):
    """`circ(kernel) · x`, of real or complex x and kernels.

    Args:
        inputs: One tensor `(..., n)`, or two parts of a complex one.
        kernels: Likewise, `(n,)` or with more axes before.
        multiply: Function of the spectra of a part of each, pairs, that gives the pair
            of their product, or of sums of products.

    Returns:
        As many parts.
    """
    size = inputs[0].shape[-1]
    points = size if _is_power(size) else 2 ** (2 * size - 2).bit_length()
    spectra, responses = (
        [_forward(_padded(part, points)) for part in parts]
        for parts in (inputs, kernels)
    )
    if len(inputs) == 1:
        products = [multiply(spectra[0], responses[0])]
    else:
        (a, b), (c, d) = (
            [multiply(spectrum, response) for response in responses]
            for spectrum in spectra
        )
        products = [(a[0] - d[0], a[1] - d[1]), (b[0] + c[0], b[1] + c[1])]
    return tuple(_folded(_inverse(one, points), size) for one in products)


def fourier(pair, axes):
    """The unnormalised transform of a pair over its last one or two axes.

    Args:
        pair: Tensors; the second is `None` of a real one.
        axes: How many of the last axes.
    """
    pair = _transformed(pair)
    if axes == 1:
        return pair
    last = len(pair[0].shape) - 1
    order = [*range(last - 1), last, last - 1]
    pair = _transformed(tuple(ops.transpose(part, order) for part in pair))
    return tuple(ops.transpose(part, order) for part in pair)


def _transformed(pair):
    size = pair[0].shape[-1]
    if size is None:
        raise ValueError("A transform for LiteRT needs a known number of points.")
    if _is_power(size) and size >= _SMALLEST_TRANSFORM:
        spectra = [_whole(*_forward(part), size) for part in pair if part is not None]
    elif size <= LARGEST_MATRIX:
        angles = 2 * np.pi * np.outer(np.arange(size), np.arange(size)) / size
        waves = np.cos(angles).astype("float32"), -np.sin(angles).astype("float32")
        spectra = [
            tuple(ops.matmul(part, wave) for wave in waves)
            for part in pair
            if part is not None
        ]
    else:
        raise ValueError(
            "Transforms for LiteRT are of 2ᵏ points, or of at most "
            f"{LARGEST_MATRIX}. Received: {size}"
        )
    if len(spectra) == 1:
        return spectra[0]
    (a, b), (c, d) = spectra
    return a - d, b + c


def _is_power(size):
    return size & (size - 1) == 0 and size > 1


def _padded(tensor, points):
    missing = points - tensor.shape[-1]
    if not missing:
        return tensor
    return ops.pad(tensor, [(0, 0)] * (len(tensor.shape) - 1) + [(0, missing)])


def _forward(tensor):
    """Half of the spectrum of a real tensor over its last axis, as a pair."""
    import tensorflow as tf

    points = tensor.shape[-1]
    if points == 1:
        return tensor, tf.zeros_like(tensor)
    flat = tf.reshape(tensor, (-1, 1, points))
    spectrum = tf.signal.rfft2d(flat, [1, points])
    shape = (*leading(tensor), points // 2 + 1)
    return tuple(
        tf.reshape(part, shape)
        for part in (tf.math.real(spectrum), tf.math.imag(spectrum))
    )


def _extended(part, sign):
    """The whole spectrum's part, from half of it: even (1) or odd (−1)."""
    return ops.concatenate([part, sign * ops.flip(part[..., 1:-1], -1)], -1)


def _whole(real, imag, size):
    return _extended(real, 1), _extended(imag, -1)


def _inverse(pair, points):
    """The real tensor of half a spectrum, by one forward transform."""
    if points == 1:
        return pair[0]
    real, imag = _forward(_extended(pair[0], 1) + _extended(pair[1], -1))
    ahead, behind = real + imag, real - imag
    return ops.concatenate([ahead, ops.flip(behind[..., 1:-1], -1)], -1) / points


def _folded(tensor, size):
    """A linear convolution as a circular one of a size."""
    if tensor.shape[-1] == size:
        return tensor
    return tensor[..., :size] + tensor[..., size : 2 * size]
