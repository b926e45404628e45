"""The Walsh–Hadamard transform, fast."""

from keras import ops

from cvzoo.ops.circulant import wide


def hadamard_transform(inputs):
    """`H · x / √n` for each `x` along the last axis, in `n log₂ n` additions.

    H is Sylvester's matrix of −1 and 1, `H₂ₙ = [[Hₙ, Hₙ], [Hₙ, −Hₙ]]`. Divided by √n it
    is orthogonal, and its own inverse.

    Args:
        inputs: Tensor `(..., n)`, n being a power of two.

    Returns:
        Tensor of the shape and dtype of the inputs, computed in float32 or float64.

    Raises:
        ValueError: n is not a power of two.
    """
    size = inputs.shape[-1]
    if size is None or size < 1 or size & (size - 1):
        raise ValueError(
            "The last axis must be a power of two; pad with zeros to the next one. "
            f"Received shape {tuple(inputs.shape)}"
        )
    x = wide(inputs, inputs.dtype)
    # Each round transforms by one bit of the place, and rotates the bits by one.
    for _ in range(size.bit_length() - 1):
        even, odd = x[..., ::2], x[..., 1::2]
        x = ops.concatenate([even + odd, even - odd], axis=-1)
    return ops.cast(x / size**0.5, inputs.dtype)
