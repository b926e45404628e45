"""Complex dropout: its distribution, its shapes, and one draw for both parts."""

import keras
import numpy as np
import pytest
from keras import ops as kops

from cvzoo.layers.dropout import ComplexDropout
from tests.helpers import as_complex, check_layer, gradients, random_pair

Z = random_pair(2, 4, 3)
ONES = tuple(np.full((200, 500), value, np.float32) for value in (1, 2))


def dropped(rate=0.3, z=ONES, **arguments):
    return as_complex(ComplexDropout(rate, seed=0, **arguments)(z, training=True))


def test_dropout_does_what_layers_do(tmp_path):
    check_layer(lambda: ComplexDropout(0.5, noise_shape=(None, 1, 3)), Z, tmp_path)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_a_fraction_is_dropped_and_the_rest_divided(rate):
    found = dropped(rate)
    kept = found != 0
    # 100 000 draws: five standard errors.
    np.testing.assert_allclose(1 - kept.mean(), rate, atol=0.5 * 5 / 316)
    np.testing.assert_allclose(found[kept], (1 + 2j) / (1 - rate), rtol=1e-6)


def test_the_mean_stays():
    np.testing.assert_allclose(dropped(0.3).mean(), 1 + 2j, rtol=0.02)


def test_both_parts_are_dropped_together():
    found = dropped()
    np.testing.assert_array_equal(found.real == 0, found.imag == 0)


def test_draws_of_neighbours_are_independent():
    kept = (dropped(0.5) != 0).astype(float)
    for left, right in ((kept[1:], kept[:-1]), (kept[:, 1:], kept[:, :-1])):
        correlation = np.corrcoef(left.ravel(), right.ravel())[0, 1]
        assert abs(correlation) < 5 / 316


def test_each_call_draws_anew():
    layer = ComplexDropout(0.5, seed=0)
    first, second = (as_complex(layer(ONES, training=True)) for _ in range(2))
    agreement = np.mean((first == 0) == (second == 0))
    np.testing.assert_allclose(agreement, 0.5, atol=0.01)


def test_a_seed_repeats_the_draws():
    np.testing.assert_array_equal(dropped(), dropped())


@pytest.mark.parametrize("noise_shape", [(None, 1, None), [2, 1, 3]])
def test_whole_channels_are_dropped_along_axes_of_size_1(noise_shape):
    found = dropped(0.5, Z, noise_shape=noise_shape) != 0
    np.testing.assert_array_equal(found, np.repeat(found[:, :1], 4, axis=1))
    assert 0 < found.mean() < 1


@pytest.mark.parametrize(("rate", "training"), [(0.5, False), (0.0, True)])
def test_inference_and_a_rate_of_0_are_the_identity(rate, training):
    found = as_complex(ComplexDropout(rate)(Z, training=training))
    np.testing.assert_array_equal(found, as_complex(Z))


def test_the_gradient_passes_what_was_kept():
    layer = ComplexDropout(0.5, seed=0)
    kept = dropped(0.5, Z) != 0
    for gradient in gradients(
        lambda real, imag: kops.sum(sum(layer((real, imag), training=True))), *Z
    ):
        np.testing.assert_array_equal(gradient, 2.0 * kept)


def test_half_precision_keeps_the_rate():
    layer = ComplexDropout(0.3, seed=0, dtype="mixed_bfloat16")
    real, imag = layer(ONES, training=True)
    assert keras.backend.standardize_dtype(real.dtype) == "bfloat16"
    kept = np.asarray(kops.cast(imag, "float32")) != 0
    np.testing.assert_allclose(kept.mean(), 0.7, atol=0.5 * 5 / 316)


def test_an_empty_batch_stays_empty():
    real, _ = ComplexDropout(0.5)(random_pair(0, 3), training=True)
    assert real.shape == (0, 3)


def test_a_model_drops_in_training_only():
    inputs = (keras.Input((500,)), keras.Input((500,)))
    model = keras.Model(inputs, ComplexDropout(0.5)(inputs))
    assert (as_complex(model(ONES)) != 0).all()
    assert (as_complex(model(ONES, training=True)) == 0).any()


def test_wrong_input_is_refused():
    layer = ComplexDropout(0.5)
    complex64 = kops.convert_to_tensor(as_complex(Z).astype(np.complex64))
    for wrong in (Z[0], (*Z, *Z), complex64, (Z[0], Z[1][:1])):
        with pytest.raises(ValueError, match="works on a pair"):
            layer(wrong)


@pytest.mark.parametrize("rate", [1, -0.1, 1.5, None])
def test_a_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ValueError, match="`rate` must be a number of at least 0"):
        ComplexDropout(rate)


@pytest.mark.parametrize("noise_shape", [3, "23", (0, 1), (1.5,)])
def test_a_noise_shape_that_is_none_is_refused(noise_shape):
    with pytest.raises(ValueError, match="`noise_shape` must be a tuple of positive"):
        ComplexDropout(0.5, noise_shape=noise_shape)


@pytest.mark.parametrize("noise_shape", [(None, 1), (2, 3, 3)])
def test_a_noise_shape_that_does_not_fit_is_refused(noise_shape):
    with pytest.raises(ValueError, match="needs a `noise_shape` with one entry"):
        ComplexDropout(0.5, noise_shape=noise_shape)(Z)
