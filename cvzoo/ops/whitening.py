"""Whitening of pairs: linear maps of `(real, imag)` as vectors of two real numbers.

A 2×2 matrix is the tuple `(rr, ri, ir, ii)` of tensors that broadcast against the
parts, a symmetric one such as a covariance the tuple `(rr, ri, ii)`.

Gradients are those of autodiff: on a CPU a training step of batch normalization made
of these functions costs no more than Keras' own over twice the channels.
"""

import math

from keras import ops


def moments(pair, axes, mask=None, synchronized=False):
    """Mean, biased covariance, and what is left of a pair without its mean.

    The mean is taken first: `E[x²] − E[x]²` in float32 would lose a variance that is
    small against the mean. Where there is nothing to average, all moments are 0.

    Args:
        pair: Pair of float32 or float64 tensors.
        axes: Axes that are averaged over; the moments keep them, with size 1.
        mask: Optional boolean tensor that broadcasts against the parts: what counts.
        synchronized: Whether to average over the replicas of a `tf.distribute`
            strategy as well.

    Returns:
        Mean (a pair), covariance `(rr, ri, ii)`, centred pair, and how many numbers
        were averaged, a tensor that broadcasts against the moments.
    """
    count = _count(pair[0], axes, mask)

    def averages(*tensors):
        sums = [
            ops.sum(_where(mask, tensor), axes, keepdims=True) for tensor in tensors
        ]
        numbers = count
        if synchronized:
            numbers, *sums = mean_over_replicas([count, *sums])
        numbers = ops.where(numbers > 0, numbers, ops.ones_like(numbers))
        return tuple(one / numbers for one in sums)

    mean = averages(*pair)
    real, imag = (part - shift for part, shift in zip(pair, mean, strict=True))
    covariance = averages(real * real, real * imag, imag * imag)
    return mean, covariance, (real, imag), count


def _count(part, axes, mask):
    if mask is not None:
        return ops.sum(_where(mask, ops.ones_like(part)), axes, keepdims=True)
    shape = ops.shape(part)
    count = math.prod(shape[axis] for axis in axes)
    return ops.cast(ops.reshape(count, [1] * len(shape)), part.dtype)


def _where(mask, tensor):
    # Not a product: what is masked need not be finite.
    return tensor if mask is None else ops.where(mask, tensor, ops.zeros_like(tensor))


def mean_over_replicas(tensors):
    """Keras' own reduction over replicas, once for all tensors."""
    flat = ops.concatenate([ops.reshape(one, (-1,)) for one in tensors])
    mean, _ = ops.moments(flat[None], axes=[0], synchronized=True)
    ends = [0]
    for one in tensors:
        ends.append(ends[-1] + math.prod(one.shape))
    return [
        ops.reshape(mean[start:end], one.shape)
        for one, start, end in zip(tensors, ends, ends[1:], strict=False)
    ]


def inverse_root(covariance, epsilon):
    """`(V + ε·1)^(−1/2)` of a 2×2 covariance, in closed form.

    With `s² = det` and `t² = trace + 2s` of `V + ε·1`, the root is `(V + (ε + s)·1)/t`,
    and its inverse is written out. The trace is divided out first, so that the
    determinant stays in the range of float32.

    Args:
        covariance: `(rr, ri, ii)`.
        epsilon: Positive, so that the inverse exists where V is singular: imaginary
            parts of 0, or a batch of one.

    Returns:
        The symmetric matrix `(rr, ri, ii)`.

    Reference:
        [Trabelsi et al., 2018](https://arxiv.org/abs/1705.09792), §3.5.
    """
    trace = covariance[0] + covariance[2] + 2 * epsilon
    rr, ri, ii = (one / trace for one in covariance)
    ridge = epsilon / trace
    determinant = rr * ii - ri * ri
    # A covariance has none below 0 but for rounding, which must not reach the root;
    # the gradient stays that of the determinant.
    below = ops.stop_gradient(ops.maximum(-determinant, 0.0))
    s = ops.sqrt(determinant + below + ridge * (rr + ii) + ridge * ridge)
    scale = 1 / (s * ops.sqrt((1 + 2 * s) * trace))
    return (ii + ridge + s) * scale, -ri * scale, (rr + ridge + s) * scale


def as_matrix(symmetric):
    """`(rr, ri, ii)` → `(rr, ri, ir, ii)`."""
    rr, ri, ii = symmetric
    return rr, ri, ri, ii


def matrix_product(left, right):
    """Product of two 2×2 matrices."""
    a, b, c, d = left
    e, f, g, h = right
    return a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h


def linear_map(pair, matrix, shift=None):
    """`M z + b` of a pair as a vector: not complex linear in general.

    Args:
        pair: Pair.
        matrix: `(rr, ri, ir, ii)`.
        shift: Optional pair.

    Returns:
        Pair.
    """
    real, imag = pair
    rr, ri, ir, ii = matrix
    outputs = rr * real + ri * imag, ir * real + ii * imag
    if shift is None:
        return outputs
    return tuple(part + one for part, one in zip(outputs, shift, strict=True))
