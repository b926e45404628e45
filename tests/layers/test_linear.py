"""ComplexDense and the sparsifiable real Dense."""

import keras
import numpy as np
import pytest
from keras import ops as kops

from cvzoo.layers import (
    ARD,
    ComplexDense,
    FixedMask,
    MagnitudePruning,
    PartwiseUniform,
    VariationalDropout,
)
from cvzoo.layers.sparsifiable import SparsifiableDense
from tests.helpers import as_complex, check_layer, random_pair

Z = random_pair(5, 4)
SPARSIFIERS = {
    "none": None,
    "vd": VariationalDropout(0.5, n_train=10),
    "ard": ARD(0.5, n_train=10),
    "unit": ARD(0.5, n_train=10, group="unit"),
    "magnitude": MagnitudePruning(0.5, end_step=4),
    "mask": FixedMask(),
    "sum": ARD(0.5, n_train=10, group="unit") + MagnitudePruning(0.5, end_step=4),
}


def test_complex_dense_is_numpys_product():
    layer = ComplexDense(3, activation="tanh")
    found = layer(Z)
    kernel = as_complex((layer.kernel_real, layer.kernel_imag))
    bias = as_complex((layer.bias_real, layer.bias_imag))
    linear = as_complex(Z) @ kernel + bias
    np.testing.assert_allclose(found[0], np.tanh(linear.real), atol=1e-5)
    np.testing.assert_allclose(found[1], np.tanh(linear.imag), atol=1e-5)


def test_the_output_at_zero_is_the_bias():
    layer = ComplexDense(3)
    real, imag = layer((kops.zeros((1, 4)), kops.zeros((1, 4))))
    np.testing.assert_array_equal(real[0], layer.bias_real)
    np.testing.assert_array_equal(imag[0], layer.bias_imag)


@pytest.mark.parametrize("name", SPARSIFIERS)
def test_complex_dense_does_what_layers_do(name, tmp_path):
    check_layer(
        lambda: ComplexDense(3, sparsifier=SPARSIFIERS[name]),
        Z,
        tmp_path,
    )


@pytest.mark.parametrize("name", SPARSIFIERS)
def test_sparsifiable_dense_does_what_layers_do(name, tmp_path):
    check_layer(
        lambda: SparsifiableDense(3, sparsifier=SPARSIFIERS[name]),
        Z[0],
        tmp_path,
    )


def test_sparsifiable_dense_is_kerass_dense():
    ours, theirs = SparsifiableDense(3, activation="relu"), keras.layers.Dense(3)
    ours(Z[0]), theirs(Z[0])
    theirs.set_weights(ours.get_weights())
    expected = np.maximum(np.asarray(theirs(Z[0])), 0)
    np.testing.assert_allclose(ours(Z[0]), expected, atol=1e-6)


@pytest.mark.parametrize("name", SPARSIFIERS)
@pytest.mark.parametrize("kind", [ComplexDense, SparsifiableDense])
def test_weights_files_hold_what_sparsifiers_added(name, kind, tmp_path):
    def make():
        shape = (4,)
        inputs = (keras.Input(shape), keras.Input(shape))
        inputs = inputs if kind is ComplexDense else inputs[0]
        return keras.Model(inputs, kind(3, sparsifier=SPARSIFIERS[name])(inputs))

    model, other = make(), make()
    for variable in model.layers[-1].weights:
        variable.assign(variable + 1)
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    for left, right in zip(
        model.layers[-1].weights, other.layers[-1].weights, strict=True
    ):
        np.testing.assert_array_equal(left, right)


def test_noise_in_training_has_the_moments_of_random_weights():
    # Local reparameterisation against weights drawn one by one, in numpy.
    layer = ComplexDense(2, sparsifier=VariationalDropout(1.0, n_train=1))
    layer((kops.zeros((1, 3)), kops.zeros((1, 3))))
    generator = np.random.default_rng(0)
    layer.log_sigma2.assign(generator.normal(-1, 0.5, size=(3, 2)))
    x = random_pair(1, 3)
    many = tuple(np.repeat(part, 100_000, axis=0) for part in x)
    found = as_complex(layer(many, training=True))

    mean = as_complex((layer.kernel_real, layer.kernel_imag))
    sigma = np.exp(np.asarray(layer.log_sigma2) / 2)
    draws = generator.normal(size=(2, 100_000, 3, 2)) / np.sqrt(2)
    weights = mean + sigma * (draws[0] + 1j * draws[1])
    bias = as_complex((layer.bias_real, layer.bias_imag))
    expected = np.einsum("i,nij->nj", as_complex(x)[0], weights) + bias
    np.testing.assert_allclose(found.mean(0), expected.mean(0), atol=0.03)
    np.testing.assert_allclose(found.var(0), expected.var(0), rtol=0.03)
    relation = np.mean((found - found.mean(0)) ** 2, axis=0)
    np.testing.assert_allclose(relation, 0, atol=0.03)


def test_real_noise_in_training_has_the_moments_of_random_weights():
    layer = SparsifiableDense(2, sparsifier=VariationalDropout(1.0, n_train=1))
    layer(kops.zeros((1, 3)))
    layer.log_sigma2.assign(np.random.default_rng(0).normal(-1, 0.5, size=(3, 2)))
    x = Z[0][:1, :3]
    found = np.asarray(layer(np.repeat(x, 100_000, axis=0), training=True))
    variance = (x**2) @ np.exp(np.asarray(layer.log_sigma2))
    mean = x @ np.asarray(layer.kernel) + np.asarray(layer.bias)
    np.testing.assert_allclose(found.mean(0), mean[0], atol=0.03)
    np.testing.assert_allclose(found.var(0), variance[0], rtol=0.03)


def test_inference_is_the_mean_without_noise():
    plain = ComplexDense(3)
    plain(Z)
    noisy = ComplexDense(3, sparsifier=VariationalDropout(1.0, n_train=1))
    noisy(Z)
    for new, old in zip(noisy.weights[:4], plain.weights, strict=True):
        new.assign(old)
    np.testing.assert_array_equal(as_complex(noisy(Z)), as_complex(plain(Z)))
    assert noisy.losses == []


def test_kernels_start_as_cplxmodules():
    layer = ComplexDense(400)
    layer(random_pair(1, 300))
    for part in (layer.kernel_real, layer.kernel_imag):
        part = np.asarray(part)
        bound = 1 / np.sqrt(2 * 300)
        assert np.abs(part).max() <= bound
        np.testing.assert_allclose(part.var(), bound**2 / 3, rtol=0.02)
    assert np.abs(layer.bias_real).max() <= 1 / np.sqrt(400)
    correlation = np.corrcoef(np.ravel(layer.kernel_real), np.ravel(layer.kernel_imag))[
        0, 1
    ]
    assert abs(correlation) < 0.02


def test_initializers_are_fixed_by_their_seed():
    first, second = (PartwiseUniform(seed=3)((4, 5), "float32") for _ in range(2))
    np.testing.assert_array_equal(as_complex(first), as_complex(second))
    other = PartwiseUniform(seed=4)((4, 5), "float32")
    assert not np.array_equal(as_complex(first), as_complex(other))


def test_a_constant_initializer_serves_both_parts():
    layer = ComplexDense(3, kernel_initializer="ones", bias_initializer="zeros")
    layer(Z)
    np.testing.assert_array_equal(layer.kernel_imag, np.ones((4, 3)))


def test_a_real_random_initializer_is_refused():
    with pytest.raises(ValueError, match="needs a complex initializer"):
        ComplexDense(3, kernel_initializer="glorot_uniform")


@pytest.mark.parametrize("units", [0, -1, 2.5, "3"])
def test_units_must_be_a_positive_integer(units):
    with pytest.raises(ValueError, match="positive integer"):
        ComplexDense(units)


def test_the_wrong_rank_is_refused():
    with pytest.raises(ValueError, match=r"parts of shape \(batch, ..., inputs\)"):
        ComplexDense(3)((kops.zeros(4), kops.zeros(4)))


@pytest.mark.parametrize("batch", [1, 2])
def test_one_tensor_in_place_of_a_pair_is_refused(batch):
    with pytest.raises(ValueError, match="ComplexDense 'it' works on a pair"):
        ComplexDense(3, name="it")(kops.zeros((batch, 4)))


def test_complex64_is_sent_to_to_complex():
    with pytest.raises(ValueError, match=r"complex64.*ToComplex\(\)"):
        ComplexDense(3)(kops.zeros((2, 4), "complex64"))


def test_what_is_no_sparsifier_is_refused():
    with pytest.raises(ValueError, match="`sparsifier` must be"):
        ComplexDense(3, sparsifier="vd")


@pytest.mark.parametrize("kind", [ComplexDense, SparsifiableDense])
def test_another_width_than_the_layer_was_built_for_is_refused(kind):
    layer = kind(3)
    wide = kops.zeros((2, 7))
    layer(Z if kind is ComplexDense else Z[0])
    with pytest.raises(ValueError, match="was built for|incompatible with the layer"):
        layer((wide, wide) if kind is ComplexDense else wide)


def test_noise_stays_finite_on_large_inputs_in_half_precision():
    layer = ComplexDense(
        3, sparsifier=VariationalDropout(1.0, n_train=1), dtype="mixed_float16"
    )
    large = kops.full((2, 4), 300.0)
    assert np.isfinite(np.asarray(layer((large, large), training=True))).all()
