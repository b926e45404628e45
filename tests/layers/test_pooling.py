"""Pooling layers against numpy's complex numbers and Keras' real layers."""

import keras
import numpy as np
import pytest
from keras import ops as kops

from cvzoo.layers import other_pooling, pooling
from cvzoo.layers.other_pooling import (
    ComplexGlobalAveragePooling1D,
    ComplexGlobalAveragePooling2D,
    ComplexGlobalAveragePooling3D,
    ComplexGlobalMaxPooling1D,
    ComplexGlobalMaxPooling2D,
    ComplexGlobalMaxPooling3D,
    SpectralPooling1D,
    SpectralPooling2D,
)
from cvzoo.layers.pooling import (
    ComplexAveragePooling1D,
    ComplexAveragePooling2D,
    ComplexAveragePooling3D,
    ComplexMaxPooling1D,
    ComplexMaxPooling2D,
    ComplexMaxPooling3D,
)
from tests.helpers import arrays, as_complex, check_layer, random_pair
from tests.ops.test_pooling import low_frequencies, pool_by_loops

Z1, Z2, Z3 = (random_pair(2, *space, 3) for space in ((7,), (5, 6), (3, 4, 5)))

LAYERS = {
    "average 1d": (ComplexAveragePooling1D, Z1),
    "average 2d": (lambda **k: ComplexAveragePooling2D((3, 2), 2, "same", **k), Z2),
    "average 3d": (lambda **k: ComplexAveragePooling3D(3, 1, **k), Z3),
    "max 1d": (lambda **k: ComplexMaxPooling1D(3, padding="same", **k), Z1),
    "max 2d": (lambda **k: ComplexMaxPooling2D(strides=(1, 2), **k), Z2),
    "max 3d": (ComplexMaxPooling3D, Z3),
    "modulus 1d": (lambda **k: ComplexMaxPooling1D(3, 1, by="modulus", **k), Z1),
    "modulus 2d": (
        lambda **k: ComplexMaxPooling2D(3, 2, "same", by="modulus", **k),
        Z2,
    ),
    "modulus 3d": (lambda **k: ComplexMaxPooling3D(by="modulus", **k), Z3),
    "global average 1d": (ComplexGlobalAveragePooling1D, Z1),
    "global average 2d": (lambda **k: ComplexGlobalAveragePooling2D(True, **k), Z2),
    "global average 3d": (ComplexGlobalAveragePooling3D, Z3),
    "global max 1d": (ComplexGlobalMaxPooling1D, Z1),
    "global max 2d": (lambda **k: ComplexGlobalMaxPooling2D(True, "modulus", **k), Z2),
    "global max 3d": (lambda **k: ComplexGlobalMaxPooling3D(by="modulus", **k), Z3),
    "spectral 1d": (lambda **k: SpectralPooling1D(4, **k), Z1),
    "spectral 2d": (lambda **k: SpectralPooling2D((3, 4), **k), Z2),
}
STOCK = {
    "average 1d": keras.layers.AveragePooling1D(2),
    "average 2d": keras.layers.AveragePooling2D((3, 2), 2, "same"),
    "average 3d": keras.layers.AveragePooling3D(3, 1),
    "max 1d": keras.layers.MaxPooling1D(3, padding="same"),
    "max 2d": keras.layers.MaxPooling2D(strides=(1, 2)),
    "max 3d": keras.layers.MaxPooling3D(),
}


@pytest.mark.parametrize("name", sorted(set(LAYERS) - {"modulus 1d", "max 2d"}))
def test_pooling_layers_do_what_layers_do(name, tmp_path):
    make, z = LAYERS[name]
    check_layer(make, z, tmp_path)


def test_every_layer_is_in_the_table():
    classes = {type(make()).__name__ for make, _ in LAYERS.values()}
    for module in (pooling, other_pooling):
        found = {name for name in vars(module) if name[-2:] in ("1D", "2D", "3D")}
        assert found <= classes


@pytest.mark.parametrize("name", STOCK)
def test_windows_by_parts_are_keras_layers_on_each_part(name):
    make, z = LAYERS[name]
    for found, part in zip(arrays(make()(z)), z, strict=True):
        np.testing.assert_allclose(found, np.asarray(STOCK[name](part)), atol=1e-6)


def test_average_pooling_is_numpys_mean():
    found = as_complex(ComplexAveragePooling2D((5, 3))(Z2))
    expected = as_complex(Z2).reshape(2, 5, 2, 3, 3).mean(axis=(1, 3))[:, None]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_zeros_of_same_padding_do_not_count_in_an_average():
    ones = (np.ones((1, 3, 1), np.float32),) * 2
    found = as_complex(ComplexAveragePooling1D(padding="same")(ones))
    np.testing.assert_array_equal(found, np.full((1, 2, 1), 1 + 1j))


@pytest.mark.parametrize(
    ("name", "window", "strides", "padding"),
    [
        ("modulus 1d", (3,), (1,), "valid"),
        ("modulus 2d", (3, 3), (2, 2), "same"),
        ("modulus 3d", (2, 2, 2), (2, 2, 2), "valid"),
    ],
)
def test_pooling_by_modulus_is_the_loop(name, window, strides, padding):
    make, z = LAYERS[name]
    expected, _ = pool_by_loops(as_complex(z), window, strides, padding)
    np.testing.assert_array_equal(as_complex(make()(z)), expected)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(
    ("make", "z"),
    [
        (ComplexGlobalAveragePooling1D, Z1),
        (ComplexGlobalAveragePooling2D, Z2),
        (ComplexGlobalAveragePooling3D, Z3),
    ],
)
def test_global_average_is_numpys_mean(make, z, keepdims):
    axes = tuple(range(1, z[0].ndim - 1))
    expected = as_complex(z).mean(axis=axes, keepdims=keepdims)
    np.testing.assert_allclose(as_complex(make(keepdims)(z)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "z"),
    [
        (ComplexGlobalMaxPooling1D, Z1),
        (ComplexGlobalMaxPooling2D, Z2),
        (ComplexGlobalMaxPooling3D, Z3),
    ],
)
def test_global_maximum_is_numpys(make, z):
    axes = tuple(range(1, z[0].ndim - 1))
    by_parts = z[0].max(axes) + 1j * z[1].max(axes)
    np.testing.assert_array_equal(as_complex(make()(z)), by_parts)
    flat = as_complex(z).reshape(2, -1, 3)
    places = np.abs(flat).argmax(axis=1)[:, None]
    by_modulus = np.take_along_axis(flat, places, axis=1)[:, 0]
    np.testing.assert_array_equal(as_complex(make(by="modulus")(z)), by_modulus)


@pytest.mark.parametrize("name", ["spectral 1d", "spectral 2d"])
def test_spectral_pooling_is_numpys(name):
    make, z = LAYERS[name]
    sizes, axes = ((4,), (1,)) if name == "spectral 1d" else ((3, 4), (1, 2))
    expected = low_frequencies(as_complex(z), sizes, axes)
    np.testing.assert_allclose(as_complex(make()(z)), expected, atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_channels_first_gives_the_same(name):
    make, z = LAYERS[name]
    layer = make(data_format="channels_first")
    first = tuple(np.moveaxis(part, -1, 1) for part in z)
    for found, part in zip(arrays(layer(first)), arrays(make()(z)), strict=True):
        np.testing.assert_allclose(found, np.moveaxis(part, -1, 1), atol=1e-6)
    shape = layer.compute_output_shape([part.shape for part in first])[0]
    assert shape == arrays(layer(first))[0].shape


@pytest.mark.parametrize("name", LAYERS)
def test_empty_batches_are_pooled(name):
    make, z = LAYERS[name]
    layer = make()
    empty = tuple(part[:0] for part in z)
    assert layer(empty)[0].shape == layer.compute_output_shape((empty[0].shape,) * 2)[0]


@pytest.mark.parametrize("name", sorted(set(LAYERS) - {"spectral 1d", "spectral 2d"}))
def test_sizes_may_be_unknown(name):
    make, z = LAYERS[name]
    inputs = tuple(keras.Input((*[None] * (z[0].ndim - 2), 3)) for _ in z)
    model = keras.Model(inputs, make()(inputs))
    for found, part in zip(model.predict_on_batch(z), arrays(make()(z)), strict=True):
        np.testing.assert_allclose(found, part, atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_an_imaginary_part_of_zero_stays_zero_but_by_frequency(name):
    make, (real, imag) = LAYERS[name]
    found = as_complex(make()((real, 0 * imag)))
    assert np.isfinite(found).all()
    if "spectral" not in name:
        np.testing.assert_array_equal(found.imag, 0)


@pytest.mark.parametrize("name", LAYERS)
def test_pooling_refuses_what_is_no_pair(name):
    make, z = LAYERS[name]
    layer = make()
    complex64 = kops.convert_to_tensor(as_complex(z).astype(np.complex64))
    for wrong in (z[0], (*z, *z), complex64, (z[0], z[1][:1])):
        with pytest.raises(ValueError, match="works on a pair"):
            layer(wrong)
    with pytest.raises(ValueError, match=f"needs parts of {layer.rank + 2} axes"):
        layer(random_pair(2, 3))


STEPS = np.array([[1, 1, 0, 1, 0, 0, 1], [0, 1, 1, 1, 1, 0, 0]], bool)


@pytest.mark.parametrize("mask", [STEPS, (STEPS, STEPS)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_a_masked_global_average_is_that_of_keras(mask, keepdims):
    found = arrays(ComplexGlobalAveragePooling1D(keepdims)(Z1, mask=mask))
    stock = keras.layers.GlobalAveragePooling1D(keepdims=keepdims)
    for one, part in zip(found, Z1, strict=True):
        expected = np.asarray(stock(part, mask=kops.convert_to_tensor(STEPS)))
        np.testing.assert_allclose(one, expected, atol=1e-6)


def test_a_masked_global_average_leaves_masked_steps_out():
    found = as_complex(ComplexGlobalAveragePooling1D()(Z1, mask=STEPS))
    for one, z, steps in zip(found, as_complex(Z1), STEPS, strict=True):
        np.testing.assert_allclose(one, z[steps].mean(axis=0), atol=1e-6)


def test_a_mask_reaches_the_global_average_in_a_model():
    inputs = keras.Input((4, 1))
    masked = keras.layers.Masking()(inputs)
    model = keras.Model(inputs, ComplexGlobalAveragePooling1D()((masked, masked)))
    steps = np.float32([[1, 0, 3, 0], [0, 0, 0, 0]])[..., None]
    for part in model.predict_on_batch(steps):
        np.testing.assert_array_equal(part, [[2], [0]])


def test_a_mask_ends_at_other_pooling_with_a_warning():
    inputs = keras.Input((4, 1))
    masked = keras.layers.Masking()(inputs)
    with pytest.warns(UserWarning, match="does not support masking"):
        real, _ = ComplexMaxPooling1D()((masked, masked))
    assert getattr(real, "_keras_mask", None) is None


@pytest.mark.parametrize("make", [ComplexAveragePooling2D, ComplexMaxPooling2D])
def test_a_window_that_does_not_fit_is_refused(make):
    with pytest.raises(ValueError, match="does not fit"):
        make(8)(Z2)


def test_spectral_pooling_refuses_sizes_it_does_not_have():
    with pytest.raises(ValueError, match=r"at least output_size=\(8,\)"):
        SpectralPooling1D(8)(Z1)
    with pytest.raises(ValueError, match="spatial axes of known sizes"):
        SpectralPooling1D(2)((keras.Input((None, 3)),) * 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pool_size": 0}, "`pool_size` must be an integer of at least 1"),
        ({"pool_size": (2, 2, 2)}, "`pool_size` must be"),
        ({"strides": 0}, "`strides` must be"),
        ({"padding": "causal"}, "`padding` must be 'valid' or 'same'"),
        ({"by": "phase"}, "`by` must be one of"),
        ({"data_format": "channels"}, "`data_format` must be"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ComplexMaxPooling2D(**arguments)
