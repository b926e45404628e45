"""Fourier transforms of what LiteRT has: real ones, of 2ᵏ points, and products.

LiteRT's one transform that is built in is `RFFT2D`. An inverse transform is a forward
one of a real sequence: with P = p + iq the spectrum of real y, p even and q odd, the
transform S of p + q has the real part Σ p cos and the imaginary part −Σ q sin, and
`y[j] = (Re S[j] + Im S[j]) / n`, `y[n − j] = (Re S[j] − Im S[j]) / n`. Circulants of
other sizes are linear convolutions over 2ᵏ ≥ 2n − 1 points, folded back. Transforms of
other sizes are products with matrices of cosines and sines where they are small, and
else Bluestein's, by such convolutions.
"""

import numpy as np
from keras import ops

from cvzoo.ops.products import complex_multiply
from cvzoo.ops.shapes import leading

# Where n points are no power of two: up to here matrices of 2n² numbers are faster than
# Bluestein's transform, and take at most 2 MB.
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
    points = size if _is_power(size) else _linear_points(size)
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


def half_spectrum(tensor, points):
    """The first half of the unnormalised transform of a real tensor, as `rfft` gives.

    Args:
        tensor: `(..., n)`, which is padded with zeros.
        points: At least n.

    Returns:
        Pair of tensors `(..., points // 2 + 1)`.
    """
    tensor, kept = _padded(tensor, points), points // 2 + 1
    if _is_fast(points):
        return _forward(tensor)
    if points <= LARGEST_MATRIX:
        return _by_matrix(tensor, kept)
    return tuple(part[..., :kept] for part in _chirped((tensor, None)))


def of_half_spectrum(pair, points):
    """The real tensor `(..., points)` of half of its transform, as `irfft` gives.

    Args:
        pair: Tensors `(..., points // 2 + 1)`. The imaginary part of frequency 0, and
            of the highest one of an even number of points, does not count.
        points: Number of points.
    """
    real, imag = pair
    if points > LARGEST_MATRIX and not _is_fast(points):
        # The inverse transform is the conjugate of that of the conjugate.
        real, imag = _extended(real, 1, points), _extended(-imag, -1, points)
        return _chirped((real, imag))[0] / points
    kept = points // 2 + 1
    paired = np.arange(kept) * 2 % points != 0
    if _is_fast(points):
        return _inverse((real, imag * paired.astype("float32")), points)
    # Frequencies that are paired stand for two.
    weights = (1 + np.tile(paired, 2)) / points
    matrix = (_waves(points, kept).T * weights[:, None]).astype("float32")
    return ops.matmul(ops.concatenate([real, imag], -1), matrix)


def _transformed(pair):
    size = pair[0].shape[-1]
    if size is None:
        raise ValueError("A transform for LiteRT needs a known number of points.")
    if size > LARGEST_MATRIX and not _is_fast(size):
        return _chirped(pair)
    spectra = [_spectrum(part, size) for part in pair if part is not None]
    if len(spectra) == 1:
        return spectra[0]
    (a, b), (c, d) = spectra
    return a - d, b + c


def _spectrum(part, size):
    if _is_fast(size):
        return _whole(*_forward(part), size)
    return _by_matrix(part, size)


def _by_matrix(tensor, kept):
    """The first frequencies of real tensors, by one product for both parts."""
    waves = _waves(tensor.shape[-1], kept).astype("float32")
    both = ops.matmul(tensor, waves)
    return both[..., :kept], both[..., kept:]


def _waves(size, kept):
    """Cosines, then sines, of `−2πjk / n`, `(n, 2 kept)`."""
    steps = np.outer(np.arange(size), np.arange(kept)) % size
    angles = -2 * np.pi * steps / size
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


def _chirped(pair):
    """Bluestein's transform: as jk = (j² + k² − (k − j)²) / 2, it is a convolution.

    With `w[k] = exp(−iπk²/n)`, `X[k] = w[k] Σⱼ x[j] w[j] / w[k − j]`.
    """
    size = pair[0].shape[-1]
    points = _linear_points(size)
    # Whole numbers modulo the period of 2n: k² itself would lose digits.
    steps = np.arange(size, dtype=np.int64) ** 2 % (2 * size)
    chirp = np.exp(-1j * np.pi * steps / size)
    ring = np.zeros(points, complex)
    ring[:size] = chirp.conj()
    ring[1 - size :] = chirp[:0:-1].conj()
    # It is even: the spectra of its two parts are real.
    along, across = (
        np.fft.rfft(part).real.astype("float32") for part in (ring.real, ring.imag)
    )
    chirp = chirp.real.astype("float32"), chirp.imag.astype("float32")
    if pair[1] is None:
        pair = tuple(pair[0] * part for part in chirp)
    else:
        pair = complex_multiply(pair, chirp)
    real, imag = (_forward(_padded(part, points)) for part in pair)
    products = (
        [a * along - b * across for a, b in zip(real, imag, strict=True)],
        [a * across + b * along for a, b in zip(real, imag, strict=True)],
    )
    return complex_multiply(
        tuple(_inverse(one, points)[..., :size] for one in products), chirp
    )


def _is_fast(size):
    """Whether a transform is one of LiteRT's, and no small matrix; or of one point."""
    return size == 1 or (_is_power(size) and size >= _SMALLEST_TRANSFORM)


def _linear_points(size):
    """Points of a linear convolution of two sequences of a size."""
    return 2 ** (2 * size - 2).bit_length()


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


def _extended(part, sign, points):
    """The whole spectrum's part, from half of it: even (1) or odd (−1)."""
    if points < 3:
        return part
    behind = part[..., 1 : (points + 1) // 2]
    return ops.concatenate([part, sign * ops.flip(behind, -1)], -1)


def _whole(real, imag, size):
    return _extended(real, 1, size), _extended(imag, -1, size)


def _inverse(pair, points):
    """The real tensor of half a spectrum, by one forward transform."""
    if points == 1:
        return pair[0]
    real, imag = _forward(
        _extended(pair[0], 1, points) + _extended(pair[1], -1, points)
    )
    ahead, behind = real + imag, real - imag
    return ops.concatenate([ahead, ops.flip(behind[..., 1:-1], -1)], -1) / points


def _folded(tensor, size):
    """A linear convolution as a circular one of a size."""
    if tensor.shape[-1] == size:
        return tensor
    return tensor[..., :size] + tensor[..., size : 2 * size]
