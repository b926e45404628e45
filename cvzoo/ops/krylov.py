"""Krylov matrices `K(A, v) = [v, A v, …, Aⁿ⁻¹ v]`, and products with them.

Vectors come as `(r, n)`, for r matrices of one operator A. Products with all of them are
of rows `(b, n)`, `w[i, k] = x · Aᵏ vᵢ`, and of `(b, r, n)`, `y = Σ w[i, k] Aᵏ vᵢ`; each is
the other's transpose.
"""

from typing import Any, NamedTuple

from keras import ops

from cvzoo.ops.compiling import compiler
from cvzoo.ops.polynomials import polynomial_products, transposed_products

# Matrices of this size or less are written out, which is faster than transforms.
BLOCK = 32


class SubdiagonalKrylov(NamedTuple):
    """The Krylov matrices of `(A v)[j] = a[j] · v[j−1]`, in factors for fast products.

    Halved, A is two blocks of its kind and one entry `link` that joins them. With `e` a
    unit vector and `(1 − t A)⁻¹ = Σ tᵏ Aᵏ`, and with left and right for the halves,

        x (1 − t A)⁻¹ v = x (1 − t A)⁻¹ v of the left half + that of the right one
            + t · link · x_right (1 − t A_right)⁻¹ e_first · e_last (1 − t A_left)⁻¹ v_left

    whose last term is a product of two polynomials in t: one has x times running products
    of `a` as coefficients, the other one the last row of the left half's Krylov matrix.
    Joined from small blocks on, it is n log² n operations, and products are all that
    there are of `a`, which may be 0.

    Attributes:
        size: n.
        blocks: Tensor `(r, q, m, m)`: transposed Krylov matrices of q blocks.
        levels: For m, 2m, 4m, …, the factors of the right halves, `(q, m)`, and of the
            left ones, `(r, q, m)`.
        corner: The same two of the term that a corner `A[0, n−1]` adds, or `None`.
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
    steps = ops.reshape(steps, (count, width))
    padded = ops.reshape(_pad_last(vectors, 0, missing), (rank, count, width))
    links, steps = steps[:, 0], _pad_last(steps[:, 1:], 1, 0)
    blocks = _blocks(steps, padded)
    last, running = blocks[..., -1], _running_products(steps)
    levels = []
    while count > 1:
        count //= 2
        links = ops.reshape(links, (count, 2))
        running = ops.reshape(running, (count, 2, width))
        last = ops.reshape(last, (rank, count, 2, width))
        link, right = links[:, 1:], running[:, 1]
        left = link * last[:, :, 0]
        levels.append((right, left))
        further = link * running[:, 0, -1:] * right
        running = ops.concatenate([running[:, 0], further], axis=-1)
        last = ops.concatenate([last[:, :, 1], left * right[:, -1:]], axis=-1)
        links, width = links[:, 0], 2 * width
    wrap = (running[0, :size], operator[0] * last[:, 0, missing:]) if corner else None
    blocks = ops.reshape(ops.transpose(blocks, (1, 3, 0, 2)), (-1, rank, blocks.shape[-1]))
    return SubdiagonalKrylov(size, blocks, levels, wrap)


def tridiagonal_krylov(operator, vectors):
    """The Krylov matrices of a tridiagonal operator, written out row by row.

    `(A v)[j] = a[0, j] · v[j−1] + a[1, j] · v[j] + a[2, j] · v[j+1]`, where indices go
    round: `a[0, 0]` is the upper right corner of A, and `a[2, n−1]` the lower left one.

    The n steps are one compiled loop with TensorFlow, 10 times as fast as one by one. The
    gradient steps back through the rows with the transposed operator: it needs nothing
    but those, and holds one row more.

    Args:
        operator: Tensor `(3, n)`: `a`.
        vectors: Tensor `(r, n)`.

    Returns:
        Tensor `(n, r, n)`: row `[k, i]` is `Aᵏ vᵢ`.
    """

    def powers(operator, vectors):
        def step(power, _):
            return ops.sum(operator[:, None] * _neighbours(power), axis=0), power

        return ops.scan(step, vectors, length=vectors.shape[-1])[1]

    def gradients(operator, rows, upstream):
        def step(state, row_and_given):
            adjoint, to_operator = state
            row, given = row_and_given
            to_operator += ops.sum(adjoint * _neighbours(row), axis=1)
            below, middle, above = (one * adjoint for one in ops.unstack(operator))
            adjoint = (
                middle + ops.roll(below, -1, axis=-1) + ops.roll(above, 1, axis=-1)
            )
            return (given + adjoint, to_operator), None

        state = ops.zeros_like(upstream[0]), ops.zeros_like(operator)
        state, _ = ops.scan(step, state, (rows, upstream), reverse=True)
        to_vectors, to_operator = state
        return to_operator, to_vectors

    compiled = compiler()

    @ops.custom_gradient
    def evaluate(operator, vectors):
        rows = compiled(powers)(operator, vectors)

        def gradient(*args, upstream=None):
            (upstream,) = args if upstream is None else (upstream,)
            return compiled(gradients)(operator, rows, upstream)

        return rows, gradient

    return evaluate(operator, vectors)


def _neighbours(vectors):
    """`(3, r, n)`: `v[j−1]`, `v[j]`, `v[j+1]`, where indices go round."""
    before, after = (ops.roll(vectors, places, axis=-1) for places in (1, -1))
    return ops.stack([before, vectors, after])


def _blocks(steps, vectors):
    """`(r, q, m, m)`, Krylov matrices as rows, each twice as many from those before.

    Args:
        steps: Tensor `(q, m)`: `a` of each block, with 0 first.
        vectors: Tensor `(r, q, m)`.
    """
    size = vectors.shape[-1]
    rows = vectors[:, :, None]
    while rows.shape[2] < size:
        done = rows.shape[2]
        more = steps[:, None] * _shifted(rows, done)
        rows = ops.concatenate([rows, more], axis=2)
        steps = steps * _shifted(steps, done)
    return rows[:, :, :size]


def _running_products(steps):
    """`a[1] ⋯ a[j]` along the last axis.

    Not `cumprod`, whose gradient in TensorFlow is not a number where `a` is 0.
    """
    products = ops.concatenate([ops.ones_like(steps[:, :1]), steps[:, 1:]], axis=-1)
    done = 1
    while done < steps.shape[-1]:
        products = products * _shifted(products, done, fill=1)
        done *= 2
    return products


def _shifted(tensor, places, fill=0):
    """Entries along the last axis moved on by some places."""
    return _pad_last(tensor[..., :-places], places, 0, fill)


def _pad_last(tensor, before, after, fill=0):
    """A tensor with entries before and after those along its last axis."""
    widths = [(0, 0)] * (len(tensor.shape) - 1) + [(before, after)]
    return ops.pad(tensor, widths, constant_values=fill)


def _part(tensor, start, stop):
    """`tensor[..., start:stop]`, whose gradient in TensorFlow takes ten times longer."""
    return ops.split(tensor, [start, stop], axis=-1)[1]
