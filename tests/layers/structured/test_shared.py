"""What all structured layers do: files, half precision, masks, clear errors."""

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo.layers import (
    BlockCirculant,
    Circulant,
    ComplexBlockCirculant,
    ComplexCirculant,
    ComplexDiagonalCirculant,
    ComplexNormal,
    DiagonalCirculant,
    DiagonalCirculantStack,
)
from cvzoo.layers.structured import (
    ACDC,
    CirculantProduct,
    DiagonalToeplitz,
    Fastfood,
    HashedDense,
    LowDisplacementRank,
    LowRank,
    Toeplitz,
)
from tests.helpers import as_complex, check_layer, random_pair

LAYERS = {
    "toeplitz": lambda units=3, **kwargs: Toeplitz(units, **kwargs),
    "diagonal_toeplitz": lambda units=3, **kwargs: DiagonalToeplitz(units, **kwargs),
    "acdc": lambda units=3, **kwargs: ACDC(units, permute=True, **kwargs),
    "acdc_outputs": lambda units=3, **kwargs: ACDC(
        units, diagonal_at="outputs", **kwargs
    ),
    "circulant_product": lambda units=3, **kwargs: CirculantProduct(
        units, 3, first="diagonal", **kwargs
    ),
    "complex_circulant_product": lambda units=3, **kwargs: CirculantProduct(
        units, 5, field="complex", **kwargs
    ),
    "low_rank": lambda units=3, **kwargs: LowRank(units, 2, **kwargs),
    "fastfood": lambda units=3, **kwargs: Fastfood(units, **kwargs),
    "hashed": lambda units=3, **kwargs: HashedDense(units, compression=3, **kwargs),
    "toeplitz_like": lambda units=3, **kwargs: LowDisplacementRank(units, 2, **kwargs),
    "ldr_subdiagonal": lambda units=3, **kwargs: LowDisplacementRank(
        units, 2, operators="subdiagonal", **kwargs
    ),
    "ldr_tridiagonal": lambda units=3, **kwargs: LowDisplacementRank(
        units, 2, operators="tridiagonal", **kwargs
    ),
    "block_circulant": lambda units=3, **kwargs: BlockCirculant(units, 2, **kwargs),
    "circulant": lambda units=3, **kwargs: Circulant(units, **kwargs),
    "diagonal_circulant": lambda units=3, **kwargs: DiagonalCirculant(
        units, order="diagonal_first", transpose=True, **kwargs
    ),
    "circulants_in_blocks": lambda units=9, **kwargs: DiagonalCirculant(
        units, rectangular="blocks", **kwargs
    ),
}
COMPLEX = {
    "circulant": lambda **kwargs: ComplexCirculant(3, **kwargs),
    "diagonal_circulant": lambda **kwargs: ComplexDiagonalCirculant(
        9, rectangular="blocks", **kwargs
    ),
    "block_circulant": lambda **kwargs: ComplexBlockCirculant(3, 2, **kwargs),
}
STACKED = {**LAYERS, "stack": lambda **kwargs: DiagonalCirculantStack(2, **kwargs)}


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_passes_the_shared_checks(name, tmp_path):
    inputs = np.random.default_rng(0).normal(size=(4, 5, 7)).astype("float32")
    make = LAYERS[name]
    check_layer(
        lambda: make(activation="tanh", bias_initializer="ones"), inputs, tmp_path
    )


@pytest.mark.parametrize("name", COMPLEX)
def test_every_complex_layer_passes_the_shared_checks(name, tmp_path):
    make = COMPLEX[name]
    check_layer(
        lambda: make(activation="tanh", bias_initializer="ones"),
        random_pair(4, 5, 7),
        tmp_path,
    )


@pytest.mark.parametrize("name", COMPLEX)
def test_outputs_of_complex_layers_are_products_with_their_matrix(name):
    layer = COMPLEX[name]()
    pair = random_pair(4, 5, 7)
    found = as_complex(layer(pair))
    expected = as_complex(pair) @ as_complex(layer.to_dense())
    expected += as_complex(layer.bias_parts)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", STACKED)
@pytest.mark.parametrize("shape", [(2, 6), (2, 1), (2, 3, 8), (7,)])
def test_inputs_of_another_size_than_it_was_built_for_are_refused(name, shape):
    layer = STACKED[name]()
    layer.build((None, 7))
    with pytest.raises(ValueError, match="is incompatible with the layer"):
        layer(np.zeros(shape, "float32"))


@pytest.mark.parametrize("name", COMPLEX)
@pytest.mark.parametrize("shape", [(2, 6), (2, 1), (7,)])
def test_pairs_of_another_size_than_it_was_built_for_are_refused(name, shape):
    layer = COMPLEX[name]()
    layer(random_pair(2, 7))
    with pytest.raises(ValueError, match="is incompatible with the layer"):
        layer(random_pair(*shape))


@pytest.mark.parametrize("name", STACKED)
def test_pairs_and_complex_tensors_are_refused(name):
    layer = STACKED[name]()
    for wrong in (
        random_pair(2, 7),
        keras.ops.convert_to_tensor(np.ones((2, 7), "complex64")),
        (keras.Input((7,)), keras.Input((7,))),
        keras.Input((7,), dtype="complex64"),
    ):
        with pytest.raises(ValueError, match=f"'{layer.name}' takes one real tensor"):
            layer(wrong)


def test_layers_with_a_complex_form_name_it():
    layers = Circulant(7), DiagonalCirculant(7), BlockCirculant(7, 2)
    for layer in layers:
        form = f"Complex{type(layer).__name__}"
        with pytest.raises(ValueError, match=f"or use `cvzoo.layers.{form}`"):
            layer(random_pair(2, 7))
        assert hasattr(cvzoo.layers, form)


@pytest.mark.parametrize("name", STACKED)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_integers_are_cast_as_dense_layers_do(name, policy):
    layer = STACKED[name](dtype=policy)
    integers = np.arange(14).reshape(2, 7) - 5
    found = layer(integers.astype("int64"))
    assert keras.backend.standardize_dtype(found.dtype) == layer.compute_dtype
    np.testing.assert_array_equal(
        keras.ops.cast(found, "float32"),
        keras.ops.cast(layer(integers.astype("float32")), "float32"),
    )


@pytest.mark.parametrize("name", COMPLEX)
def test_pairs_of_integers_are_cast(name):
    layer = COMPLEX[name]()
    integers = np.arange(28).reshape(2, 2, 7)
    found = as_complex(layer(tuple(integers)))
    expected = as_complex(layer(tuple(integers.astype("float32"))))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", LAYERS)
def test_complex_initializers_are_refused(name):
    with pytest.raises(ValueError, match="A real weight needs a real initializer"):
        LAYERS[name](bias_initializer=ComplexNormal())


@pytest.mark.parametrize("name", LAYERS)
def test_copies_have_the_same_matrix(name):
    """What a layer draws and does not train is part of its configuration."""
    layer = LAYERS[name]()
    copy = type(layer).from_config(layer.get_config())
    for one in (layer, copy):
        one.build((None, 7))
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy.to_dense(), layer.to_dense())


@pytest.mark.parametrize("name", LAYERS)
def test_no_bias_no_weight_of_it(name):
    layer = LAYERS[name](use_bias=False)
    layer.build((None, 7))
    assert "bias" not in [variable.name for variable in layer.weights]
    x = np.random.default_rng(0).normal(size=(2, 7)).astype("float32")
    np.testing.assert_allclose(layer(x), x @ np.asarray(layer.to_dense()), atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_sequences_of_unknown_length(name):
    x = keras.Input((None, 7))
    layer = LAYERS[name]()
    model = keras.Model(x, layer(x))
    assert model.output_shape == (None, None, layer.units)
    values = np.random.default_rng(0).normal(size=(2, 4, 7)).astype("float32")
    expected = values @ np.asarray(layer.to_dense()) + np.asarray(layer.bias)
    np.testing.assert_allclose(model(values), expected, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_a_mask_passes(name):
    x = np.zeros((1, 2, 7), "float32")
    x[0, 0] = 1
    masked = keras.layers.Masking()(x)
    assert LAYERS[name]()(masked)._keras_mask is not None


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_the_matrix_is_that_of_float32_under_any_policy(name, policy):
    layer = LAYERS[name]()
    copy = type(layer).from_config({**layer.get_config(), "dtype": policy})
    for one in (layer, copy):
        one.build((None, 7))
    copy.set_weights(layer.get_weights())
    matrix = keras.ops.cast(copy.to_dense(), "float32")
    atol = 1e-6 if policy.startswith("mixed") else 0.02
    np.testing.assert_allclose(matrix, layer.to_dense(), atol=atol)


@pytest.mark.parametrize("name", LAYERS)
def test_a_batch_of_none(name):
    layer = LAYERS[name]()
    for shape in ((0, 7), (2, 0, 7)):
        assert layer(np.zeros(shape, "float32")).shape == (*shape[:-1], layer.units)


PAPER = 3072  # CIFAR-10, flat


@pytest.mark.parametrize(
    ("hidden", "last", "expected"),
    [
        # Figure 4a of paper 1: numbers of weights of networks of L hidden layers.
        (DiagonalToeplitz, DiagonalToeplitz, {1: 18_452, 30: 374_804}),
        (Toeplitz, Toeplitz, {2: 24_586, 40: 374_794}),
    ],
)
def test_numbers_of_parameters_of_toeplitz_networks_are_the_papers(
    hidden, last, expected
):
    count = {}
    for kind, units in ((hidden, PAPER), (last, 10)):
        layer = kind(units)
        layer.build((None, PAPER))
        count[units] = layer.count_params()
    for depth, published in expected.items():
        assert depth * count[PAPER] + count[10] == published


@pytest.mark.parametrize(("rank", "expected"), [(2, 21_534), (40, 372_122)])
def test_numbers_of_parameters_of_low_rank_networks_are_the_papers(rank, expected):
    layers = [LowRank(PAPER, rank), LowRank(10, rank, overcomplete=True)]
    for layer in layers:
        layer.build((None, PAPER))
    assert sum(layer.count_params() for layer in layers) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Toeplitz(0), "`units` must be a positive integer"),
        (lambda: Toeplitz(4, padding="same"), "`padding` must be one of"),
        (lambda: Toeplitz(4)(keras.Input((3, None))), "known last axis"),
        (lambda: LowRank(4, 2)(keras.Input((3, None))), "known last axis"),
        (lambda: LowRank(4, 0), "`rank` must be a positive integer"),
        (lambda: LowRank(4, 3)(keras.Input((2,))), "rank is at most 2"),
        (lambda: ACDC(4, diagonal_at="left"), "`diagonal_at` must be one of"),
        (
            lambda: ACDC(4, diagonal_at="both")(keras.Input((3,))),
            "as many inputs as units",
        ),
        (lambda: Fastfood(4, seed=-1), "`seed` must be None or an integer"),
        (lambda: Fastfood(4, seed=0.5), "`seed` must be None or an integer"),
        (
            lambda: Circulant(3, circulant_initializer=ComplexNormal()),
            "A real weight needs a real initializer",
        ),
        (
            lambda: DiagonalCirculantStack(3, circulant_initializer=ComplexNormal()),
            "A real weight needs a real initializer",
        ),
        (
            lambda: CirculantProduct(3, 2, diagonal_initializer=ComplexNormal()),
            "A real weight needs a real initializer",
        ),
        (lambda: HashedDense(4), "Pass one of `buckets` and `compression`"),
        (lambda: HashedDense(4, buckets=0), "`buckets` must be a positive integer"),
        (lambda: HashedDense(4, compression=0.5), "`compression` must be a number"),
        (lambda: HashedDense(4, buckets=9)(keras.Input((2,))), "a matrix of 8 entries"),
        (lambda: HashedDense(2**16, 9)(keras.Input((2**16,))), "It may have at most"),
    ],
)
def test_bad_input_is_refused_clearly(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: LowRank(4, 2, "relu"),
        lambda: LowDisplacementRank(4, 2, "shift"),
        lambda: HashedDense(4, 2, 3),
        lambda: CirculantProduct(4, 2, "real"),
        lambda: BlockCirculant(4, 2, "zeros"),
        lambda: ComplexBlockCirculant(4, 2, "zeros"),
        lambda: DiagonalCirculantStack(4, 2),
        *(
            lambda kind=kind: kind(4, "relu")
            for kind in (ACDC, DiagonalToeplitz, Fastfood, Toeplitz, Circulant)
            + (DiagonalCirculant, ComplexCirculant, ComplexDiagonalCirculant)
        ),
    ],
)
def test_what_is_no_size_is_passed_by_name(make):
    with pytest.raises(TypeError, match="positional argument"):
        make()


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (lambda value: Toeplitz(value), "units", 5),
        (lambda value: BlockCirculant(4, value), "block_size", 2),
        (lambda value: LowRank(4, value), "rank", 2),
        (lambda value: HashedDense(4, buckets=value), "buckets", 3),
        (lambda value: ACDC(4, permute=True, seed=value), "seed", 7),
        (lambda value: DiagonalCirculantStack(value), "depth", 2),
    ],
)
def test_numpy_integers_are_sizes_and_seeds(make, name, value):
    for given in (np.int64(value), np.uint8(value)):
        found = make(given).get_config()[name]
        assert found == value and type(found) is int
    for wrong in (np.float64(value), np.bool_(True), True, str(value)):
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            make(wrong)
