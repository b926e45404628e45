"""Divergences against SciPy, published values and Monte Carlo."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.special
from keras import ops as kops
from scipy.integrate import quad

from cvzoo import ops
from tests.helpers import gradients, jitted, tensors

# log α, then: real VD approximate and exact, their derivatives in log α, complex VD,
# its derivative, its approximation, real ARD, complex ARD.
TABLE = np.array(
    [
        [-10, 5.635781, 5.635159, -0.499979, -0.500023]
        + [10.577216, -1.000000, 10.578142, 5.000023, 10.000045],
        [-4, 2.634208, 2.625755, -0.506544, -0.509714]
        + [4.577216, -1.000000, 4.585870, 2.009075, 4.018150],
        [-2, 1.540533, 1.544155, -0.617465, -0.611234]
        + [2.577290, -0.999382, 2.578400, 1.063464, 2.126928],
        [-0.5, 0.642299, 0.639981, -0.485714, -0.491107]
        + [1.157612, -0.807704, 1.156205, 0.487038, 0.974077],
        [0, 0.431239, 0.426686, -0.359128, -0.362389]
        + [0.796600, -0.632121, 0.802166, 0.346574, 0.693147],
        [1.5, 0.111034, 0.107537, -0.106320, -0.103626]
        + [0.211276, -0.199989, 0.218241, 0.100707, 0.201413],
        [3, 0.025420, 0.024688, -0.025385, -0.024484]
        + [0.049174, -0.048568, 0.050815, 0.024294, 0.048587],
    ]
)
NU = -TABLE[:, 0].astype(np.float32)

VALUE_COLUMNS = {
    "VD_REAL_APPROXIMATE": 1,
    "VD_REAL": 2,
    "VD_COMPLEX": 5,
    "VD_COMPLEX_APPROXIMATE": 7,
    "ARD_REAL": 8,
    "ARD_COMPLEX": 9,
}
SLOPE_COLUMNS = {"VD_REAL_APPROXIMATE": 3, "VD_REAL": 4, "VD_COMPLEX": 6}


@pytest.mark.parametrize("name", VALUE_COLUMNS)
def test_values_are_those_of_the_table(name):
    found = getattr(ops, name).value(NU)
    np.testing.assert_allclose(found, TABLE[:, VALUE_COLUMNS[name]], atol=2e-6)


@pytest.mark.parametrize("name", SLOPE_COLUMNS)
def test_derivatives_are_those_of_the_table(name):
    found = -np.asarray(getattr(ops, name).slope(NU))
    np.testing.assert_allclose(found, TABLE[:, SLOPE_COLUMNS[name]], atol=2e-6)


def softplus_and_bump(weight, height=0.0, steepness=0.0, offset=0.0):
    """Value and derivative in ν."""

    def value(nu):
        bump = height * scipy.special.expit(steepness * nu - offset)
        return weight * np.logaddexp(0, nu) + bump

    def slope(nu):
        gate = scipy.special.expit(steepness * nu - offset)
        other = scipy.special.expit(offset - steepness * nu)
        return weight * scipy.special.expit(nu) + height * steepness * gate * other

    return value, slope


def dawson_integral(nu):
    """`2 ∫₀ᵘ D(t) dt`, u = √(e^ν / 2), by quadrature between neighbours."""
    u = np.concatenate([[0.0], np.sqrt(np.exp(nu) / 2)])
    pieces = [quad(scipy.special.dawsn, *ends, epsabs=0)[0] for ends in pairwise(u)]
    return 2 * np.cumsum(pieces)


def dawson_slope(nu):
    u = np.sqrt(np.exp(nu) / 2)
    return u * scipy.special.dawsn(u)


def ein(nu):
    x = np.exp(nu)
    series = sum(-((-x) ** k) / (k * scipy.special.factorial(k)) for k in range(1, 25))
    large = np.euler_gamma + nu + scipy.special.exp1(x)
    return np.where(nu < 0, series, large)


# The terms in float64, of SciPy's functions.
EXACT = {
    "VD_REAL_APPROXIMATE": softplus_and_bump(0.5, 0.63576, 1.48695, 1.87320),
    "VD_REAL": (dawson_integral, dawson_slope),
    "VD_COMPLEX": (ein, lambda nu: -np.expm1(-np.exp(nu))),
    "VD_COMPLEX_APPROXIMATE": softplus_and_bump(1.0, 0.57810, 1.36526, 1.45926),
    "ARD_REAL": softplus_and_bump(0.5),
    "ARD_COMPLEX": softplus_and_bump(1.0),
}


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("name", VALUE_COLUMNS)
def test_values_and_derivatives_are_scipys_over_forty_units_of_log_alpha(name):
    nu = np.linspace(-20, 20, 2001).astype(np.float32)
    value, slope = EXACT[name]
    divergence = getattr(ops, name)
    for found, expected in (
        (divergence.value(nu), value(nu.astype(np.float64))),
        (divergence.slope(nu), slope(nu.astype(np.float64))),
    ):
        # Absolute where a value is small, which most are; then float32's rounding.
        error = np.abs(np.asarray(found, np.float64) - expected)
        assert error.max() <= 2e-6, error.max()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", VALUE_COLUMNS)
def test_slope_is_the_derivative_of_the_value(name):
    divergence = getattr(ops, name)
    nu = np.linspace(-12, 12, 97).astype(np.float32)
    (differentiated,) = gradients(lambda nu: kops.sum(divergence.value(nu)), nu)
    np.testing.assert_allclose(divergence.slope(nu), differentiated, atol=2e-5)


def test_ein_is_scipys_to_float32():
    x = np.logspace(-8, 1.5, 300)
    expected = [quad(lambda t: -np.expm1(-t) / t, 0, end)[0] for end in x]
    found = ops.complete_exponential_integral(x.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=5e-7)
    large = np.logspace(0.5, 6, 50)
    by_e1 = np.euler_gamma + np.log(large) + scipy.special.exp1(large)
    found = ops.complete_exponential_integral(large.astype(np.float32))
    np.testing.assert_allclose(found, by_e1, rtol=5e-7)


def test_exact_real_derivative_is_dawsons_integral():
    r = np.logspace(-6, 6, 200)
    nu = np.log(2 * r).astype(np.float32)
    u = np.sqrt(np.exp(nu.astype(np.float64)) / 2)
    expected = u * scipy.special.dawsn(u)
    np.testing.assert_allclose(ops.VD_REAL.slope(nu), expected, rtol=2e-6)


def test_exact_complex_divergence_is_the_expectation_it_stands_for():
    # KL(CN(μ, α|μ|²) ‖ ∝ |w|⁻²) = E log |w|² − log σ² + const, by Monte Carlo.
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(2, 400_000))
    zeta = (noise[0] + 1j * noise[1]) / np.sqrt(2)

    def expectation(log_alpha):
        w = 1 + np.exp(log_alpha / 2) * zeta
        return np.mean(np.log(np.abs(w) ** 2)) - log_alpha

    for left, right in [(-3.0, 0.0), (0.0, 2.0), (2.0, 6.0)]:
        sampled = expectation(left) - expectation(right)
        value = ops.VD_COMPLEX.value(np.float32([-left, -right]))
        np.testing.assert_allclose(value[0] - value[1], sampled, atol=0.01)


@pytest.mark.parametrize("name", VALUE_COLUMNS)
@pytest.mark.parametrize("parts", [1, 2])
def test_summed_divergence_and_its_gradients(name, parts):
    # Against a float64 sum, and central differences of it, in numpy.
    generator = np.random.default_rng(1)
    kernel = [generator.normal(size=(5, 4)).astype(np.float32) for _ in range(parts)]
    log_sigma2 = generator.normal(-1, 2, size=(5, 4)).astype(np.float32)
    divergence = getattr(ops, name)

    def summed(log_sigma2, *kernel):
        return ops.summed_divergence(divergence, kernel, log_sigma2)

    total = summed(*tensors((log_sigma2, *kernel)))
    by_sigma, *by_kernel = gradients(summed, log_sigma2, *kernel)

    modulus2 = sum(part.astype(np.float64) ** 2 for part in kernel)
    nu = np.log(modulus2) - log_sigma2
    per_weight = np.asarray(divergence.value(nu.astype(np.float32)))
    np.testing.assert_allclose(total, per_weight.sum(), rtol=1e-5)
    slope = np.asarray(divergence.slope(nu.astype(np.float32)))
    np.testing.assert_allclose(by_sigma, -slope, rtol=1e-4, atol=1e-6)
    for part, gradient in zip(kernel, by_kernel, strict=True):
        np.testing.assert_allclose(gradient, 2 * part / modulus2 * slope, rtol=1e-4)


@pytest.mark.parametrize("name", VALUE_COLUMNS)
def test_extreme_weights_give_finite_values_and_gradients(name):
    log_sigma2 = np.float32([-60.0, -10.0, 40.0, -10.0])
    kernel = np.float32([0.0, 0.0, 1e-3, 1e4])

    def summed(log_sigma2, kernel):
        return ops.summed_divergence(getattr(ops, name), kernel, log_sigma2)

    total = summed(*tensors((log_sigma2, kernel)))
    for value in (total, *gradients(summed, log_sigma2, kernel)):
        assert np.isfinite(np.asarray(value)).all()


def test_divergence_compiles_with_xla():
    compiled = jitted(lambda nu: ops.divergence_per_weight(ops.VD_COMPLEX, nu))
    np.testing.assert_allclose(compiled(NU), TABLE[:, 5], atol=2e-6)


def test_gradient_of_divergence_per_weight_is_the_closed_form():
    def tripled(nu):
        return 3 * kops.sum(ops.divergence_per_weight(ops.VD_COMPLEX, nu))

    (found,) = gradients(tripled, NU)
    np.testing.assert_allclose(found, -3 * TABLE[:, 6], atol=6e-6)


@pytest.mark.parametrize("parts", [1, 2])
def test_unit_divergence_is_the_closed_form(parts):
    generator = np.random.default_rng(2)
    kernel = tuple(
        generator.normal(size=(7, 3)).astype(np.float32) for _ in range(parts)
    )
    log_sigma2 = generator.normal(-2, 1, size=(7, 3)).astype(np.float32)
    n = 7
    moment = sum(part.astype(np.float64) ** 2 for part in kernel) + np.exp(log_sigma2)
    per_unit = n * np.log(moment.sum(0) / n) - log_sigma2.sum(0)
    expected = per_unit.sum() * (1 if parts == 2 else 0.5)
    found = ops.unit_divergence(kernel if parts == 2 else kernel[0], log_sigma2)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_unit_divergence_is_zero_for_a_unit_of_noise_only():
    found = ops.unit_divergence(kops.zeros((7, 3)), kops.full((7, 3), -2.0))
    np.testing.assert_allclose(found, 0, atol=1e-5)


def test_log_alpha_is_that_of_the_released_code():
    kernel = (np.float32([0.5, 0.0]), np.float32([-1.0, 0.0]))
    log_sigma2 = np.float32([-3.0, -3.0])
    modulus = np.abs(kernel[0].astype(np.float64) + 1j * kernel[1])
    expected = log_sigma2 - 2 * np.log(modulus + 1e-12)
    np.testing.assert_allclose(ops.log_alpha(kernel, log_sigma2), expected, rtol=1e-5)
