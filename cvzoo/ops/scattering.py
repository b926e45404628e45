"""The scattering transform of images, by the fast Fourier transform.

With `*` the convolution and φ the low-pass filter, of an image x: order 0 is `x * φ`,
order 1 `|x * ψ₁| * φ`, order 2 `||x * ψ₁| * ψ₂| * φ`, where ψ₂ has the larger scale.
"""

import keras
import numpy as np
from keras import ops


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
    zeroth = smooth(spectrum, 0)[:, None]
    first, second = [], []
    for j in range(scales):
        # (batch, angles, ...)
        inner = _moduli(spectrum[:, None], wavelets[j][0], 2**j)
        first.append(smooth(inner, j))
        if order == 2 and j + 1 < scales:
            # (batch, angles, scales · angles, ...)
            outer = ops.concatenate(
                [
                    smooth(_moduli(inner[:, :, None], wavelets[k][j], 2 ** (k - j)), k)
                    for k in range(j + 1, scales)
                ],
                axis=2,
            )
            _, angles, others, *size = outer.shape
            second.append(ops.reshape(outer, (-1, angles * others, *size)))
    spectra = ops.concatenate([zeroth, *first, *second], axis=1)
    return ops.real(_inverse_fourier(spectra))


def _moduli(spectrum, filters, step):
    """Spectra of the moduli of filtered images, of every `step`th pixel."""
    return _fourier(ops.abs(_inverse_fourier(_subsample(spectrum, filters, step))))


def _subsample(spectrum, filters, step):
    """Spectra of filtered images, of every `step`th pixel: means over aliases."""
    # Not `ops.mean`, which computes complex128 as complex64.
    product = spectrum * ops.cast(filters / step**2, spectrum.dtype)
    if step == 1:
        return product
    *leading, height, width = product.shape
    # One axis after the other, which TensorFlow does without transposing.
    folded = ops.reshape(product, (-1, *leading[1:], step, height // step, width))
    rows = ops.sum(folded, axis=-3)
    folded = ops.reshape(rows, (-1, *leading[1:], height // step, step, width // step))
    return ops.sum(folded, axis=-2)


def _fourier(real):
    """Complex spectrum of real images, over the last two axes."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.signal.fft2d(tf.complex(real, tf.zeros_like(real)))
    return _join(ops.fft2((real, ops.zeros_like(real))))


def _inverse_fourier(spectrum):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.signal.ifft2d(spectrum)
    return _join(ops.ifft2((ops.real(spectrum), ops.imag(spectrum))))


def _join(pair):
    return ops.view_as_complex(ops.stack(pair, axis=-1))
