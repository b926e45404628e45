"""Activations against their definitions in numpy's complex numbers."""

import keras
import numpy as np
import pytest
from keras import ops as kops

from cvzoo.layers.activations import (
    AdaptiveModReLU,
    Cardioid,
    ComplexTanh,
    ModReLU,
    SplitActivation,
    ThresholdModReLU,
    ZReLU,
)
from tests.helpers import as_complex, check_layer, gradients, random_pair, tensors

Z = random_pair(4, 5, 3)
W = as_complex(Z)
Constant = keras.initializers.Constant
CHANNELS = np.array([-0.7, 0.0, 0.4])

LAYERS = {
    "split": lambda: SplitActivation("leaky_relu"),
    "z": ZReLU,
    "mod": lambda: ModReLU(Constant(-0.3)),
    "mod, second axis": lambda: ModReLU(Constant(0.2), axis=1),
    "threshold": ThresholdModReLU,
    "learned threshold": lambda: ThresholdModReLU(None),
    "adaptive": AdaptiveModReLU,
    "cardioid": Cardioid,
    "tanh": ComplexTanh,
}


def channels(values):
    """Initializer of one number for each channel."""
    return lambda shape, dtype: kops.convert_to_tensor(values, dtype)


@pytest.mark.parametrize("name", LAYERS)
def test_activations_do_what_layers_do(name, tmp_path):
    check_layer(LAYERS[name], Z, tmp_path)


@pytest.mark.parametrize("name", LAYERS)
def test_activations_take_empty_batches_and_zero_imaginary_parts(name):
    layer = LAYERS[name]()
    real, _ = layer(tensors(random_pair(0, 5, 3)))
    assert real.shape == (0, 5, 3)
    assert np.isfinite(as_complex(layer((Z[0], 0 * Z[1])))).all()


@pytest.mark.parametrize("name", LAYERS)
def test_activations_refuse_what_is_no_pair(name):
    layer = LAYERS[name]()
    complex64 = kops.convert_to_tensor(W.astype(np.complex64))
    for wrong in (Z[0], (*Z, *Z), complex64, (Z[0], Z[1][:2]), (complex64, complex64)):
        with pytest.raises(ValueError, match="works on a pair"):
            layer(wrong)


def test_split_activation_acts_on_each_part_and_keeps_its_name():
    layer = SplitActivation("relu")
    found = as_complex(layer(Z))
    np.testing.assert_array_equal(found, np.maximum(Z[0], 0) + 1j * np.maximum(Z[1], 0))
    assert layer.get_config()["activation"] == "relu"


def test_z_relu_keeps_the_first_quadrant():
    inside = (np.angle(W) >= 0) & (np.angle(W) <= np.pi / 2)
    np.testing.assert_array_equal(as_complex(ZReLU()(Z)), np.where(inside, W, 0))


def test_z_relu_keeps_its_edges():
    edges = (np.array([2.0, 0.0], np.float32), np.array([0.0, 3.0], np.float32))
    np.testing.assert_array_equal(as_complex(ZReLU()(edges)), [2, 3j])


def test_mod_relu_is_the_papers():
    expected = np.maximum(np.abs(W) + CHANNELS, 0) * W / np.abs(W)
    found = as_complex(ModReLU(channels(CHANNELS))(Z))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_mod_relu_has_its_channels_on_the_axis_it_is_told():
    z = tuple(np.moveaxis(part, -1, 1) for part in Z)
    expected = np.moveaxis(as_complex(ModReLU(channels(CHANNELS))(Z)), -1, 1)
    found = as_complex(ModReLU(channels(CHANNELS), axis=1)(z))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_mod_relu_with_a_bias_of_zero_is_the_identity_for_tiny_numbers_too():
    sizes = np.array([0, 2e-38, 1e-30, 1e-20, 1e-7, 1, 1e25], np.float32)
    z = (sizes[:, None], -2 * sizes[:, None])
    for found, part in zip(ModReLU()(z), z, strict=True):
        np.testing.assert_array_equal(np.asarray(found), part)


def test_mod_relu_with_a_positive_bias_keeps_the_phase_of_tiny_numbers():
    z = (np.float32([[3e-30], [0]]), np.float32([[4e-30], [0]]))
    found = as_complex(ModReLU(Constant(0.5))(z))
    np.testing.assert_allclose(found, [[0.3 + 0.4j], [0]], atol=1e-7)


@pytest.mark.parametrize("bias", [-0.5, 0.0, 0.5])
def test_mod_relu_has_a_finite_gradient_at_0(bias):
    layer = ModReLU(Constant(bias))
    zeros = np.zeros((2, 3), np.float32)
    layer.build((zeros.shape,) * 2)
    for gradient in gradients(
        lambda real, imag: kops.sum(sum(layer((real, imag)))), zeros, zeros
    ):
        assert np.isfinite(gradient).all()


def cplxmodule(z, threshold):
    return z * np.maximum(0, 1 - threshold / np.maximum(np.abs(z), 1e-5))


def test_threshold_mod_relu_is_cplxmodules():
    found = as_complex(ThresholdModReLU()(Z))
    np.testing.assert_allclose(found, cplxmodule(W, 0.5), atol=1e-6)
    found = as_complex(ThresholdModReLU(None, Constant(0.3))(Z))
    np.testing.assert_allclose(found, cplxmodule(W, 0.3), atol=1e-6)


def test_a_learned_threshold_starts_uniform_on_0_to_a_quarter():
    starts = []
    for _ in range(50):
        layer = ThresholdModReLU(None)
        layer.build(((2, 3),) * 2)
        starts.append(float(layer.learned_threshold))
    assert min(starts) >= 0 and max(starts) < 0.25
    np.testing.assert_allclose(np.mean(starts), 0.125, atol=0.04)


def test_a_fixed_threshold_is_no_weight():
    layer = ThresholdModReLU(0.2)
    layer(Z)
    assert not layer.weights


def test_adaptive_mod_relu_has_a_threshold_for_each_channel():
    found = as_complex(AdaptiveModReLU(channels(CHANNELS))(Z))
    np.testing.assert_allclose(found, cplxmodule(W, CHANNELS), atol=1e-6)


def test_adaptive_thresholds_start_normal():
    layer = AdaptiveModReLU()
    layer.build(((2, 20_000),) * 2)
    threshold = np.asarray(layer.threshold)
    np.testing.assert_allclose(threshold.mean(), 0, atol=1e-3)
    np.testing.assert_allclose(threshold.std(), 0.02, rtol=0.03)


def test_cardioid_is_the_papers():
    expected = (1 + np.cos(np.angle(W))) / 2 * W
    np.testing.assert_allclose(as_complex(Cardioid()(Z)), expected, atol=1e-6)


def test_cardioid_is_the_relu_on_real_numbers():
    real, imag = Cardioid()((Z[0], 0 * Z[0]))
    np.testing.assert_allclose(np.asarray(real), np.maximum(Z[0], 0), atol=1e-6)
    np.testing.assert_array_equal(np.asarray(imag), 0 * Z[0])


def test_tanh_is_the_analytic_one():
    np.testing.assert_allclose(
        as_complex(ComplexTanh()(Z)), np.tanh(W), rtol=1e-4, atol=1e-5
    )


def test_a_mask_passes():
    inputs = keras.Input((5, 3))
    masked = keras.layers.Masking()(inputs)
    real, imag = ModReLU()((masked, masked))
    assert real._keras_mask is not None and imag._keras_mask is not None


@pytest.mark.parametrize("make", [ModReLU, AdaptiveModReLU])
def test_another_number_of_channels_is_refused(make):
    layer = make()
    layer(random_pair(2, 1))
    with pytest.raises(ValueError, match="built for 1 channels"):
        layer(random_pair(2, 3))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="0 is the batch"):
        ModReLU(axis=0)
    with pytest.raises(ValueError, match="known number of channels on axis 2"):
        ModReLU(axis=2)(random_pair(2, 3))
    with pytest.raises(ValueError, match="`threshold` must be a number"):
        ThresholdModReLU("half")
