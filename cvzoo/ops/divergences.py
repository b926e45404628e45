"""Kullback-Leibler divergences of variational dropout and ARD.

Each is a function of ν = −log α = log |μ|² − log σ² for one weight with mean μ and
variance σ², and is 0 in the limit α → ∞. Paper 2, §2.2 and §4.2; Molchanov et al.,
2017 for the real approximation.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

from keras import ops

from cvzoo.ops.compiling import compiler

EULER_GAMMA = 0.5772156649015329

# Keeps log |μ|² finite at μ = 0. The released code of paper 2 adds 1e-12 to the
# modulus; this is its square.
TINY = 1e-24


class Divergence(NamedTuple):
    """Value and derivative, both as functions of ν.

    The derivative is written out because training needs it only: one compiled
    kernel then gives all gradients without the value's intermediate tensors.
    """

    value: Callable
    slope: Callable


def log_alpha(kernel, log_sigma2):
    """`log α = log σ² − log |μ|²` of a real kernel, or of a pair."""
    return log_sigma2 - _log_squared_modulus(kernel)


def divergence_per_weight(divergence, nu):
    """The divergence of each weight, with the closed form as its gradient."""

    @ops.custom_gradient
    def evaluate(nu):
        def gradient(*args, upstream=None):
            (upstream,) = args if upstream is None else (upstream,)
            return upstream * divergence.slope(nu)

        return divergence.value(nu), gradient

    return evaluate(nu)


def summed_divergence(divergence, kernel, log_sigma2):
    """The divergence summed over all weights of a kernel.

    With TensorFlow the value, and then all gradients, are each one compiled pass
    over the weights, about twice as fast as operation by operation.

    Args:
        divergence: A `Divergence`.
        kernel: Means: a real tensor, or a pair.
        log_sigma2: Logarithm of the variances, of the shape of one part.

    Returns:
        float32 scalar.
    """
    parts = kernel if isinstance(kernel, tuple) else (kernel,)
    compiled = compiler()

    def total(log_sigma2, *parts):
        nu = _log_squared_modulus(parts) - log_sigma2
        return ops.sum(divergence.value(nu))

    def gradients(upstream, log_sigma2, *parts):
        nu = _log_squared_modulus(parts) - log_sigma2
        slope = upstream * divergence.slope(nu)
        squared = sum(ops.square(part) for part in parts) + TINY
        return -slope, *(2 * part / squared * slope for part in parts)

    @ops.custom_gradient
    def evaluate(log_sigma2, *parts):
        def gradient(*args, upstream=None):
            (upstream,) = args if upstream is None else (upstream,)
            return compiled(gradients)(upstream, log_sigma2, *parts)

        return compiled(total)(log_sigma2, *parts), gradient

    arguments = [
        ops.cast(ops.convert_to_tensor(x), "float32") for x in (log_sigma2, *parts)
    ]
    return evaluate(*arguments)


def unit_divergence(kernel, log_sigma2, unit_axes=(-1,)):
    """ARD with one prior variance for all weights of an output unit, summed.

    A group of n weights shares the prior variance that fits it best,
    `S / n` with `S = Σ (|μ|² + σ²)`. Per group, up to a constant,
    `n log(S / n) − Σ log σ²`, and half of that in the real case. The structured form
    named in paper 2, §4.

    Args:
        kernel: Means: a real tensor, or a pair.
        log_sigma2: Logarithm of the variances, of the shape of one part.
        unit_axes: Axes of the kernel that number the output units.

    Returns:
        float32 scalar, non-negative up to rounding.
    """
    parts = kernel if isinstance(kernel, tuple) else (kernel,)
    parts = [ops.cast(part, "float32") for part in parts]
    log_sigma2 = ops.cast(log_sigma2, "float32")
    rank = len(log_sigma2.shape)
    units = {axis % rank for axis in unit_axes}
    axes = [axis for axis in range(rank) if axis not in units]
    second_moment = sum(ops.square(part) for part in parts) + ops.exp(log_sigma2)
    spread = ops.log(ops.mean(second_moment, axis=axes)) - ops.mean(
        log_sigma2, axis=axes
    )
    weights = math.prod(log_sigma2.shape[axis] for axis in axes)
    return ops.sum(spread) * weights * (0.5 if len(parts) == 1 else 1.0)


def _log_squared_modulus(kernel):
    parts = kernel if isinstance(kernel, tuple) else (kernel,)
    return ops.log(sum(ops.square(part) for part in parts) + TINY)


# The functions of ν. `_inverse_alpha` is e^ν = 1/α, kept where float32 holds it.


def _inverse_alpha(nu):
    return ops.exp(ops.clip(nu, -60.0, 60.0))


def _polynomial(x, coefficients):
    """Horner's rule, coefficients from the constant up."""
    return functools.reduce(lambda total, c: total * x + c, reversed(coefficients))


def complete_exponential_integral(x):
    """`Ein(x) = ∫₀ˣ (1 − e⁻ᵗ)/t dt = γ + ln x + E₁(x)` for x ≥ 0.

    The Taylor series `Σ −(−x)ᵏ/(k·k!)` up to 1, Abramowitz and Stegun 5.1.56 above.
    No special-function kernel is needed, so XLA compiles it.
    """
    small, large = _sides(x, 1.0)
    taylor = [-((-1) ** k) / (k * math.factorial(k)) for k in range(1, 10)]
    near_zero = small * _polynomial(small, taylor)
    # In 1/x, whose powers do not overflow.
    inverse = 1 / large
    rational = _rational(
        inverse,
        (1.0, 8.5733287401, 18.0590169730, 8.6347608925, 0.2677737343),
        (1.0, 9.5733223454, 25.6329561486, 21.0996530827, 3.9584969228),
    )
    e1 = ops.exp(-large) * inverse * rational
    return ops.where(x <= 1.0, near_zero, EULER_GAMMA + ops.log(large) + e1)


def _sides(x, border):
    """`x` clipped to either side of a border, at which JAX's clip halves gradients."""
    below = x <= border
    return ops.where(below, x, border), ops.where(below, border, x)


def _complex_vd_value(nu):
    return complete_exponential_integral(_inverse_alpha(nu))


def _complex_vd_slope(nu):
    return -ops.expm1(-_inverse_alpha(nu))


# Real variational dropout: with r = 1/(2α), u = √r and Dawson's integral D, the
# divergence is 2 ∫₀ᵘ D(t) dt and its derivative in ν is u D(u). Both are rational
# fits against SciPy on r ≤ 6 and, in 1/r, on r ≥ 6; relative error below 2e-7.
_DAWSON_BORDER = 6.0


def _real_vd_value(nu):
    r = _inverse_alpha(nu) / 2
    small, large = _sides(r, _DAWSON_BORDER)
    near_zero = small * _rational(
        small,
        (1.0, 0.16992888, 0.03106792, 1.89680595e-3, 1.21279130e-5),
        (1.0, 0.50326206, 0.10993422, 0.01285179, 7.27724453e-4),
    )
    tail = _rational(
        1 / large,
        (0.25000052, -4.23785965, 29.28095223, -82.14011552, 63.02949241),
        (1.0, -17.70054677, 129.08051913, -404.59611683, 418.51962409),
    )
    beyond = 0.5 * (ops.log(4 * large) + EULER_GAMMA) - tail / large
    return ops.where(r <= _DAWSON_BORDER, near_zero, beyond)


def _real_vd_slope(nu):
    r = _inverse_alpha(nu) / 2
    small, large = _sides(r, _DAWSON_BORDER)
    near_zero = small * _rational(
        small,
        (1.0, -0.11059355, 0.03467676, -9.07945685e-4, 4.73294777e-5),
        (1.0, 0.55606849, 0.13875077, 0.01942899, 1.52491760e-3),
    )
    tail = _rational(
        1 / large,
        (0.25000239, -4.28150616, 31.40706334, -91.00001331, 113.39791218),
        (1.0, -18.62145313, 149.43213808, -520.32993592, 733.75599322),
    )
    return ops.where(r <= _DAWSON_BORDER, near_zero, 0.5 + tail / large)


def _rational(x, numerator, denominator):
    return _polynomial(x, numerator) / _polynomial(x, denominator)


def _softplus_and_bump(weight, height, steepness, offset):
    """`weight·softplus(ν) + height·σ(steepness·ν − offset)`, Molchanov's form."""

    def value(nu):
        bump = height * ops.sigmoid(steepness * nu - offset)
        return weight * ops.softplus(nu) + bump

    def slope(nu):
        gate = ops.sigmoid(steepness * nu - offset)
        bump = height * steepness * gate * (1 - gate)
        return weight * ops.sigmoid(nu) + bump

    return Divergence(value, slope)


VD_COMPLEX = Divergence(_complex_vd_value, _complex_vd_slope)
VD_REAL = Divergence(_real_vd_value, _real_vd_slope)
VD_COMPLEX_APPROXIMATE = _softplus_and_bump(1.0, 0.57810, 1.36526, 1.45926)
VD_REAL_APPROXIMATE = _softplus_and_bump(0.5, 0.63576, 1.48695, 1.87320)
ARD_COMPLEX = Divergence(ops.softplus, ops.sigmoid)
ARD_REAL = Divergence(
    lambda nu: 0.5 * ops.softplus(nu), lambda nu: 0.5 * ops.sigmoid(nu)
)
