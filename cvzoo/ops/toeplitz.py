"""Products with Toeplitz matrices, by the fast Fourier transform.

A Toeplitz matrix, `T[j, k] = t[j − k]`, is a corner of a circulant one of twice the
size, whose first column is `(t₀, …, tₙ₋₁, ·, t₋₍ₙ₋₁₎, …, t₋₁)`. The number at `·` is in
no place of T.
"""

from keras import ops

from cvzoo.ops.circulant import circulant_product


def toeplitz_product(inputs, kernel):
    """`T · x` for each `x` along the last axis of the inputs.

    Args:
        inputs: Tensor `(..., n)`.
        kernel: Tensor `(2n,)`, see above.

    Returns:
        Tensor of the shape and dtype of the inputs, computed in float32 or float64.
    """
    size = inputs.shape[-1]
    sides = [(0, 0)] * (len(inputs.shape) - 1) + [(0, size)]
    return circulant_product(ops.pad(inputs, sides), kernel)[..., :size]
