"""The scattering transform of images, by the fast Fourier transform.

With `*` the convolution and φ the low-pass filter, of an image x: order 0 is `x * φ`,
order 1 `|x * ψ₁| * φ`, order 2 `||x * ψ₁| * ψ₂| * φ`, where ψ₂ has the larger scale.
"""

import keras
import numpy as np
from keras import ops

from cvzoo.ops import real_transforms, targets
from cvzoo.ops.pairs import modulus


def count_paths(scales, angles, order):
    """Number of paths: `1 + J·L`, and `L²·J(J − 1)/2` more of order 2."""
    second = angles**2 * scales * (scales - 1) // 2
    return 1 + scales * angles + (second if order == 2 else 0)


def padded_size(size, scales):
    """Height and width of padded images: a border of `2^J` or nearly so all round."""
    return tuple(((length >> scales) + 2) << scales for length in size)


def reflect(images, size):
    """Pads images to a larger size by reflection, as `numpy.pad` does.

    Args:
        images: Tensor `(batch, height, width)`.
        size: Height and width of the result. An odd pixel comes last.
    """
    for axis, length in zip((1, 2), size, strict=True):
        missing = length - images.shape[axis]
        sides = (missing // 2, missing - missing // 2)
        # By indices: TensorFlow cannot pad by as much as the image has.
        places = np.pad(np.arange(images.shape[axis]), sides, mode="reflect")
        images = ops.take(images, places, axis=axis)
    return images


def scattering(images, low, wavelets, order):
    """Scattering transform of order 1 or 2 of periodic images.

    Args:
        images: Real tensor `(batch, height, width)`, float32 or float64.
        low: Low-pass filters of `wavelets.filter_bank`.
        wavelets: Its wavelets.
        order: 1 or 2.

    Returns:
        Tensor `(batch, paths, height / 2^J, width / 2^J)`, the border included. Paths
        are order 0; order 1 by `(j₁, l₁)`; order 2 by `(j₁, l₁, j₂, l₂)`, `j₂ > j₁`.

    Reference:
        Bruna and Mallat, 2013, https://arxiv.org/abs/1203.1513
    """
    scales = len(low)

    def smooth(spectrum, scale):
        return _subsample(spectrum, low[scale], 2 ** (scales - scale))

    spectrum = _fourier(images)
    zeroth = _new_axis(smooth(spectrum, 0), 1)
    first, second = [], []
    for j in range(scales):
        # (batch, angles, ...)
        inner = _moduli(_new_axis(spectrum, 1), wavelets[j][0], 2**j)
        first.append(smooth(inner, j))
        if order == 2 and j + 1 < scales:
            # (batch, angles, scales · angles, ...)
            inner = _new_axis(inner, 2)
            outer = _joined(
                [
                    smooth(_moduli(inner, wavelets[k][j], 2 ** (k - j)), k)
                    for k in range(j + 1, scales)
                ],
                axis=2,
            )
            _, angles, others, *size = outer[0].shape
            second.append(
                [ops.reshape(part, (-1, angles * others, *size)) for part in outer]
            )
    first_part = _inverse_fourier(_joined([zeroth, *first, *second], axis=1))[0]
    return ops.real(first_part)


def _moduli(spectrum, filters, step):
    """Spectra of the moduli of filtered images, of every `step`th pixel."""
    images = _inverse_fourier(_subsample(spectrum, filters, step))
    return _fourier(modulus(images) if len(images) == 2 else ops.abs(images[0]))


def _subsample(spectrum, filters, step):
    """Spectra of filtered images, of every `step`th pixel: means over aliases."""
    return [_subsampled(part, filters, step) for part in spectrum]


def _subsampled(part, filters, step):
    # Not `ops.mean`, which computes complex128 as complex64.
    product = part * ops.cast(filters / step**2, part.dtype)
    if step == 1:
        return product
    *leading, height, width = product.shape
    # One axis after the other, which TensorFlow does without transposing.
    folded = ops.reshape(product, (-1, *leading[1:], step, height // step, width))
    rows = ops.sum(folded, axis=-3)
    folded = ops.reshape(rows, (-1, *leading[1:], height // step, step, width // step))
    return ops.sum(folded, axis=-2)


def _new_axis(spectrum, axis):
    return [ops.expand_dims(part, axis) for part in spectrum]


def _joined(spectra, axis):
    return [ops.concatenate(parts, axis) for parts in zip(*spectra, strict=True)]


def _fourier(real):
    """Spectrum of real images over the last two axes: one complex tensor in a list.

    For LiteRT, which has few operations on those, a pair.
    """
    if targets.is_litert():
        return real_transforms.fourier((real, None), 2)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [tf.signal.fft2d(tf.complex(real, tf.zeros_like(real)))]
    return [_join(ops.fft2((real, ops.zeros_like(real))))]


def _inverse_fourier(spectrum):
    if targets.is_litert():
        # The transform with the parts exchanged, twice.
        imag, real = real_transforms.fourier(spectrum[::-1], 2)
        points = real.shape[-2] * real.shape[-1]
        return real / points, imag / points
    (spectrum,) = spectrum
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [tf.signal.ifft2d(spectrum)]
    return [_join(ops.ifft2((ops.real(spectrum), ops.imag(spectrum))))]


def _join(pair):
    return ops.view_as_complex(ops.stack(pair, axis=-1))
