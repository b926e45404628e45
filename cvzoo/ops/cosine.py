"""The discrete cosine transform of type II and its inverse, along the last axis.

`X[k] = 2 Σⱼ x[j] cos(πk(2j + 1) / 2n)`, as in SciPy without `norm`. Both are one real
Fourier transform of length n (Makhoul, 1980): with `v` the even-numbered numbers of
x followed by the odd-numbered ones in reverse, and `W[k] = exp(−iπk/2n) · F(v)[k]`,
`X[k] = 2 Re W[k]` and `X[n − k] = −2 Im W[k]`. Any n will do. All is computed in
float32, or in float64 for such inputs.
"""

import numpy as np
from keras import ops

from cvzoo.ops.circulant import wide
from cvzoo.ops.pairs import inverse_real_fourier, real_fourier
from cvzoo.ops.shapes import leading


def cosine_transform(inputs):
    """X for each `x` along the last axis.

    Args:
        inputs: Tensor `(..., n)`.

    Returns:
        Tensor of the shape and dtype of the inputs.
    """
    x = wide(inputs, inputs.dtype)
    v = ops.concatenate([x[..., ::2], ops.flip(x[..., 1::2], axis=-1)], axis=-1)
    real, imag = real_fourier(v, inputs.shape[-1])
    cosine, sine = _turn(inputs.shape[-1], x.dtype)
    first = real * cosine + imag * sine
    second = real * sine - imag * cosine
    rest = ops.flip(second[..., 1 : (inputs.shape[-1] + 1) // 2], axis=-1)
    return ops.cast(2 * ops.concatenate([first, rest], axis=-1), inputs.dtype)


def inverse_cosine_transform(inputs):
    """x for each `X` along the last axis.

    Args:
        inputs: Tensor `(..., n)`.

    Returns:
        Tensor of the shape and dtype of the inputs.
    """
    transformed, size = wide(inputs, inputs.dtype), inputs.shape[-1]
    half = size // 2 + 1
    first = transformed[..., :half] / 2
    # −Im W[0] is 0; the others are X[n − 1], X[n − 2], ….
    second = ops.flip(transformed, axis=-1)[..., : half - 1] / 2
    sides = [(0, 0)] * (len(inputs.shape) - 1) + [(1, 0)]
    second = ops.pad(second, sides)
    cosine, sine = _turn(size, first.dtype)
    real, imag = first * cosine + second * sine, first * sine - second * cosine
    v = inverse_real_fourier((real, imag), size)
    return ops.cast(_interleaved(v), inputs.dtype)


def cosine_product(inputs, response):
    """`C⁻¹ · diag(response) · C · x`, C being the cosine transform.

    Args:
        inputs: Tensor `(..., n)`.
        response: Tensor `(n,)`.

    Returns:
        Tensor of the shape and dtype of the inputs.
    """
    # What lies between may be too large for half precision.
    transformed = cosine_transform(wide(inputs, inputs.dtype))
    outputs = inverse_cosine_transform(transformed * wide(response, inputs.dtype))
    return ops.cast(outputs, inputs.dtype)


def _turn(size, dtype):
    """Cosine and sine of πk / 2n for the frequencies of a real transform."""
    angle = np.pi * np.arange(size // 2 + 1) / (2 * size)
    return [ops.convert_to_tensor(f(angle), dtype) for f in (np.cos, np.sin)]


def _interleaved(v):
    """x from v."""
    size = v.shape[-1]
    even, odd = v[..., : (size + 1) // 2], ops.flip(v[..., (size + 1) // 2 :], axis=-1)
    if size % 2:
        odd = ops.pad(odd, [(0, 0)] * (len(v.shape) - 1) + [(0, 1)])
    both = ops.stack([even, odd], axis=-1)
    return ops.reshape(both, (*leading(v), size + size % 2))[..., :size]
