"""Merging layers against numpy's complex numbers."""

import keras
import numpy as np
import pytest
from keras import ops as kops

from cvzoo.layers.merging import ComplexAdd, ComplexConcatenate, ComplexMultiply
from tests.helpers import arrays, as_complex, check_layer, random_pair

PAIRS = [random_pair(3, 4, 2, seed=seed) for seed in range(3)]
A, B, C = (as_complex(pair) for pair in PAIRS)

LAYERS = {
    "add": (ComplexAdd, PAIRS),
    "concatenate": (lambda: ComplexConcatenate(axis=1), PAIRS[:2]),
    "multiply": (ComplexMultiply, PAIRS),
    "conjugate": (lambda: ComplexMultiply(conjugate=True), PAIRS[:2]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_merging_layers_do_what_layers_do(name, tmp_path):
    make, pairs = LAYERS[name]
    check_layer(make, pairs, tmp_path)


def test_the_sum_is_numpys():
    np.testing.assert_allclose(as_complex(ComplexAdd()(PAIRS)), A + B + C, atol=1e-6)


def test_the_product_is_numpys():
    found = as_complex(ComplexMultiply()(PAIRS))
    np.testing.assert_allclose(found, A * B * C, atol=1e-5)


def test_the_first_is_multiplied_by_the_conjugate_of_the_second():
    found = as_complex(ComplexMultiply(conjugate=True)(PAIRS[:2]))
    np.testing.assert_allclose(found, A * B.conj(), atol=1e-6)


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_concatenation_is_numpys(axis):
    found = as_complex(ComplexConcatenate(axis)(PAIRS))
    np.testing.assert_array_equal(found, np.concatenate([A, B, C], axis))


@pytest.mark.parametrize("shape", [(3, 1, 2), (1, 4, 1)])
def test_shapes_are_broadcast(shape):
    other = random_pair(*shape, seed=5)
    pairs = [PAIRS[0], other]
    if shape[0] == 3:  # Keras joins batches of one size only.
        np.testing.assert_allclose(
            as_complex(ComplexAdd()(pairs)), A + as_complex(other), atol=1e-6
        )
        np.testing.assert_allclose(
            as_complex(ComplexMultiply()(pairs)), A * as_complex(other), atol=1e-5
        )
    else:
        for make in (ComplexAdd, ComplexMultiply):
            with pytest.raises(ValueError, match="different batch sizes"):
                make()(pairs)


@pytest.mark.parametrize(
    ("make", "join"), [(ComplexAdd, np.add), (ComplexMultiply, np.multiply)]
)
def test_missing_axes_are_put_after_the_batch(make, join):
    gate = random_pair(3, 2, seed=5)
    layer = make()
    expected = join(A, as_complex(gate)[:, None, :])
    np.testing.assert_allclose(as_complex(layer([PAIRS[0], gate])), expected, atol=1e-5)
    shapes = layer.compute_output_shape([((3, 4, 2),) * 2, ((3, 2),) * 2])
    assert shapes == ((3, 4, 2),) * 2


@pytest.mark.parametrize("name", LAYERS)
def test_pairs_may_come_as_lists(name):
    make, pairs = LAYERS[name]
    for found, expected in zip(
        arrays(make()([list(pair) for pair in pairs])),
        arrays(make()(tuple(pairs))),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", LAYERS)
def test_one_pair_is_no_list_of_pairs(name):
    layer = LAYERS[name][0]()
    for wrong in (PAIRS[0], list(PAIRS[0]), PAIRS[0][0], (*PAIRS[0], *PAIRS[1]), []):
        with pytest.raises(ValueError, match=f"{layer.name}' takes a list of pairs"):
            layer(wrong)


@pytest.mark.parametrize("name", LAYERS)
def test_each_pair_is_checked(name):
    layer = LAYERS[name][0]()
    real, imag = PAIRS[1]
    complex64 = kops.convert_to_tensor(B.astype(np.complex64))
    for wrong in ((real, imag[:1]), (real, imag.astype(np.float16)), (complex64,) * 2):
        with pytest.raises(ValueError, match=r"\(input 1\) works on a pair"):
            layer([PAIRS[0], wrong])


def test_empty_batches_and_zero_imaginary_parts_are_merged():
    for make, pairs in LAYERS.values():
        empty = [tuple(part[:0] for part in pair) for pair in pairs]
        assert make()(empty)[0].shape[0] == 0
        real_only = [(real, 0 * imag) for real, imag in pairs]
        np.testing.assert_array_equal(np.asarray(make()(real_only)[1]), 0)


def test_products_need_two_pairs_and_conjugate_ones_exactly_two():
    with pytest.raises(ValueError, match="at least 2 of them"):
        ComplexMultiply()(PAIRS[:1])
    with pytest.raises(ValueError, match="exactly two pairs. Received 3"):
        ComplexMultiply(conjugate=True)(PAIRS)


def test_shapes_that_do_not_fit_are_refused():
    other = random_pair(3, 5, 2)
    for make in (ComplexAdd, ComplexMultiply):
        with pytest.raises(ValueError, match="incompatible shapes"):
            make()([PAIRS[0], other])
    with pytest.raises(ValueError, match="matching shapes"):
        ComplexConcatenate()([PAIRS[0], other])


@pytest.mark.parametrize("make", [ComplexAdd, ComplexMultiply])
def test_masks_are_joined_by_or(make):
    first = np.array([[True, False, False, True]] * 3)
    second = np.array([[True, True, False, False]] * 3)
    layer = make()
    pairs = [PAIRS[0], PAIRS[1]]
    masks = layer.compute_mask(pairs, [(first, first), (second, second)])
    for mask in arrays(masks):
        np.testing.assert_array_equal(mask, first | second)
    assert layer.compute_mask(pairs, [(first, first), (None, None)]) is None


def test_masks_are_joined_side_by_side_along_the_steps():
    first = np.array([[True, False, False, True]] * 3)
    pairs = [tuple(map(kops.convert_to_tensor, pair)) for pair in PAIRS[:2]]
    masks = ComplexConcatenate(axis=1).compute_mask(
        pairs, [(kops.convert_to_tensor(first),) * 2, (None, None)]
    )
    for mask in arrays(masks):
        np.testing.assert_array_equal(mask, np.hstack([first, np.ones((3, 4), bool)]))


def test_a_mask_passes_through_a_model():
    inputs = keras.Input((4, 2))
    masked = keras.layers.Masking()(inputs)
    outputs = ComplexAdd()([(masked, masked), (masked, masked)])
    assert [part._keras_mask is not None for part in outputs] == [True, True]
