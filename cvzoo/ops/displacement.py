"""Products with matrices of low displacement rank.

With operators A and B, and r pairs of vectors g, h of size n, such a matrix is

    M = Σᵢ K(A, gᵢ) · K(B, hᵢ)ᵀ,    K(A, v) = [v, A v, …, Aⁿ⁻¹ v],

of Krylov matrices. A product takes two steps, `w[i, k] = x · Bᵏ hᵢ` and then
`y = Σ w[i, k] Aᵏ gᵢ`. How fast they are depends on the kind of operators.

Thomas, Gu, Dao, Rudra & Ré, 2018: Learning compressed transforms with low displacement
rank. De Sa, Gu, Puttagunta, Ré & Rudra, 2018: A two-pronged progress in structured
dense matrix vector multiplication.
"""

from keras import ops

from cvzoo.ops.circulant import wide
from cvzoo.ops.krylov import subdiagonal_krylov, tridiagonal_krylov
from cvzoo.ops.polynomials import polynomial_products, transposed_products
from cvzoo.ops.shapes import leading


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
        low, high = ops.split(powers, [size], axis=-1)
        return low + left_corner * ops.pad(high, [(0, 0), (0, 1)])

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
        krylov = subdiagonal_krylov(right_operator, right, corner)
        sums = krylov.transposed_product(rows)
        return subdiagonal_krylov(left_operator, left, corner).product(sums)

    return _by_rows(product, inputs, left, right, left_operator, right_operator)


def tridiagonal_product(inputs, left, right, left_operator, right_operator):
    """`M · x` for each `x` along the last axis, where A and B are tridiagonal.

    Here the Krylov matrices are written out, r · n² numbers for each of A and B.

    Args:
        inputs: Tensor `(..., n)`.
        left: Tensor `(r, n)`: the vectors g.
        right: Tensor `(r, n)`: the vectors h.
        left_operator: Tensor `(3, n)`: of A, as in `tridiagonal_krylov`.
        right_operator: Tensor `(3, n)`: of B.

    Returns:
        Tensor of the shape and dtype of the inputs.
    """

    def product(rows, left, right, left_operator, right_operator):
        size = rows.shape[-1]
        left = ops.reshape(tridiagonal_krylov(left_operator, left), (-1, size))
        right = ops.reshape(tridiagonal_krylov(right_operator, right), (-1, size))
        return ops.matmul(ops.matmul(rows, ops.transpose(right)), left)

    return _by_rows(product, inputs, left, right, left_operator, right_operator)


def _by_rows(product, inputs, *tensors):
    """A product with rows `(b, n)`, for inputs of any rank and dtype."""
    dtype, size = inputs.dtype, inputs.shape[-1]
    rows = ops.reshape(wide(inputs, dtype), (-1, size))
    outputs = product(rows, *(wide(tensor, dtype) for tensor in tensors))
    return ops.cast(ops.reshape(outputs, (*leading(inputs), size)), dtype)
