"""Layers of low displacement rank against their definition in NumPy."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvzoo.layers.structured import LowDisplacementRank
from tests.helpers import check_layer

KINDS = [
    (operators, corner, tied)
    for operators in ("shift", "subdiagonal", "tridiagonal")
    for corner in (False, True)
    for tied in (False, True)
    if not (tied and operators == "shift")
]


def of_kind(units, rank, kind, **keywords):
    operators, corner, *tied = kind
    keywords["tied"] = tied == [True]
    return LowDisplacementRank(
        units, rank, operators=operators, corner=corner, **keywords
    )


def built(inputs, units, rank, kind, **keywords):
    """A layer with random numbers for weights, since many begin with 0 or 1."""
    layer = of_kind(units, rank, kind, **keywords)
    layer.build((None, inputs))
    generator = np.random.default_rng(0)
    for weight in layer.weights:
        scale = 1 if "vectors" in weight.name else 0.4
        weight.assign(scale * generator.normal(size=weight.shape))
    return layer


def operators_of(layer):
    """A and B as matrices."""
    size = layer.left_vectors.shape[1]
    weights = {one.name: np.asarray(one, np.float64) for one in layer.weights}
    matrices = []
    for side, corner in (("left", 1), ("right", -1)):
        matrix = np.zeros((size, size))
        if layer.operators == "shift":
            matrix += np.eye(size, k=-1)
            matrix[0, -1] += corner * layer.corner
        else:
            side = "operator" if layer.tied else side
            matrix += np.diag(weights[f"{side}_subdiagonal"], -1)
            if layer.operators == "tridiagonal":
                matrix += np.diag(weights[f"{side}_diagonal"])
                matrix += np.diag(weights[f"{side}_superdiagonal"], 1)
            if layer.corner:
                corners = weights[f"{side}_corners"]
                matrix[0, -1] += corners[0]
                if layer.operators == "tridiagonal":
                    matrix[-1, 0] += corners[1]
        matrices.append(matrix)
    return matrices


def krylov(matrix, vector):
    columns = [vector]
    for _ in vector[1:]:
        columns.append(matrix @ columns[-1])
    return np.stack(columns, axis=1)


def square_matrix(layer):
    a, b = operators_of(layer)
    pairs = zip(
        np.asarray(layer.left_vectors, np.float64),
        np.asarray(layer.right_vectors, np.float64),
        strict=True,
    )
    return sum(krylov(a, g) @ krylov(b, h).T for g, h in pairs)


@settings(max_examples=8)
@given(
    kind=st.sampled_from(KINDS),
    inputs=st.integers(1, 13),
    units=st.integers(1, 13),
    rank=st.integers(1, 3),
    padding=st.sampled_from(["left", "right"]),
)
def test_outputs_and_matrix_are_those_of_the_definition(
    kind, inputs, units, rank, padding
):
    rank = min(rank, max(inputs, units))
    layer = built(inputs, units, rank, kind, padding=padding)
    square = square_matrix(layer)
    first = len(square) - inputs if padding == "left" else 0
    matrix = square[:units, first : first + inputs].T
    scale = 1e-5 * max(1, np.abs(square).max())
    np.testing.assert_allclose(layer.to_dense(), matrix, atol=scale)
    x = np.random.default_rng(1).normal(size=(2, 3, inputs)).astype("float32")
    expected = x @ matrix + np.asarray(layer.bias)
    np.testing.assert_allclose(layer(x), expected, atol=10 * scale)


@pytest.mark.parametrize("kind", KINDS)
def test_the_displacement_has_the_rank_of_the_layer(kind):
    """`M − A M Bᵀ = G Hᵀ − Aⁿ G Hᵀ (Bⁿ)ᵀ`, of twice the rank at most.

    Of the rank itself where Aⁿ or Bⁿ is 0. Shifts with corners have Aⁿ = 1 = −Bⁿ, and
    then the two terms are one, twice.
    """
    operators, corner, _ = kind
    layer = built(12, 12, 2, kind)
    matrix = np.asarray(layer.to_dense(), np.float64).T
    a, b = operators_of(layer)
    displacement = matrix - a @ matrix @ b.T
    values = np.linalg.svd(displacement, compute_uv=False)
    twice = operators != "shift" and (corner or operators == "tridiagonal")
    rank = 4 if twice else 2
    assert values[rank] < 1e-4 * values[0]
    assert values[1] > 1e-2 * values[0]
    assert np.linalg.matrix_rank(matrix, tol=1e-4) > 4


@pytest.mark.parametrize(
    ("kind", "rank", "expected"),
    [
        # Paper 1, Table 1: with a dense layer of 10 classes after it, n = 3072.
        (("shift", False), 2, 46_090),
        (("shift", True), 3, 52_234),
        (("tridiagonal", False), 2, 64_518),
        (("tridiagonal", False), 3, 70_662),
    ],
)
def test_numbers_of_parameters_are_the_papers(kind, rank, expected):
    layer = of_kind(3072, rank, kind)
    layer.build((None, 3072))
    assert layer.count_params() + 10 * 3072 + 10 == expected


@pytest.mark.parametrize(("rank", "expected"), [(1, 139_966), (10, 419_902)])
def test_numbers_of_parameters_with_a_sub_diagonal_are_the_papers(rank, expected):
    """Paper 1, Table 2: after batch normalization, n = 15 552."""
    layer = LowDisplacementRank(15_552, rank, operators="subdiagonal")
    layer.build((None, 15_552))
    assert layer.count_params() + 4 * 15_552 == expected


@pytest.mark.parametrize(
    ("operators", "operator", "corners"),
    [("subdiagonal", 8, 1), ("tridiagonal", 25, 2)],
)
def test_corners_and_tied_operators_count(operators, operator, corners):
    def count(**keywords):
        layer = LowDisplacementRank(
            9, 2, operators=operators, use_bias=False, **keywords
        )
        layer.build((None, 9))
        return layer.count_params() - 2 * 2 * 9

    assert count() == 2 * operator
    assert count(corner=True) == 2 * (operator + corners)
    assert count(tied=True) == operator
    assert count(tied=True, corner=True) == operator + corners


def test_initial_values_are_those_of_the_paper_s_code():
    layer = LowDisplacementRank(1000, 20, operators="subdiagonal", corner=True)
    layer.build((None, 1000))
    left, right = np.asarray(layer.left_vectors), np.asarray(layer.right_vectors)
    np.testing.assert_allclose(np.var(left), 1 / 20_000, rtol=0.05)
    np.testing.assert_allclose(np.var(right), 1 / 20_000, rtol=0.05)
    assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 0.05
    assert not np.asarray(layer.bias).any()
    without_corners = np.eye(1000, k=-1)
    for matrix in operators_of(layer):
        np.testing.assert_array_equal(matrix, without_corners)
    layer = LowDisplacementRank(6, 1, operators="tridiagonal", corner=True)
    layer.build((None, 6))
    for matrix in operators_of(layer):
        np.testing.assert_array_equal(matrix, np.eye(6, k=-1))


def test_vectors_of_one_initializer_begin_with_numbers_of_their_own():
    layer = LowDisplacementRank(4, 4, vector_initializer="random_normal")
    layer.build((None, 4))
    assert not np.array_equal(layer.left_vectors, layer.right_vectors)


@pytest.mark.parametrize(
    "kind",
    [
        ("shift", True, False),
        ("subdiagonal", True, True),
        ("tridiagonal", True, False),
    ],
)
def test_the_shared_checks(kind, tmp_path):
    inputs = np.random.default_rng(0).normal(size=(4, 5, 7)).astype("float32")
    check_layer(lambda: of_kind(3, 2, kind, activation="tanh"), inputs, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_size_of_one(kind, tmp_path):
    layer = built(1, 1, 1, kind)
    expected = float(layer.left_vectors[0, 0] * layer.right_vectors[0, 0])
    np.testing.assert_allclose(layer.to_dense(), [[expected]], rtol=1e-5)
    model = keras.Sequential([keras.Input((1,)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.layers[0].to_dense(), layer.to_dense())


@pytest.mark.parametrize("operators", ["shift", "subdiagonal", "tridiagonal"])
def test_half_precision_is_computed_in_float32(operators):
    layer = LowDisplacementRank(12, 2, operators=operators, dtype="float16")
    x = np.random.default_rng(0).normal(size=(3, 12)).astype("float16")
    outputs = layer(x)
    assert keras.backend.standardize_dtype(outputs.dtype) == "float16"
    expected = x.astype("float64") @ square_matrix(layer).T
    np.testing.assert_allclose(np.asarray(outputs, "float64"), expected, atol=0.02)


@pytest.mark.parametrize("operators", ["shift", "subdiagonal", "tridiagonal"])
def test_sequences_of_unknown_length(operators):
    x = keras.Input((None, 7))
    layer = LowDisplacementRank(3, 2, operators=operators)
    model = keras.Model(x, layer(x))
    assert model.output_shape == (None, None, 3)
    values = np.random.default_rng(0).normal(size=(2, 4, 7)).astype("float32")
    expected = values @ np.asarray(layer.to_dense())
    np.testing.assert_allclose(model(values), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LowDisplacementRank(4, 0), "`rank` must be a positive integer"),
        (
            lambda: LowDisplacementRank(4, 1, operators="diagonal"),
            "`operators` must be one of",
        ),
        (lambda: LowDisplacementRank(4, 1, tied=True), "`tied` is for operators"),
        (lambda: LowDisplacementRank(4, 6)(keras.Input((5,))), "rank is at most 5"),
        (lambda: LowDisplacementRank(4, 1)(keras.Input((3, None))), "known last axis"),
        (
            lambda: of_kind(9, 2, ("tridiagonal", False))(keras.Input((2**15,))),
            "It may have at most",
        ),
    ],
)
def test_bad_input_is_refused_clearly(make, message):
    with pytest.raises(ValueError, match=message):
        make()
