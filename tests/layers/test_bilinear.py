"""The bilinear form and phase shifts against numpy's complex numbers."""

import numpy as np
import pytest

from cvzoo.layers import Bilinear, ComplexBilinear, PhaseShift, VariationalDropout
from tests.helpers import as_complex, check_layer, random_pair

X, Z = random_pair(3, 4), random_pair(3, 5, seed=1)


@pytest.mark.parametrize("conjugate", [True, False])
def test_the_layer_is_numpys_sum(conjugate):
    layer = ComplexBilinear(2, conjugate=conjugate)
    found = as_complex(layer([X, Z]))
    left = as_complex(X).conj() if conjugate else as_complex(X)
    kernel = as_complex((layer.kernel_real, layer.kernel_imag))
    bias = as_complex((layer.bias_real, layer.bias_imag))
    expected = np.einsum("bi,ijk,bj->bk", left, kernel, as_complex(Z)) + bias
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_common_phase_makes_no_difference_to_the_conjugate_form():
    layer = ComplexBilinear(2, conjugate=True)
    turned = [as_complex(pair) * np.exp(0.7j) for pair in (X, Z)]
    turned = [(z.real.astype("float32"), z.imag.astype("float32")) for z in turned]
    np.testing.assert_allclose(
        as_complex(layer(turned)), as_complex(layer([X, Z])), atol=1e-5
    )


@pytest.mark.parametrize("sparsifier", [None, VariationalDropout(0.5, n_train=10)])
def test_the_bilinear_layer_does_what_layers_do(sparsifier, tmp_path):
    check_layer(lambda: ComplexBilinear(2, sparsifier=sparsifier), [X, Z], tmp_path)


@pytest.mark.parametrize("sparsifier", [None, VariationalDropout(0.5, n_train=10)])
def test_the_real_form_does_what_layers_do(sparsifier, tmp_path):
    inputs = [X[0], Z[0]]
    check_layer(lambda: Bilinear(2, sparsifier=sparsifier), inputs, tmp_path)


def test_the_real_form_is_numpys_sum():
    layer = Bilinear(2, bias_initializer="normal")
    found = layer([X[0], Z[0]])
    expected = np.einsum("bi,ijk,bj->bk", X[0], np.asarray(layer.kernel), Z[0])
    np.testing.assert_allclose(found, expected + np.asarray(layer.bias), atol=1e-5)
    assert 0.8 < np.abs(np.asarray(layer.kernel)).max() * 20**0.5 <= 1
    with pytest.raises(ValueError, match="was built for inputs of shapes"):
        layer([Z[0], X[0]])
    with pytest.raises(ValueError, match="a list of two tensors"):
        Bilinear(2)(X[0])


def test_noisy_outputs_of_the_bilinear_form_have_the_closed_forms_variance():
    layer = ComplexBilinear(2, sparsifier=VariationalDropout(0.5, n_train=10))
    one = [tuple(part[:1] for part in pair) for pair in (X, Z)]
    layer(one)
    log_sigma2 = np.random.default_rng(0).uniform(-3, 0, (4, 5, 2))
    layer.log_sigma2.assign(log_sigma2)
    draws = 20_000
    many = [tuple(np.repeat(part, draws, 0) for part in pair) for pair in one]
    noise = as_complex(layer(many, training=True)) - as_complex(layer(one))
    left, right = (np.abs(as_complex(pair))[0] ** 2 for pair in one)
    expected = np.einsum("i,ijk,j->k", left, np.exp(log_sigma2), right)
    np.testing.assert_allclose((np.abs(noise) ** 2).mean(0), expected, rtol=0.05)
    # Circular: the relation E ζ² is 0.
    assert np.abs((noise**2).mean(0) / expected).max() < 0.05


def test_default_weights_have_the_fan_of_both_inputs():
    layer = ComplexBilinear(300)
    layer.build([((None, 4), (None, 4)), ((None, 5), (None, 5))])
    variance = np.var(np.asarray(layer.kernel_imag))
    np.testing.assert_allclose(variance, 1 / (6 * 20), rtol=0.05)
    assert 0.9 * 20**-0.5 < np.abs(np.asarray(layer.bias_real)).max() <= 20**-0.5


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (X[0], "works on a list of two pairs"),
        ([X], "works on a list of two pairs"),
        (X, "works on a pair"),
        ([X, Z[0]], "works on a pair"),
        ([X, X + Z], "Received 4"),
    ],
)
def test_what_is_not_two_pairs_is_refused(inputs, message):
    with pytest.raises(ValueError, match=message):
        ComplexBilinear(2)(inputs)


def test_other_sizes_than_the_layers_are_refused():
    layer = ComplexBilinear(2)
    layer([X, Z])
    with pytest.raises(ValueError, match="was built for parts of shapes"):
        layer([Z, X])
    with pytest.raises(ValueError, match="equal but for the last axis"):
        layer([random_pair(3, 1, 4), random_pair(3, 2, 5)])
    shift = PhaseShift()
    shift(X)
    with pytest.raises(ValueError, match="was built for 4 channels"):
        shift(random_pair(3, 1))


def test_a_phase_shift_turns_each_channel_by_its_angle():
    layer = PhaseShift(phase_initializer="zeros")
    layer.build((X[0].shape, X[1].shape))
    angles = np.array([0, np.pi / 2, np.pi, -0.3], np.float32)
    layer.phase.assign(angles)
    expected = as_complex(X) * np.exp(1j * angles)
    np.testing.assert_allclose(as_complex(layer(X)), expected, atol=1e-6)


def test_phases_start_near_zero_as_in_cplxmodule():
    layer = PhaseShift()
    layer.build(((None, 20_000), (None, 20_000)))
    np.testing.assert_allclose(np.std(np.asarray(layer.phase)), 0.02, rtol=0.05)


def test_the_phase_shift_does_what_layers_do(tmp_path):
    check_layer(PhaseShift, X, tmp_path)
