"""Structured factors that are nearest to a given matrix. numpy, in float64.

A matrix here is as in a textbook, `y = A x`; the kernel of a dense layer is its
transpose.
"""

from typing import NamedTuple

import numpy as np

from cvzoo.layers.structured.circulant_product import by_turns


class Factors(NamedTuple):
    """A product of circulant and diagonal matrices, n×n.

    Attributes:
        vectors: For each factor, in the order in which they are applied, the first
            column of the circulant or the diagonal, `(n,)`.
        first: Kind of the first one, `"circulant"` or `"diagonal"`.
        error: ‖A − product‖ / ‖A‖, Frobenius, over the places that A has; of a complex
            product for a real A, of the real part.
    """

    vectors: list
    first: str
    error: float

    def matrix(self):
        """The product, complex where the vectors are."""
        return _product(self.vectors, by_turns(len(self.vectors), self.first))


def relative_error(matrix, fitted):
    """‖matrix − fitted‖ / ‖matrix‖, Frobenius; 0 where both are 0."""
    error, size = np.linalg.norm(fitted - matrix), np.linalg.norm(matrix)
    if not size:
        return float("inf") if error else 0.0
    return float(error / size)


def low_rank(matrix, rank):
    """`(U, V)` of the nearest matrix `U V` of a rank, by its singular values."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    roots = np.sqrt(values[:rank])
    return left[:, :rank] * roots, roots[:, None] * right[:rank]


def block_circulant(matrix, size):
    """First columns `(p, q, size)` of the nearest matrix with circulant blocks.

    The matrix is padded with zeros, which do not count. Each number is the mean of the
    entries in whose place it stands.
    """
    rows, columns = (-(-n // size) for n in matrix.shape)
    padded = np.zeros((rows * size, columns * size))
    counted = np.zeros_like(padded)
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    counted[: matrix.shape[0], : matrix.shape[1]] = 1
    place = np.arange(size)
    shift = (place[:, None] - place) % size
    sums = np.zeros((2, rows, columns, size))
    for index, values in enumerate((padded, counted)):
        blocks = values.reshape(rows, size, columns, size).transpose(0, 2, 1, 3)
        for diagonal in range(size):
            sums[index, ..., diagonal] = blocks[..., shift == diagonal].sum(axis=-1)
    return sums[0] / np.maximum(sums[1], 1)


def circulant_factors(
    matrix, factors, field="real", first="circulant", iterations=1000, starts=1, seed=0
):
    """Circulant and diagonal matrices by turns whose product is near to a matrix.

    Minimises the squared error of all factors at once by L-BFGS. It finds a local
    minimum: of several random starts the best is taken. Three factors that begin with a
    diagonal start at the nearest matrix of rank 1, `u vᵀ = diag(u) circ(1, …, 1)
    diag(v)`.

    Args:
        matrix: `(rows, columns)`, real or complex. The product is n×n, n being the
            larger of both, and its first rows and columns are fitted: a layer that
            pads its inputs and cuts its outputs never reads the others.
        factors: How many.
        field: Of the factors, `"real"` or `"complex"`. Complex ones for a real matrix
            are fitted by the real part of their product.
        first: Kind of the one that is applied first.
        iterations: At most so many steps of L-BFGS a start.
        starts: How many random starts.
        seed: Of the starts.

    Returns:
        `Factors`. A matrix of zeros is met by a last factor of zeros.

    Raises:
        ValueError: The matrix has not two axes, or is complex for real factors.

    Reference:
        Theorem 2 of paper 1; products of 4k + 1 complex ones reach rank k.
    """
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(
            "`matrix` must have two axes, neither of them empty. Received shape "
            f"{matrix.shape}"
        )
    if field == "real" and np.iscomplexobj(matrix):
        raise ValueError(
            "A complex matrix needs complex factors. Received: field='real' and a "
            f"matrix of {matrix.dtype}. Pass field='complex', or its real part."
        )
    generator = np.random.default_rng(seed)
    problem = _Problem(matrix, factors, field, first, generator)
    begun = [problem.random_start() for _ in range(starts)]
    if factors == 3 and first == "diagonal":
        begun.append(problem.rank_one_start())
    if not problem.scale:
        return problem.zero(begun[0])
    found = [problem.solve(one, iterations) for one in begun]
    return min(found, key=lambda one: one.error)


class _Problem:
    """Squared error of a product of factors, and its gradient."""

    def __init__(self, matrix, factors, field, first, generator):
        self.matrix, self.is_complex = matrix, field == "complex"
        self.first, self.kinds = first, by_turns(factors, first)
        self.size = max(matrix.shape)
        self.generator = generator
        self.scale = np.sum(np.abs(matrix) ** 2)
        # Of a complex product for a real matrix, only the real part counts.
        self.takes_real = not np.iscomplexobj(matrix)

    def random_start(self):
        vectors = []
        for kind in self.kinds:
            values = self._normal()
            size = self.size**0.5 if kind == "circulant" else np.abs(values)
            vectors.append(values / size)
        return vectors

    def rank_one_start(self):
        left, right = low_rank(self.matrix, 1)
        return [self._padded(right[0]), np.ones(self.size), self._padded(left[:, 0])]

    def _padded(self, vector):
        return np.pad(vector, (0, self.size - len(vector)))

    def zero(self, vectors):
        """A product of zeros that gradients can leave: only the last factor is 0."""
        return Factors([*vectors[:-1], 0 * vectors[-1]], self.first, 0.0)

    def _normal(self):
        values = self.generator.normal(size=self.size)
        if self.is_complex:
            values = values + 1j * self.generator.normal(size=self.size)
        return values

    def solve(self, vectors, iterations):
        from scipy import optimize

        if iterations:
            found = optimize.minimize(
                self._error_and_gradient,
                self._flat(self._scaled(vectors)),
                jac=True,
                method="L-BFGS-B",
                options={
                    "maxiter": iterations,
                    "maxfun": 2 * iterations,
                    "maxcor": 30,
                    "ftol": 1e-16,
                    "gtol": 1e-12,
                },
            )
            vectors = self._split(found.x)
        product = self._seen(_product(vectors, self.kinds))
        return Factors(vectors, self.first, relative_error(self.matrix, product))

    def _seen(self, product):
        """What is compared with the matrix."""
        rows, columns = self.matrix.shape
        product = product[:rows, :columns]
        return product.real if self.takes_real else product

    def _scaled(self, vectors):
        """With a product of the size of the matrix."""
        product = self._seen(_product(vectors, self.kinds))
        factor = (self.scale / np.sum(np.abs(product) ** 2)) ** (0.5 / len(vectors))
        return [factor * vector for vector in vectors]

    def _flat(self, vectors):
        flat = np.concatenate(vectors)
        return np.concatenate([flat.real, flat.imag]) if self.is_complex else flat

    def _split(self, flat):
        if self.is_complex:
            real, imag = np.split(flat, 2)
            flat = real + 1j * imag
        return np.split(flat, len(self.kinds))

    def _error_and_gradient(self, flat):
        vectors = self._split(flat)
        units, inputs = self.matrix.shape
        rows, seen = np.eye(inputs, self.size), []
        for kind, vector in zip(self.kinds, vectors, strict=True):
            rows, kept = _forward(kind, vector, rows)
            seen.append(kept)
        # Rows are what is made of the columns of the identity.
        rest = self._seen(rows.T).T - self.matrix.T
        upstream = np.pad(2 * rest / self.scale, [(0, 0), (0, self.size - units)])
        gradients = []
        for kind, vector, kept in zip(
            self.kinds[::-1], vectors[::-1], seen[::-1], strict=True
        ):
            gradient, upstream = _backward(kind, vector, kept, upstream)
            gradients.append(gradient)
        return np.sum(np.abs(rest) ** 2) / self.scale, self._flat(gradients[::-1])


def _product(vectors, kinds):
    rows = np.eye(len(vectors[0]))
    for kind, vector in zip(kinds, vectors, strict=True):
        rows, _ = _forward(kind, vector, rows)
    return rows.T


def _forward(kind, vector, rows):
    """A factor times each row, and what the way back needs of the rows."""
    if kind == "diagonal":
        return vector * rows, rows
    transform, inverse = _transforms(vector)
    spectrum = transform(rows)
    return inverse(transform(vector) * spectrum), spectrum


def _backward(kind, vector, kept, upstream):
    """Gradients with respect to the vector and the rows."""
    if kind == "diagonal":
        gradient = np.sum(upstream * np.conj(kept), axis=0)
        return gradient if np.iscomplexobj(vector) else gradient.real, (
            np.conj(vector) * upstream
        )
    transform, inverse = _transforms(vector)
    above = transform(upstream)
    gradient = inverse(np.sum(above * np.conj(kept), axis=0))
    return gradient, inverse(np.conj(transform(vector)) * above)


def _transforms(vector):
    """Forward and inverse transform along the last axis: halves for real vectors."""
    from scipy import fft

    if np.iscomplexobj(vector):
        return fft.fft, fft.ifft
    return fft.rfft, lambda spectrum: fft.irfft(spectrum, len(vector))
