"""Activations and elementary functions of pairs against numpy's complex numbers."""

import numpy as np
import pytest
from keras import ops as kops

from cvzoo.ops import activations
from tests.helpers import as_complex, gradients, random_pair

FUNCTIONS = ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh")
# Tiny, huge (past the square root of float32's range), on the axes, on the cut of log.
HARD = np.array(
    [1e-30, 1e-20j, 3e25, -2e30j, 2e-38, 1, -1, 1j, -1j, 3e-25 + 4e-25j, -1e30 + 1e29j]
)


def pair_of(z):
    z = np.asarray(z)
    return z.real.astype(np.float32), z.imag.astype(np.float32)


def numerical_gradient(function, z, step=1e-6):
    """∂f/∂x + i ∂f/∂y of a real function of a complex number, by differences."""
    along = (function(z + step) - function(z - step)) / (2 * step)
    across = (function(z + 1j * step) - function(z - 1j * step)) / (2 * step)
    return along + 1j * across


def gradient_at(function, z):
    """∂f/∂x + i ∂f/∂y of `Re f + 2 Im f`."""

    def total(real, imag):
        real, imag = function((real, imag))
        return kops.sum(real + 2 * imag)

    return as_complex(gradients(total, *pair_of(np.atleast_1d(z))))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_elementary_functions_are_numpys(name):
    z = random_pair(50, 3)
    found = as_complex(getattr(activations, f"complex_{name}")(z))
    np.testing.assert_allclose(
        found, getattr(np, name)(as_complex(z)), rtol=2e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_their_gradients_are_differences(name):
    z = as_complex(random_pair(6, seed=3))
    expected = numerical_gradient(
        lambda w: getattr(np, name)(w).real + 2 * getattr(np, name)(w).imag, z
    )
    found = gradient_at(getattr(activations, f"complex_{name}"), z)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"log"}))
def test_their_gradients_at_0_are_exact(name):
    # f'(0) = a gives the gradient (a, 0) of Re f and (0, a) of Im f.
    slope = {"cos": 0, "cosh": 0}.get(name, 1)
    found = gradient_at(getattr(activations, f"complex_{name}"), 0)
    np.testing.assert_allclose(found, [slope * (1 + 2j)])


def test_log_is_exact_for_tiny_and_huge_numbers():
    found = as_complex(activations.complex_log(pair_of(HARD)))
    np.testing.assert_allclose(found, np.log(HARD), rtol=1e-6, atol=1e-6)


def test_log_at_0_is_minus_infinity_with_a_gradient_of_0():
    real, imag = activations.complex_log(pair_of([0]))
    assert np.asarray(real)[0] == -np.inf and np.asarray(imag)[0] == 0
    np.testing.assert_array_equal(gradient_at(activations.complex_log, 0), [0])


@pytest.mark.parametrize("name", ["tanh", "tan"])
def test_tanh_and_tan_are_stable_far_out(name):
    far = np.array([50 + 1j, -200 - 3j, 1e4 + 0.5j, 90, -1e30])
    far = 1j * far if name == "tan" else far
    found = as_complex(getattr(activations, f"complex_{name}")(pair_of(far)))
    limit = np.sign(far.imag) * 1j if name == "tan" else np.sign(far.real)
    np.testing.assert_allclose(found, limit, atol=1e-6)


@pytest.mark.parametrize("name", ["tanh", "tan"])
def test_tanh_and_tan_stay_finite_at_their_poles(name):
    near = np.concatenate([[0], np.logspace(-9, -1, 40)])
    poles = np.pi / 2 * np.array([1, -1, 3, 5])[:, None] + near
    z = pair_of(poles if name == "tan" else 1j * poles)
    function = getattr(activations, f"complex_{name}")
    assert np.abs(as_complex(function(z))).max() < 65504  # half precision's largest
    assert np.isfinite(gradient_at(function, as_complex(z))).all()


def test_unit_phasor_is_exact_for_tiny_and_huge_numbers():
    found = as_complex(activations.unit_phasor(pair_of(HARD)))
    np.testing.assert_allclose(found, HARD / np.abs(HARD), atol=1e-6)


def test_gradient_of_the_phasor_is_that_of_the_quotient():
    z = as_complex(random_pair(6, seed=3))

    def total(w):
        return (w / np.abs(w)).real + 2 * (w / np.abs(w)).imag

    found = gradient_at(activations.unit_phasor, z)
    np.testing.assert_allclose(found, numerical_gradient(total, z), atol=1e-5)


@pytest.mark.parametrize("bias", [-0.5, 0.0, 0.5])
def test_mod_relu_has_the_gradient_of_its_definition(bias):
    z = as_complex(random_pair(6, seed=3))

    def total(w):
        value = np.maximum(np.abs(w) + bias, 0) * w / np.abs(w)
        return value.real + 2 * value.imag

    found = gradient_at(lambda pair: activations.mod_relu(pair, bias), z)
    np.testing.assert_allclose(found, numerical_gradient(total, z), atol=1e-5)


@pytest.mark.parametrize(
    "function",
    [
        activations.z_relu,
        activations.cardioid,
        activations.unit_phasor,
        lambda pair: activations.mod_relu(pair, -0.5),
        lambda pair: activations.mod_relu(pair, 0.5),
        lambda pair: activations.threshold_mod_relu(pair, 0.5),
        lambda pair: activations.threshold_mod_relu(pair, -0.5),
    ],
)
def test_activations_are_0_at_0_with_a_finite_gradient(function):
    np.testing.assert_array_equal(as_complex(function(pair_of([0]))), [0])
    assert np.isfinite(gradient_at(function, 0)).all()
