"""Activations and elementary functions of pairs, computed in float32.

Each keeps a finite gradient at 0 where the function itself has one.
"""

import functools

from keras import ops

from cvzoo.ops.pairs import modulus, phase

# The smallest normal number of float32: below it, 1 / x overflows.
SMALLEST_SCALE = 1.2e-38
# cplxmodule divides by no modulus smaller than this.
SMALLEST_MODULUS = 1e-5
# Bounds tanh near its poles by about 3e4, which half precision holds.
SMALLEST_DENOMINATOR = 1e-9


def _in_float32(function):
    """Runs a function of a pair in float32, and returns the dtype of the pair."""

    @functools.wraps(function)
    def wrapped(pair, *arguments):
        dtype = pair[0].dtype
        pair = tuple(ops.cast(part, "float32") for part in pair)
        arguments = [ops.cast(argument, "float32") for argument in arguments]
        return tuple(ops.cast(part, dtype) for part in function(pair, *arguments))

    return wrapped


def _scaled(pair):
    """`(s, z / s)` with `s = max(|Re z|, |Im z|)`: squares neither over- nor underflow.

    s is a constant to gradients, which is exact for what does not depend on it. Near 0,
    z is not divided.
    """
    real, imag = pair
    largest = ops.stop_gradient(ops.maximum(ops.abs(real), ops.abs(imag)))
    divisor = ops.where(largest < SMALLEST_SCALE, ops.ones_like(largest), largest)
    return largest, (real / divisor, imag / divisor)


@_in_float32
def unit_phasor(pair):
    """`z / |z|`, and 0 at 0; exact for tiny and for huge `z`."""
    _, pair = _scaled(pair)
    length = modulus(pair)
    length = ops.where(length == 0, ops.ones_like(length), length)
    return tuple(part / length for part in pair)


def z_relu(pair):
    """`z` in the first quadrant, `0 ≤ arg z ≤ π/2`; 0 elsewhere."""
    real, imag = pair
    inside = ops.logical_and(real >= 0, imag >= 0)
    return tuple(ops.where(inside, part, ops.zeros_like(part)) for part in pair)


@_in_float32
def mod_relu(pair, bias):
    """`relu(|z| + b) z / |z|`, and 0 at 0.

    Written as `z + b z / |z|`, it is the identity for `b = 0`, however small `z` is.
    """
    is_open = modulus(pair) + bias >= 0
    return tuple(
        ops.where(is_open, part + bias * turn, ops.zeros_like(part))
        for part, turn in zip(pair, unit_phasor(pair), strict=True)
    )


@_in_float32
def threshold_mod_relu(pair, threshold):
    """`z · max(0, 1 − τ / max(|z|, 1e-5))`, as in cplxmodule."""
    length = ops.maximum(modulus(pair), SMALLEST_MODULUS)
    gain = ops.relu(1 - threshold / length)
    return tuple(gain * part for part in pair)


@_in_float32
def cardioid(pair):
    """`½ (1 + cos arg z) z`."""
    cosine, _ = unit_phasor(pair)
    gain = (1 + cosine) / 2
    return tuple(gain * part for part in pair)


@_in_float32
def complex_exp(pair):
    """`eᶻ`."""
    real, imag = pair
    length = ops.exp(real)
    return length * ops.cos(imag), length * ops.sin(imag)


@_in_float32
def complex_log(pair):
    """`log z`, imaginary part in (−π, π]; −∞ at 0, with a gradient of 0 there."""
    scale, pair = _scaled(pair)
    length = modulus(pair)
    length = ops.where(length == 0, ops.ones_like(length), length)
    return ops.log(scale) + ops.log(length), phase(pair)


@_in_float32
def complex_sinh(pair):
    """`sinh z`."""
    real, imag = pair
    return ops.sinh(real) * ops.cos(imag), ops.cosh(real) * ops.sin(imag)


@_in_float32
def complex_cosh(pair):
    """`cosh z`."""
    real, imag = pair
    return ops.cosh(real) * ops.cos(imag), ops.sinh(real) * ops.sin(imag)


@_in_float32
def complex_tanh(pair):
    """`tanh z`; finite for large `|Re z|`, and kept finite at the poles i(π/2 + kπ).

    With t = tanh x, c = cos y, s = sin y: `(t + i s c sech² x) / (c² + t² s²)`, a sum
    of squares without cancellation.
    """
    real, imag = pair
    tangent, cosine, sine = ops.tanh(real), ops.cos(imag), ops.sin(imag)
    decay = ops.exp(-2 * ops.abs(real))
    squared_secant = 4 * decay / ops.square(1 + decay)
    denominator = ops.maximum(
        ops.square(cosine) + ops.square(tangent * sine), SMALLEST_DENOMINATOR
    )
    return tangent / denominator, sine * cosine * squared_secant / denominator


def complex_sin(pair):
    """`sin z = −i sinh(iz)`."""
    real, imag = complex_sinh(_turned(pair))
    return imag, -real


def complex_cos(pair):
    """`cos z = cosh(iz)`."""
    return complex_cosh(_turned(pair))


def complex_tan(pair):
    """`tan z = −i tanh(iz)`; kept finite at the poles π/2 + kπ."""
    real, imag = complex_tanh(_turned(pair))
    return imag, -real


def _turned(pair):
    """`iz`."""
    real, imag = pair
    return -imag, real
