"""Edges between tensors and pairs, and `PerPart`."""

import keras
import numpy as np
import pytest
from keras import ops as kops

from cvzoo.layers import ComplexDense, FromComplex, PerPart, ToComplex
from tests.helpers import arrays, as_complex, check_layer, gradients, random_pair

Z = random_pair(3, 5, 4)
LAYOUTS = {
    "trailing": np.stack(Z, axis=-1),
    "concatenated": np.concatenate(Z, axis=-1),
    "interleaved": np.stack(Z, axis=-1).reshape(3, 5, 8),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_to_complex_reads_each_layout(layout):
    for found, part in zip(ToComplex(layout)(LAYOUTS[layout]), Z, strict=True):
        np.testing.assert_array_equal(found, part)


def test_to_complex_splits_complex64():
    found = ToComplex()(as_complex(Z).astype(np.complex64))
    for part, expected in zip(found, Z, strict=True):
        assert keras.backend.standardize_dtype(part.dtype) == "float32"
        np.testing.assert_array_equal(part, expected)


def test_real_data_get_an_imaginary_part_of_zero():
    real, imag = ToComplex("real")(Z[0])
    np.testing.assert_array_equal(real, Z[0])
    np.testing.assert_array_equal(imag, 0 * Z[0])


@pytest.mark.parametrize("layout", ["real", "trailing", "concatenated", "interleaved"])
def test_to_complex_does_what_layers_do(layout, tmp_path):
    inputs = LAYOUTS.get(layout, Z[0])
    check_layer(lambda: ToComplex(layout), inputs, tmp_path)


@pytest.mark.parametrize(
    "layout", ["real", "modulus", "phase", "concatenated", "trailing"]
)
def test_from_complex_does_what_layers_do(layout, tmp_path):
    check_layer(lambda: FromComplex(layout), Z, tmp_path)


@pytest.mark.parametrize("layout", ["trailing", "concatenated"])
def test_from_complex_undoes_to_complex(layout):
    inputs = LAYOUTS[layout]
    np.testing.assert_array_equal(
        FromComplex(layout)(ToComplex(layout)(inputs)), inputs
    )


def test_from_complex_gives_numpys_parts():
    z = as_complex(Z)
    np.testing.assert_allclose(FromComplex("real")(Z), z.real, atol=1e-6)
    np.testing.assert_allclose(FromComplex("modulus")(Z), np.abs(z), atol=1e-6)
    np.testing.assert_allclose(FromComplex("phase")(Z), np.angle(z), atol=1e-6)


def test_the_imaginary_part_keeps_a_gradient_of_zero_in_training():
    def summed(real, imag):
        return kops.sum(FromComplex("real")((real, imag), training=True))

    _, found = gradients(summed, *Z)
    np.testing.assert_array_equal(found, 0 * Z[1])


def test_a_layout_is_never_guessed():
    with pytest.raises(ValueError, match="layout=None and received dtype float32"):
        ToComplex()(Z[0])
    with pytest.raises(ValueError, match="'trailing' and received dtype complex64"):
        ToComplex("trailing")(kops.zeros((2, 2), "complex64"))
    with pytest.raises(ValueError, match="`layout` must be"):
        ToComplex("polar")
    with pytest.raises(ValueError, match="`layout` must be"):
        FromComplex("polar")


@pytest.mark.parametrize(
    ("layout", "last", "needed"), [("trailing", 3, "2"), ("interleaved", 5, "even")]
)
def test_a_last_axis_of_the_wrong_size_is_refused(layout, last, needed):
    for shape in ((2, last), (2,)):
        with pytest.raises(ValueError, match=f"needs a last axis of size {needed}"):
            ToComplex(layout)(kops.zeros(shape))


def test_to_complex_refuses_a_pair():
    with pytest.raises(ValueError, match="opens one tensor"):
        ToComplex("real")(Z)


def test_a_mask_is_made_for_both_parts_and_closed_to_one():
    steps = np.ones((2, 3, 4), np.float32)
    steps[1, 2:] = -1
    inputs = keras.Input((3, 4))
    z = ToComplex("concatenated", mask_value=-1.0)(inputs)
    z = ComplexDense(5)(z)
    y = FromComplex("concatenated")(z)
    summed = keras.layers.GlobalAveragePooling1D()(y)
    model = keras.Model(inputs, [y, summed])
    every_step, averaged = model.predict(steps, verbose=0)
    np.testing.assert_allclose(averaged[1], every_step[1, :2].mean(0), atol=1e-6)


def test_per_part_is_the_split_form(tmp_path):
    real, imag = PerPart(keras.layers.ReLU())(Z)
    np.testing.assert_array_equal(real, np.maximum(Z[0], 0))
    np.testing.assert_array_equal(imag, np.maximum(Z[1], 0))
    check_layer(
        lambda: PerPart(keras.layers.ReLU(negative_slope=0.1)),
        Z,
        tmp_path,
    )


def test_per_part_maps_over_several_pairs():
    other = random_pair(3, 5, 2, seed=1)
    layer = PerPart(keras.layers.Concatenate())
    for found, left, right in zip(layer([Z, other]), Z, other, strict=True):
        np.testing.assert_array_equal(found, np.concatenate([left, right], axis=-1))
    shapes = layer.compute_output_shape([((3, 5, 4),) * 2, ((3, 5, 2),) * 2])
    assert shapes == ((3, 5, 6), (3, 5, 6))


@pytest.mark.parametrize("layer", [keras.layers.Dense(3), keras.layers.Dropout(0.5)])
def test_per_part_refuses_weights_and_random_state(layer):
    with pytest.raises(ValueError, match="without weights or random state"):
        PerPart(layer)(Z)


def test_per_part_refuses_one_tensor_and_what_is_no_layer():
    with pytest.raises(ValueError, match="works on a pair"):
        PerPart(keras.layers.ReLU())(kops.zeros((2, 3)))
    with pytest.raises(ValueError, match="must be a Keras layer"):
        PerPart("relu")


def test_a_model_with_complex64_input_runs_through_fit(tmp_path):
    inputs = keras.Input((4,), dtype="complex64")
    z = ComplexDense(3)(ToComplex()(inputs))
    model = keras.Model(inputs, FromComplex("trailing")(z))
    signal = as_complex(random_pair(8, 4)).astype(np.complex64)
    target = np.stack(random_pair(8, 3, seed=1), axis=-1)
    model.compile("adam", "mse")
    model.fit(signal, target, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    (left,), (right,) = arrays([model(signal)]), arrays([loaded(signal)])
    np.testing.assert_allclose(left, right, atol=1e-6)
