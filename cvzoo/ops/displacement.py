"""Products with matrices of low displacement rank.

With operators A and B and r pairs of vectors g, h of size n, such a matrix is

    M = Σᵢ K(A, gᵢ) · K(B, hᵢ)ᵀ,    K(A, v) = [v, A v, …, Aⁿ⁻¹ v],

of Krylov matrices. Products take two steps, `w[i, k] = x · Bᵏ hᵢ`, the transposed product,
and `y = Σ w[i, k] Aᵏ gᵢ`. Which operators there are decides how fast these are.

Thomas, Gu, Dao, Rudra & Ré, 2018: Learning compressed transforms with low displacement
rank; De Sa, Gu, Puttagunta, Ré & Rudra, 2018: A two-pronged progress in structured dense
matrix vector multiplication.
"""

import functools

import keras
from keras import ops

from cvzoo.ops.polynomials import polynomial_products, transposed_products

# Matrices of this size or less are written out, which is faster than transforms.
BLOCK = 64


def toeplitz_like_product(inputs, left, right, corner=True):
    """`M · x` for each `x` along the last axis, where A and B shift: Toeplitz-like M.

    `A v = (f · v[n−1], v[0], …, v[n−2])`, so that `K(A, v) · w` is the product of two
    polynomials modulo `tⁿ − f`.

    Args:
        inputs: Tensor `(..., n)`.
        left: Tensor `(r, n)`: the vectors g.
        right: Tensor `(r, n)`: the vectors h.
        corner: Whether f is 1 in A and −1 in B, or 0 in both: then M is a sum of
            products of lower and upper triangular Toeplitz matrices.

    Returns:
        Tensor of the shape and dtype of the inputs.
    """
    left_corner, right_corner = (1, -1) if corner else (0, 0)

    def product(rows, left, right):
        size = rows.shape[-1]
        repeated = ops.concatenate([rows, right_corner * rows], axis=-1)[:, :-1]
        sums = transposed_products(repeated[:, None], right[None])
        powers = polynomial_products(sums, left[None])[:, 0]
        above = ops.pad(powers[:, size:], [(0, 0), (0, 1)])
        return powers[:, :size] + left_corner * above

    return _by_rows(product, inputs, left, right)


def subdiagonal_product(
    inputs, left, right, left_operator, right_operator, corner=False
):
    """`M · x` for each `x` along the last axis, where A and B have a sub-diagonal only.

    `(A v)[j] = a[j] · v[j−1]`. Halving the size again and again, all powers of A are
    products of polynomials: n log² n operations.

    Args:
        inputs: Tensor `(..., n)`.
        left: Tensor `(r, n)`: the vectors g.
        right: Tensor `(r, n)`: the vectors h.
        left_operator: Tensor `(n,)`: `a` of A. Entry 0 is the upper right corner.
        right_operator: Tensor `(n,)`: that of B.
        corner: Whether the corners count, or are 0 whatever they are.

    Returns:
        Tensor of the shape and dtype of the inputs.
    """

    def product(rows, left, right, left_operator, right_operator):
        krylov = _Subdiagonal(right_operator, right, corner)
        sums = krylov.transposed_product(rows)
        return _Subdiagonal(left_operator, left, corner).product(sums)

    return _by_rows(product, inputs, left, right, left_operator, right_operator)
