"""Krylov matrices `K(A, v) = [v, A v, …, Aⁿ⁻¹ v]`, and products with them.

Vectors come as `(r, n)`, for r matrices of one operator A. There are two products with
all of them: of rows `(b, n)`, `w[i, k] = x · Aᵏ vᵢ`; and the transpose of that, of
`(b, r, n)`, `y = Σ w[i, k] Aᵏ vᵢ`.
"""

import functools
from typing import Any, NamedTuple

from keras import ops

from cvzoo.ops import targets
from cvzoo.ops.compiling import compiler
from cvzoo.ops.polynomials import polynomial_products, transposed_products

# Matrices of this size or less are written out, which is faster than transforms.
BLOCK = 32


class SubdiagonalKrylov(NamedTuple):
    """The Krylov matrices of `(A v)[j] = a[j] · v[j−1]`, in factors for fast products.

    Halved, A is two blocks of its kind, and one entry `link` that joins them. With
    `R = (1 − t A)⁻¹ = Σ tᵏ Aᵏ`, and e for unit vectors,

        x R v  =  (x R v of the left half)  +  (x R v of the right half)
                  +  t · link · (x R e_first of the right) · (e_last R v of the left)

    where the last term is a product of two polynomials in t. The coefficients of the
    first one are x times running products of `a`, those of the second one the last row
    of a Krylov matrix. Joined from small blocks on, that is n log² n operations. They
    divide by nothing: `a` may be 0.

    Attributes:
        size: n.
        blocks: Tensor `(q · m, r, m)`: Krylov matrices of q blocks of size m.
        levels: For m, 2m, 4m, …, running products of the right halves, `(q, m)`, and
            last rows of the left ones times the links, `(r, q, m)`.
        corner: The same two for the term that a corner `A[0, n−1]` adds, or `None`.
    """

    size: int
    blocks: Any
    levels: list
    corner: tuple | None

    def transposed_product(self, rows):
        """`w[i, k] = x · Aᵏ vᵢ`: from `(b, n)` to `(b, r, n)`."""
        total, rank, size = self.blocks.shape
        padded = _pad_last(rows, 0, total - self.size)
        sums = ops.matmul(padded, ops.reshape(self.blocks, (total, rank * size)))
        sums = ops.reshape(sums, (-1, rank, size))
        for right, left in self.levels:
            halves = ops.reshape(padded, (-1, right.shape[0], 2, right.shape[1]))
            _, of_right = ops.unstack(halves, axis=2)
            terms = polynomial_products(of_right * right, left)
            sums = _pad_last(sums, 0, right.shape[1]) + _pad_last(terms, 1, 0)
        sums = _part(sums, 0, self.size)
        if self.corner:
            right, left = self.corner
            terms = polynomial_products((rows * right)[:, None], left[:, None])
            sums += _pad_last(_part(terms, 0, self.size - 1), 1, 0)
        return sums

    def product(self, sums):
        """`y = Σ w[i, k] Aᵏ vᵢ`: from `(b, r, n)` to `(b, n)`."""
        total, rank, size = self.blocks.shape
        padded = _pad_last(sums, 0, total - self.size)
        rows = ops.reshape(_part(padded, 0, size), (-1, rank * size))
        blocks = ops.reshape(self.blocks, (total, rank * size))
        rows = ops.matmul(rows, ops.transpose(blocks))
        for right, left in self.levels:
            count, size = right.shape
            terms = transposed_products(_part(padded, 1, 2 * size), left) * right
            halves = ops.reshape(rows, (-1, count, 2, size))
            of_left, of_right = ops.unstack(halves, axis=2)
            rows = ops.stack([of_left, of_right + terms], axis=2)
        rows = _part(ops.reshape(rows, (-1, total)), 0, self.size)
        if self.corner:
            right, left = self.corner
            terms = _pad_last(_part(sums, 1, self.size), 0, self.size)
            rows += right * transposed_products(terms, left[:, None])[:, 0]
        return rows


def subdiagonal_krylov(operator, vectors, corner=False):
    """The factors of the Krylov matrices of an operator with a sub-diagonal.

    Args:
        operator: Tensor `(n,)`: `a`, where `a[0]` is the corner.
        vectors: Tensor `(r, n)`.
        corner: Whether the corner counts, or is 0 whatever it is.

    Returns:
        A `SubdiagonalKrylov`.
    """
    rank, size = vectors.shape
    count = 1
    while size > BLOCK * count:
        count *= 2
    width = -(-size // count)
    missing = count * width - size
    # With ones, nothing is lost on the way from entry n to the last one.
    steps = ops.pad(operator, [(0, missing)], constant_values=1)
    links, steps = ops.split(ops.reshape(steps, (count, width)), [1], axis=-1)
    vectors = ops.reshape(_pad_last(vectors, 0, missing), (rank, count, width))
    blocks = _blocks(_pad_last(steps, 1, 0), vectors)
    running = _running_products(_pad_last(steps, 1, 0, fill=1))
    last = ops.reshape(_part(blocks, width - 1, width), (rank, count, width))
    levels = []
    while count > 1:
        count //= 2
        links, link = ops.unstack(ops.reshape(links, (count, 2, 1)), axis=1)
        before, right = ops.unstack(ops.reshape(running, (count, 2, width)), axis=1)
        left, after = ops.unstack(ops.reshape(last, (rank, count, 2, width)), axis=2)
        left = link * left
        levels.append((right, left))
        further = _part(before, width - 1, width) * link * right
        running = ops.concatenate([before, further], axis=-1)
        further = _part(right, width - 1, width) * left
        last = ops.concatenate([after, further], axis=-1)
        width *= 2
    wrap = None
    if corner:
        running = ops.reshape(_part(running, 0, size), (size,))
        last = ops.reshape(_part(last, missing, width), (rank, size))
        wrap = running, operator[0] * last
    blocks = ops.transpose(blocks, (1, 3, 0, 2))
    blocks = ops.reshape(blocks, (-1, rank, blocks.shape[-1]))
    return SubdiagonalKrylov(size, blocks, levels, wrap)


def tridiagonal_krylov(operator, vectors):
    """The Krylov matrices of a tridiagonal operator, written out row by row.

    `(A v)[j] = a[0, j] · v[j−1] + a[1, j] · v[j] + a[2, j] · v[j+1]`, where indices go
    round: `a[0, 0]` is the upper right corner of A, and `a[2, n−1]` the lower left one.
    Second derivatives are not a number.

    Args:
        operator: Tensor `(3, n)`: `a`.
        vectors: Tensor `(r, n)`.

    Returns:
        Tensor `(n, r, n)`: row `[k, i]` is `Aᵏ vᵢ`.
    """
    if not targets.needs_gradients():
        return _powers(operator, vectors)

    @ops.custom_gradient
    def evaluate(operator, vectors):
        rows = _run(_powers, operator, vectors)

        def gradient(*args, upstream=None):
            (upstream,) = args if upstream is None else (upstream,)
            return _run(_gradients, operator, rows, upstream)

        return rows, gradient

    return evaluate(operator, vectors)


def _run(function, *tensors):
    """A function of n small steps in one compiled loop, which is 10 times as fast.

    TensorFlow cannot differentiate that, and tries in eager mode. Derivatives of it
    would be second ones: not a number, rather than wrong.
    """

    @ops.custom_gradient
    def evaluate(*tensors):
        def gradient(*args, upstream=None):
            return [tensor * float("nan") for tensor in tensors]

        stopped = [ops.stop_gradient(tensor) for tensor in tensors]
        return _compiled(function)(*stopped), gradient

    return evaluate(*tensors)


@functools.cache
def _compiled(function):
    return compiler()(function)


def _powers(operator, vectors):
    def step(power, _):
        return ops.sum(operator[:, None] * _neighbours(power), axis=0), power

    return ops.scan(step, vectors, length=vectors.shape[-1])[1]


def _gradients(operator, rows, upstream):
    """Back through the rows with the transposed operator, which needs only them."""

    def step(state, row_and_given):
        adjoint, to_operator = state
        row, given = row_and_given
        to_operator += ops.sum(adjoint * _neighbours(row), axis=1)
        below, middle, above = (one * adjoint for one in ops.unstack(operator))
        adjoint = middle + ops.roll(below, -1, axis=-1) + ops.roll(above, 1, axis=-1)
        return (given + adjoint, to_operator), None

    state = ops.zeros_like(upstream[0]), ops.zeros_like(operator)
    state, _ = ops.scan(step, state, (rows, upstream), reverse=True)
    to_vectors, to_operator = state
    return to_operator, to_vectors


def _neighbours(vectors):
    """`(3, r, n)`: `v[j−1]`, `v[j]`, `v[j+1]`, where indices go round."""
    before, after = (ops.roll(vectors, places, axis=-1) for places in (1, -1))
    return ops.stack([before, vectors, after])


def _blocks(steps, vectors):
    """`(r, q, m, m)`, Krylov matrices as rows, each twice as many from those before.

    Args:
        steps: Tensor `(q, m)`: `a` of each block, which begins with 0.
        vectors: Tensor `(r, q, m)`.
    """
    size = vectors.shape[-1]
    rows = vectors[:, :, None]
    while rows.shape[2] < size:
        done = rows.shape[2]
        more = steps[:, None] * _shifted(rows, done)
        rows = ops.concatenate([rows, more], axis=2)
        steps = steps * _shifted(steps, done)
    return ops.split(rows, [size], axis=2)[0]


def _running_products(steps):
    """Products of the entries up to each, along the last axis.

    Not `cumprod`, whose gradient in TensorFlow is not a number where one is 0.
    """
    done = 1
    while done < steps.shape[-1]:
        steps = steps * _shifted(steps, done, fill=1)
        done *= 2
    return steps


def _shifted(tensor, places, fill=0):
    """Entries along the last axis moved on by some places."""
    kept = tensor.shape[-1] - places
    return _pad_last(_part(tensor, 0, kept), places, 0, fill)


def _pad_last(tensor, before, after, fill=0):
    """A tensor with entries before and after those along its last axis."""
    widths = [(0, 0)] * (len(tensor.shape) - 1) + [(before, after)]
    return ops.pad(tensor, widths, constant_values=fill)


def _part(tensor, start, stop):
    """`tensor[..., start:stop]`, whose own gradient is slow in TensorFlow."""
    return ops.split(tensor, [start, stop], axis=-1)[1]
