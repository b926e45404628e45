"""Structured matrices that are nearest to given ones."""

import functools

import numpy as np
import pytest
import scipy.linalg

from cvzoo import fitting


def random_matrix(rows, columns, seed=0, is_complex=False):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(rows, columns))
    if is_complex:
        values = values + 1j * generator.normal(size=(rows, columns))
    return values


def product_of(found):
    """Explicitly, the first factor on the right."""
    turns = [scipy.linalg.circulant, np.diag]
    if found.first == "diagonal":
        turns.reverse()
    matrices = [turns[k % 2](vector) for k, vector in enumerate(found.vectors)]
    return functools.reduce(lambda product, one: one @ product, matrices)


@pytest.mark.parametrize(
    ("size", "rank"),
    [(16, 1), (16, 2), pytest.param(32, 2, marks=pytest.mark.slow)],
)
def test_matrices_of_rank_k_are_products_of_4k_and_1_factors(size, rank):
    # Paper 1, theorem 2.
    matrix = random_matrix(size, rank, 1, True) @ random_matrix(rank, size, 2, True)
    found = fitting.circulant_factors(
        matrix, 4 * rank + 1, "complex", iterations=3000, starts=3 if size > 16 else 1
    )
    error = np.linalg.norm(product_of(found) - matrix) / np.linalg.norm(matrix)
    assert error < 1e-6
    assert found.error == pytest.approx(error, abs=1e-9)


@pytest.mark.parametrize("field", ["real", "complex"])
def test_rank_one_is_exact_in_closed_form(field):
    matrix = np.outer(random_matrix(7, 1, 1), random_matrix(7, 1, 2))
    found = fitting.circulant_factors(matrix, 3, field, "diagonal", iterations=0)
    np.testing.assert_allclose(product_of(found), matrix, atol=1e-12)


@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("first", ["circulant", "diagonal"])
@pytest.mark.parametrize("size", [1, 5, 8])
def test_a_product_that_can_be_reached_is_found(field, first, size):
    one = random_matrix(2, size, 3)
    matrix = scipy.linalg.circulant(one[0]) @ np.diag(one[1])
    if first == "circulant":
        matrix = matrix.T
    found = fitting.circulant_factors(matrix, 2, field, first, starts=5)
    assert found.error < 1e-6
    np.testing.assert_allclose(product_of(found).real, matrix, atol=1e-4)


@pytest.mark.parametrize("factors", [2, 3, 4, 7])
@pytest.mark.parametrize("field", ["real", "complex"])
def test_errors_are_those_of_the_product(factors, field):
    matrix = random_matrix(6, 6)
    found = fitting.circulant_factors(matrix, factors, field, iterations=20)
    rest = product_of(found).real - matrix
    expected = np.linalg.norm(rest) / np.linalg.norm(matrix)
    assert found.error == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(found.matrix(), product_of(found), atol=1e-9)


def test_fits_are_local_optima():
    matrix = random_matrix(4, 4)
    found = fitting.circulant_factors(matrix, 3, iterations=5000)
    for factor in range(3):
        for place in range(4):
            for step in (-1e-2, 1e-2):
                vectors = [vector.copy() for vector in found.vectors]
                vectors[factor][place] += step
                moved = product_of(found._replace(vectors=vectors))
                error = np.linalg.norm(moved - matrix) / np.linalg.norm(matrix)
                assert error > found.error


def test_more_starts_are_no_worse():
    matrix = random_matrix(9, 9)
    errors = [
        fitting.circulant_factors(matrix, 4, starts=starts, iterations=50).error
        for starts in (1, 4)
    ]
    assert errors[1] <= errors[0] + 1e-12


@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("shape", [(7, 3), (3, 7)])
def test_only_the_places_of_the_matrix_are_fitted(field, shape):
    """The squared error over these has slope 0 at the fit, by finite differences."""
    matrix = random_matrix(*shape)
    found = fitting.circulant_factors(matrix, 3, field, iterations=3000)

    def masked_loss(vectors):
        product = product_of(found._replace(vectors=vectors)).real
        assert product.shape == (7, 7)
        return np.sum((product[: shape[0], : shape[1]] - matrix) ** 2)

    relative = (masked_loss(found.vectors) / np.sum(matrix**2)) ** 0.5
    assert found.error == pytest.approx(relative, abs=1e-9)
    for factor in range(3):
        for place in range(7):
            slopes = []
            for step in (-1e-4, 1e-4):
                vectors = [vector.copy() for vector in found.vectors]
                vectors[factor][place] += step
                slopes.append(masked_loss(vectors) / 2e-4)
            assert slopes[1] - slopes[0] == pytest.approx(0, abs=2e-3)


def test_padding_that_does_not_count_leaves_more_to_the_matrix():
    matrix = random_matrix(32, 8)
    padded = np.pad(matrix, [(0, 0), (0, 24)])
    errors = []
    for fitted in (matrix, padded):
        found = fitting.circulant_factors(fitted, 4, starts=3, iterations=400)
        rest = product_of(found)[:, :8] - matrix
        errors.append(np.linalg.norm(rest) / np.linalg.norm(matrix))
    assert errors[0] < 0.75 * errors[1]


def test_rank_one_is_exact_where_the_matrix_is_not_square():
    matrix = np.outer(random_matrix(7, 1, 1), random_matrix(4, 1, 2))
    found = fitting.circulant_factors(matrix, 3, "real", "diagonal", iterations=0)
    np.testing.assert_allclose(product_of(found)[:, :4], matrix, atol=1e-12)


@pytest.mark.parametrize("factors", [1, 2, 5])
def test_zeros_are_met_by_one_factor_of_zeros(factors):
    found = fitting.circulant_factors(np.zeros((5, 3)), factors)
    assert found.error == 0
    np.testing.assert_array_equal(product_of(found), np.zeros((5, 5)))
    assert [np.any(vector) for vector in found.vectors] == [True] * (factors - 1) + [
        False
    ]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (1j * np.eye(3), "A complex matrix needs complex factors.*field='real'"),
        (np.ones(3), r"`matrix` must have two axes.*\(3,\)"),
        (np.ones((0, 3)), r"`matrix` must have two axes.*\(0, 3\)"),
    ],
)
def test_matrices_that_cannot_be_fitted_are_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        fitting.circulant_factors(matrix, 2)


@pytest.mark.parametrize("shape", [(6, 8), (7, 5), (4, 4)])
def test_low_rank_is_as_good_as_the_singular_values_allow(shape):
    matrix = random_matrix(*shape)
    left, right = fitting.low_rank(matrix, 3)
    rest = scipy.linalg.svdvals(matrix)[3:]
    error = np.linalg.norm(matrix - left @ right)
    assert error == pytest.approx(np.linalg.norm(rest))


@pytest.mark.parametrize(("shape", "size"), [((6, 9), 3), ((5, 7), 4), ((3, 3), 8)])
def test_circulant_blocks_are_the_least_squares_solution(shape, size):
    matrix = random_matrix(*shape)
    found = fitting.block_circulant(matrix, size)
    rows, columns = found.shape[:2]
    # The basis: each number's matrix, cut as the layer cuts it.
    basis = []
    for index in np.ndindex(found.shape):
        unit = np.zeros((rows * size, columns * size))
        block = scipy.linalg.circulant(np.eye(size)[index[2]])
        i, j = index[0] * size, index[1] * size
        unit[i : i + size, j : j + size] = block
        basis.append(unit[: shape[0], : shape[1]].ravel())
    expected = np.linalg.lstsq(np.array(basis).T, matrix.ravel(), rcond=None)[0]
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-12)
