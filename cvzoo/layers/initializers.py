"""Initializers of complex weights: called with a shape, they return a pair."""

import math
import random

import keras
import numpy as np
from keras import ops as kops

CRITERIA = ("he", "glorot")
SCALINGS = ("parts", "matrix")


class ComplexInitializer(keras.initializers.Initializer):
    """Base: called with a shape and a dtype, returns a pair.

    Two calls return the same pair; each layer makes an initializer of its own.
    """


def _seeds(seed):
    """The seed that was given, for copies, and the one that is drawn with.

    As in Keras, a copy draws anew unless a seed was given.
    """
    return seed, random.randrange(2**31) if seed is None else seed


def _fans(shape):
    """Complex inputs and outputs of one unit, by the rule of Keras.

    A kernel has the shape `(*window, inputs, outputs)`, and both fans are times the
    window. The kernel of a grouped convolution has `inputs / groups`, and so has its
    `fan_in`; that of a depthwise one, `(*window, inputs, multiplier)`, is counted as
    if its outputs saw all inputs. The fans of a vector are its length.
    """
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    *window, inputs, outputs = shape
    size = math.prod(window)
    return size * inputs, size * outputs


def _scale_squared(criterion, shape):
    """`1 / fan_in` (He) or `1 / (fan_in + fan_out)` (Glorot)."""
    fan_in, fan_out = _fans(shape)
    return 1 / (fan_in if criterion == "he" else fan_in + fan_out)


@keras.saving.register_keras_serializable("cvzoo")
class PartwiseUniform(ComplexInitializer):
    """Real and imaginary part independent, each uniform on ±√(3·scale / fan_in).

    `E|w|² = 2·scale / fan_in`. For a bias, `fan_in` is its length.

    Args:
        scale: Variance of each part, times `fan_in`.
        seed: Integer; drawn when `None`.
        fan: Takes the place of `fan_in`. Layers give it to the bias of a convolution.

    Reference:
        cplxmodule, `cplx_kaiming_uniform_` with a = √5: scale 1/6 for kernels, 1/3
        for biases, whose fan there is the number of outputs of a linear layer.
    """

    def __init__(self, scale=1 / 6, seed=None, fan=None):
        if scale <= 0:
            raise ValueError(f"`scale` must be positive. Received: {scale}")
        self.scale, self.fan = scale, fan
        self._given, self.seed = _seeds(seed)

    def __call__(self, shape, dtype=None):
        fan_in = self.fan or math.prod(shape[:-1] or shape)
        limit = (3 * self.scale / fan_in) ** 0.5
        both = keras.random.uniform(
            (2, *shape), -limit, limit, dtype=dtype, seed=self.seed
        )
        return both[0], both[1]

    def get_config(self):
        return {"scale": self.scale, "seed": self._given, "fan": self.fan}


@keras.saving.register_keras_serializable("cvzoo")
class ComplexNormal(ComplexInitializer):
    """Real and imaginary part independent, each normal: `E|w|² = 2·stddev²`.

    Args:
        stddev: Standard deviation of each part.
        seed: Integer; drawn when `None`.
    """

    def __init__(self, stddev=0.05, seed=None):
        if stddev < 0:
            raise ValueError(f"`stddev` must not be negative. Received: {stddev}")
        self.stddev = stddev
        self._given, self.seed = _seeds(seed)

    def __call__(self, shape, dtype=None):
        both = keras.random.normal(
            (2, *shape), stddev=self.stddev, dtype=dtype, seed=self.seed
        )
        return both[0], both[1]

    def get_config(self):
        return {"stddev": self.stddev, "seed": self._given}


@keras.saving.register_keras_serializable("cvzoo")
class ComplexSigns(ComplexInitializer):
    """Numbers of modulus 1 and a phase uniform on (−π, π]: the complex `RandomSigns`.

    Args:
        seed: Integer; drawn when `None`.
    """

    def __init__(self, seed=None):
        self._given, self.seed = _seeds(seed)

    def __call__(self, shape, dtype=None):
        phase = keras.random.uniform(
            shape, -math.pi, math.pi, dtype=dtype, seed=self.seed
        )
        return kops.cos(phase), kops.sin(phase)

    def get_config(self):
        return {"seed": self._given}


@keras.saving.register_keras_serializable("cvzoo")
class RandomSigns(keras.initializers.Initializer):
    """−1 or 1 with equal chance, of real weights.

    Args:
        seed: Integer; drawn when `None`.

    Reference:
        Paper 1, §5: the diagonals of diagonal-circulant layers.
    """

    def __init__(self, seed=None):
        self._given, self.seed = _seeds(seed)

    def __call__(self, shape, dtype=None):
        uniform = keras.random.uniform(shape, -1, 1, dtype=dtype, seed=self.seed)
        return kops.where(uniform < 0, kops.full_like(uniform, -1), 1)

    def get_config(self):
        return {"seed": self._given}


class _Rayleigh(ComplexInitializer):
    """Base: modulus of the Rayleigh distribution with scale s, phase uniform."""

    criterion = None

    def __init__(self, seed=None):
        self._given, self.seed = _seeds(seed)

    def __call__(self, shape, dtype=None):
        # In float32: logarithms of half precision numbers are too coarse.
        uniform = keras.random.uniform((2, *shape), dtype="float32", seed=self.seed)
        # 1 − u lies in (0, 1].
        energy = -2 * kops.log1p(-uniform[0])
        modulus = kops.sqrt(_scale_squared(self.criterion, shape) * energy)
        phase = 2 * math.pi * uniform[1] - math.pi
        pair = modulus * kops.cos(phase), modulus * kops.sin(phase)
        return tuple(kops.cast(part, dtype or keras.config.floatx()) for part in pair)

    def get_config(self):
        return {"seed": self._given}


@keras.saving.register_keras_serializable("cvzoo")
class ComplexGlorot(_Rayleigh):
    """Rayleigh modulus with s = 1/√(fan_in + fan_out), phase uniform on (−π, π].

    `E|w|² = 2 / (fan_in + fan_out)`. Fans count complex channels, times the window.
    Both parts are normal and independent, of variance s².

    Args:
        seed: Integer; drawn when `None`.

    Reference:
        [Trabelsi et al., 2018](https://arxiv.org/abs/1705.09792), §3.6. The code of
        that paper leaves out the square root in s for convolutions.
    """

    criterion = "glorot"


@keras.saving.register_keras_serializable("cvzoo")
class ComplexHe(_Rayleigh):
    """Rayleigh modulus with s = 1/√fan_in, phase uniform on (−π, π].

    `E|w|² = 2 / fan_in`; otherwise like `ComplexGlorot`.

    Args:
        seed: Integer; drawn when `None`.

    Reference:
        [Trabelsi et al., 2018](https://arxiv.org/abs/1705.09792), §3.6.
    """

    criterion = "he"


@keras.saving.register_keras_serializable("cvzoo")
class ComplexIndependent(ComplexInitializer):
    """Kernels that differ as much as they can: a semi-unitary matrix, scaled.

    `Z = U₁ + iU₂` with both uniform on [0, 1) gives `Z = A Σ Bᴴ`, and `A Bᴴ` has
    orthonormal rows or columns, whichever are fewer. Z is `(outputs · inputs, window)`
    for a convolution, and `(inputs, outputs)` for a dense layer. With s² = 1/fan_in
    or 1/(fan_in + fan_out), the variance `E|w − w̄|²` is 2s² or s², see `scaling`; the
    mean w̄ is not 0, as Z's is not, and large where Z has few columns.

    Args:
        criterion: `"he"` (s² = 1/fan_in) or `"glorot"` (s² = 1/(fan_in + fan_out)).
        scaling: `"parts"`: real and imaginary part each get variance s², which bends
            the matrix a little; `"matrix"`: one factor for both, which keeps it
            semi-unitary up to that factor, and variance s² for the whole.
        seed: Integer; drawn when `None`.

    Reference:
        [Trabelsi et al., 2018](https://arxiv.org/abs/1705.09792), §3.6, whose code
        scales the parts; cplxmodule scales the matrix. Neither has a dense form.
    """

    def __init__(self, criterion="he", scaling="parts", seed=None):
        if criterion not in CRITERIA:
            raise ValueError(
                f"`criterion` must be one of {CRITERIA}. Received: {criterion!r}"
            )
        if scaling not in SCALINGS:
            raise ValueError(
                f"`scaling` must be one of {SCALINGS}. Received: {scaling!r}"
            )
        self.criterion, self.scaling = criterion, scaling
        self._given, self.seed = _seeds(seed)

    def __call__(self, shape, dtype=None):
        if len(shape) < 2:
            raise ValueError(
                "ComplexIndependent draws kernels, of two axes or more. Received shape "
                f"{tuple(shape)}; initialize a vector with `ComplexHe`, for example."
            )
        matrix = self._semi_unitary(shape)
        spread = _scale_squared(self.criterion, shape) ** 0.5
        pair = matrix.real, matrix.imag
        if self.scaling == "matrix":
            gains = [spread / _deviation(matrix)] * 2
        else:
            gains = [spread / _deviation(part) for part in pair]
        dtype = dtype or keras.config.floatx()
        return tuple(
            kops.convert_to_tensor(gain * part, dtype)
            for gain, part in zip(gains, pair, strict=True)
        )

    def _semi_unitary(self, shape):
        *window, inputs, outputs = shape
        rows, columns = inputs, outputs
        if window:
            rows, columns = outputs * inputs, math.prod(window)
        uniform = np.random.default_rng(self.seed).random((2, rows, columns))
        left, _, right = np.linalg.svd(
            uniform[0] + 1j * uniform[1], full_matrices=False
        )
        kernel = left @ right
        if not window:
            return kernel
        kernel = kernel.reshape(outputs, inputs, *window)
        return kernel.transpose(*range(2, len(shape)), 1, 0)

    def get_config(self):
        return {
            "criterion": self.criterion,
            "scaling": self.scaling,
            "seed": self._given,
        }


def _deviation(values):
    """Standard deviation, or 1 where it vanishes: a kernel of one number stays."""
    return np.std(values) if np.size(values) > 1 else 1.0


@keras.saving.register_keras_serializable("cvzoo")
class SamePart(ComplexInitializer):
    """Gives both parts the values of one real initializer that is not random."""

    def __init__(self, initializer):
        self.initializer = keras.initializers.get(initializer)

    def __call__(self, shape, dtype=None):
        part = self.initializer(shape, dtype)
        return part, part

    def get_config(self):
        return {"initializer": keras.initializers.serialize(self.initializer)}


def complex_initializer(identifier):
    """A complex initializer from one, its configuration, or a constant real one."""
    initializer = keras.initializers.get(identifier)
    if isinstance(initializer, ComplexInitializer):
        return initializer
    if hasattr(initializer, "seed"):
        raise ValueError(
            "A complex weight needs a complex initializer, which says how the real and "
            "the imaginary part are drawn, for example "
            f"`cvzoo.layers.PartwiseUniform`. Received: {identifier!r}"
        )
    return SamePart(initializer)


def real_initializer(identifier):
    """A real initializer from one, its configuration, or `None`."""
    initializer = keras.initializers.get(identifier)
    if isinstance(initializer, ComplexInitializer):
        raise ValueError(
            "A real weight needs a real initializer, which gives one tensor and not a "
            "pair, for example `keras.initializers.RandomNormal`. Received: "
            f"{identifier!r}"
        )
    return initializer
