"""Complex initializers: moments, distributions, unitarity, configurations."""

import keras
import numpy as np
import pytest
import scipy.stats

from cvzoo.layers.convolution import ComplexConv2D
from cvzoo.layers.initializers import (
    ComplexGlorot,
    ComplexHe,
    ComplexIndependent,
    ComplexNormal,
    ComplexSigns,
    PartwiseUniform,
    complex_initializer,
)
from cvzoo.layers.linear import ComplexDense
from tests.helpers import arrays, as_complex, random_pair

DENSE, CONV, DEPTHWISE = (300, 200), (3, 3, 64, 32), (3, 3, 500, 2)
# Shape → complex inputs and outputs of a unit, times the window.
FANS = {
    DENSE: (300, 200),
    CONV: (9 * 64, 9 * 32),
    DEPTHWISE: (9 * 500, 9 * 2),
    (4000,): (4000, 4000),
}
ALL = (
    PartwiseUniform,
    ComplexGlorot,
    ComplexHe,
    ComplexIndependent,
    lambda **kwargs: ComplexIndependent("glorot", "matrix", **kwargs),
)


@pytest.mark.parametrize("shape", FANS)
def test_second_moments_are_those_documented(shape):
    fan_in, fan_out = FANS[shape]
    expected = {
        PartwiseUniform(seed=1): 1 / (3 * fan_in),
        PartwiseUniform(1 / 3, seed=1, fan=50): 2 / (3 * 50),
        ComplexGlorot(seed=1): 2 / (fan_in + fan_out),
        ComplexHe(seed=1): 2 / fan_in,
    }
    for initializer, second_moment in expected.items():
        found = np.mean(np.abs(as_complex(initializer(shape))) ** 2)
        np.testing.assert_allclose(found, second_moment, rtol=0.05)


@pytest.mark.parametrize("initializer", [ComplexGlorot, ComplexHe])
def test_phases_are_uniform_and_moduli_rayleigh(initializer):
    w = as_complex(initializer(seed=3)(CONV)).ravel()
    fan_in, fan_out = FANS[CONV]
    fan = fan_in if initializer is ComplexHe else fan_in + fan_out
    uniform = scipy.stats.uniform(-np.pi, 2 * np.pi)
    assert scipy.stats.kstest(np.angle(w), uniform.cdf).pvalue > 0.01
    rayleigh = scipy.stats.rayleigh(scale=fan**-0.5)
    assert scipy.stats.kstest(np.abs(w), rayleigh.cdf).pvalue > 0.01
    assert abs(np.corrcoef(np.angle(w), np.abs(w))[0, 1]) < 0.02


def as_matrix(kernel):
    """The matrix that `ComplexIndependent` draws: (outputs · inputs, window)."""
    if kernel.ndim == 2:
        return kernel
    inputs, outputs = kernel.shape[-2:]
    window = kernel.reshape(-1, inputs, outputs)
    return np.stack([window[:, i, o] for o in range(outputs) for i in range(inputs)])


@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (3, 3, 4, 6), (9, 1, 2)])
def test_independent_kernels_are_semi_unitary_up_to_the_matrix_scale(shape):
    matrix = as_matrix(as_complex(ComplexIndependent(scaling="matrix", seed=2)(shape)))
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    gram = matrix.conj().T @ matrix
    np.testing.assert_allclose(gram, gram[0, 0] * np.eye(len(gram)), atol=1e-6)


@pytest.mark.parametrize("shape", [(7, 5), (3, 3, 4, 6)])
def test_independent_kernels_scaled_by_parts_have_parts_of_a_semi_unitary_one(shape):
    bent = as_matrix(as_complex(ComplexIndependent(seed=2)(shape)))
    straight = as_matrix(
        as_complex(ComplexIndependent(scaling="matrix", seed=2)(shape))
    )
    for part in ("real", "imag"):
        ratio = getattr(bent, part) / getattr(straight, part)
        np.testing.assert_allclose(ratio, ratio.flat[0], rtol=1e-5)


@pytest.mark.parametrize("criterion", ["he", "glorot"])
@pytest.mark.parametrize("shape", [(30, 20), (3, 3, 8, 4)])
def test_independent_kernels_have_the_variance_of_their_scaling(criterion, shape):
    window = int(np.prod(shape[:-2]))
    fan_in, fan_out = window * shape[-2], window * shape[-1]
    expected = 1 / (fan_in if criterion == "he" else fan_in + fan_out)
    parts = arrays(ComplexIndependent(criterion, seed=0)(shape))
    for part in parts:
        np.testing.assert_allclose(np.var(part), expected, rtol=1e-4)
    whole = as_complex(ComplexIndependent(criterion, "matrix", seed=0)(shape))
    np.testing.assert_allclose(np.var(whole), expected, rtol=1e-4)


def test_the_uniform_matrix_behind_independent_kernels_is_in_its_phases():
    # Entries of U₁ + iU₂ lie in the first quadrant; so do those of a vector's factor.
    kernel = as_complex(ComplexIndependent(seed=0)((1, 1, 20, 30)))
    assert (kernel.real > 0).all() and (kernel.imag > 0).all()


@pytest.mark.parametrize("make", ALL)
def test_a_seed_fixes_the_pair_and_another_gives_another(make):
    first, same, other = (make(seed=seed)((6, 4)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(arrays(first), arrays(same))
    assert (np.asarray(first[0]) != np.asarray(other[0])).all()
    unseeded = make()
    np.testing.assert_array_equal(arrays(unseeded((3, 2))), arrays(unseeded((3, 2))))
    assert make().seed != make().seed


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_requested_dtype_is_given(make, dtype):
    wide = arrays(make(seed=1)((8, 4), "float32"))
    for part, expected in zip(make(seed=1)((8, 4), dtype), wide, strict=True):
        assert keras.backend.standardize_dtype(part.dtype) == dtype
        assert part.shape == (8, 4)
        assert np.isfinite(np.asarray(keras.ops.cast(part, "float32"))).all()
        limit = 2 * np.abs(expected).max()
        assert (np.abs(np.asarray(keras.ops.cast(part, "float32"))) < limit).all()


@pytest.mark.parametrize("make", ALL)
def test_a_configuration_gives_the_same_initializer(make):
    initializer = make(seed=5)
    serialized = keras.initializers.serialize(initializer)
    copy = complex_initializer(serialized)
    np.testing.assert_array_equal(
        arrays(copy((2, 3, 4))), arrays(initializer((2, 3, 4)))
    )


def test_layers_take_them():
    pair = random_pair(1, 6, 6, 3)
    layer = ComplexConv2D(4, 3, kernel_initializer=ComplexIndependent(seed=0))
    layer(pair)
    kernel = as_complex((layer.kernel_real, layer.kernel_imag))
    np.testing.assert_array_equal(
        kernel, as_complex(ComplexIndependent(seed=0)((3, 3, 3, 4)))
    )
    layer = ComplexDense(4, kernel_initializer=ComplexHe(), bias_initializer="zeros")
    layer(pair)
    assert np.abs(as_complex((layer.kernel_real, layer.kernel_imag))).min() > 0


def test_real_random_initializers_are_refused_and_constants_serve_both_parts():
    with pytest.raises(ValueError, match="needs a complex initializer"):
        complex_initializer("glorot_uniform")
    real, imag = complex_initializer("ones")((2, 2))
    np.testing.assert_array_equal(real, np.ones((2, 2)))
    np.testing.assert_array_equal(imag, np.ones((2, 2)))


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="`criterion` must be one of"):
        ComplexIndependent("lecun")
    with pytest.raises(ValueError, match="`scaling` must be one of"):
        ComplexIndependent(scaling="rows")
    with pytest.raises(ValueError, match="kernels, of two axes or more"):
        ComplexIndependent()((5,))
    with pytest.raises(ValueError, match="`scale` must be positive"):
        PartwiseUniform(0)


@pytest.mark.parametrize("make", [*ALL, ComplexNormal, ComplexSigns])
def test_copies_draw_anew_unless_the_seed_was_given(make):
    for seed, same in ((None, False), (3, True)):
        initializer = make(seed=seed)
        copy = type(initializer).from_config(initializer.get_config())
        first, second = (as_complex(one((5, 4))) for one in (initializer, copy))
        assert np.array_equal(first, second) == same


def test_signs_lie_on_the_circle():
    signs = as_complex(ComplexSigns(seed=3)((50,)))
    np.testing.assert_allclose(np.abs(signs), 1, rtol=1e-6)
