"""Penalties, masks and schedules."""

import json

import keras
import numpy as np
import pytest
import scipy.special

from cvzoo import ops
from cvzoo.layers import (
    ARD,
    ComplexDense,
    FixedMask,
    FromComplex,
    MagnitudePruning,
    VariationalDropout,
)
from cvzoo.layers.sparsifiable import SparsifiableDense
from tests.helpers import as_complex, random_pair, weight_gradients

Z = random_pair(5, 4)


def built(sparsifier, kind=ComplexDense, units=3):
    layer = kind(units, sparsifier=sparsifier)
    layer(Z if kind is ComplexDense else Z[0])
    return layer


@pytest.mark.parametrize(
    ("sparsifier", "kind", "divergence"),
    [
        (VariationalDropout(0.3, 50), ComplexDense, ops.VD_COMPLEX),
        (
            VariationalDropout(0.3, 50, kl="approximate"),
            ComplexDense,
            ops.VD_COMPLEX_APPROXIMATE,
        ),
        (VariationalDropout(0.3, 50), SparsifiableDense, ops.VD_REAL_APPROXIMATE),
        (VariationalDropout(0.3, 50, kl="exact"), SparsifiableDense, ops.VD_REAL),
        (
            VariationalDropout(0.3, 50, posterior="scaling"),
            ComplexDense,
            ops.VD_REAL_APPROXIMATE,
        ),
        (
            VariationalDropout(0.3, 50, kl="exact", posterior="scaling"),
            ComplexDense,
            ops.VD_REAL,
        ),
        (ARD(0.3, 50), ComplexDense, ops.ARD_COMPLEX),
        (ARD(0.3, 50), SparsifiableDense, ops.ARD_REAL),
    ],
)
def test_the_penalty_is_the_sum_over_weights_times_strength_over_n(
    sparsifier, kind, divergence
):
    layer = built(sparsifier, kind)
    layer(Z if kind is ComplexDense else Z[0], training=True)
    modulus2 = sum(np.asarray(part, np.float64) ** 2 for part in layer.kernel_parts)
    nu = np.log(modulus2) - np.asarray(layer.log_sigma2)
    total = np.asarray(divergence.value(nu.astype(np.float32))).sum()
    (penalty,) = layer.losses
    np.testing.assert_allclose(penalty, 0.3 / 50 * total, rtol=1e-5)


def test_a_prior_of_exponent_one_has_the_published_divergence():
    # log |μ| − log σ² − ½ Ei(−1/α), up to γ/2 a weight.
    layer = built(VariationalDropout(1.0, 1, prior_exponent=1))
    log_sigma2 = np.random.default_rng(0).uniform(-6, 2, (4, 3))
    layer.log_sigma2.assign(log_sigma2)
    modulus2 = sum(np.asarray(part, np.float64) ** 2 for part in layer.kernel_parts)
    ei = scipy.special.expi(-modulus2 / np.exp(log_sigma2))
    expected = np.sum(np.log(modulus2) / 2 - log_sigma2 - ei / 2 + np.euler_gamma / 2)
    found = layer.sparsifier.penalty(layer)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("wrong", [{"posterior": "scaling"}, {"prior_exponent": 1}])
def test_real_layers_refuse_what_only_complex_weights_have(wrong):
    with pytest.raises(ValueError, match="must be on a complex layer"):
        built(VariationalDropout(0.3, 50, **wrong), SparsifiableDense)


@pytest.mark.parametrize(
    "sparsifier",
    [
        VariationalDropout(0.3, 50, posterior="scaling"),
        VariationalDropout(0.3, 50, prior_exponent=1.5) + FixedMask(),
    ],
)
def test_sparsifiers_survive_their_configuration(sparsifier):
    config = keras.saving.serialize_keras_object(sparsifier)
    copy = keras.saving.deserialize_keras_object(config)
    assert repr(copy) == repr(sparsifier)
    assert copy.posterior == sparsifier.posterior


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="Keras' JAX step clears losses per call"
)
def test_a_layer_that_is_called_twice_advances_its_schedule_once_a_step():
    x = keras.Input((4,))
    shared = SparsifiableDense(4, sparsifier=MagnitudePruning(0.5, end_step=20))
    model = keras.Model(x, shared(shared(x)))
    model.compile("sgd", "mse")
    model.fit(np.zeros((6, 4)), np.zeros((6, 4)), batch_size=2, verbose=0)
    assert int(shared.pruning_step) == 3
    model(np.zeros((6, 4)), training=True)
    assert int(shared.pruning_step) == 4


def test_there_is_no_penalty_in_inference():
    layer = built(VariationalDropout(0.3, 50))
    layer(Z, training=False)
    assert layer.losses == []


def test_log_sigma2_starts_at_minus_ten_and_counts_one_a_complex_weight():
    layer = built(VariationalDropout(0.3, 50))
    np.testing.assert_array_equal(layer.log_sigma2, np.full((4, 3), -10.0))


def test_a_warm_up_can_assign_the_scale_without_retracing():
    inputs = keras.Input((4,)), keras.Input((4,))
    layer = ComplexDense(3, sparsifier=VariationalDropout(1.0, 50))
    model = keras.Model(inputs, FromComplex()(layer(inputs)))
    traces = []

    def no_loss(targets, outputs):
        traces.append(1)
        return 0.0 * outputs

    model.compile(keras.optimizers.SGD(0.0), no_loss)
    full = float(model.train_on_batch(Z, np.zeros((5, 3))))
    once = len(traces)
    layer.penalty_scale.assign(0.5 / 50)
    half = float(model.train_on_batch(Z, np.zeros((5, 3))))
    np.testing.assert_allclose(half, full / 2, rtol=1e-5)
    assert len(traces) == once


def test_weights_up_to_the_threshold_are_kept():
    layer = built(VariationalDropout(0.3, 50))
    modulus2 = np.asarray(layer.kernel_real) ** 2 + np.asarray(layer.kernel_imag) ** 2
    log_alpha = np.linspace(-3, 3, 12).reshape(4, 3)
    layer.log_sigma2.assign(log_alpha + np.log(modulus2))
    np.testing.assert_array_equal(layer.sparsifier.keep(layer, -0.5), log_alpha <= -0.5)


def test_masked_weights_are_zero_and_get_no_gradient():
    layer = built(FixedMask())
    mask = np.random.default_rng(0).integers(0, 2, size=(4, 3)).astype(np.float32)
    layer.mask.assign(mask)
    for gradient in weight_gradients(layer, Z, training=True)[:2]:
        np.testing.assert_array_equal(gradient[mask == 0], 0)
        assert (gradient[mask == 1] != 0).all()
    kernel = (np.asarray(layer.kernel_real) + 1j * np.asarray(layer.kernel_imag)) * mask
    bias = np.asarray(layer.bias_real) + 1j * np.asarray(layer.bias_imag)
    expected = (Z[0] + 1j * Z[1]) @ kernel + bias
    found = as_complex(layer(Z, training=True))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_gradual_pruning_follows_the_cubic_schedule_and_keeps_the_largest():
    layer = built(
        MagnitudePruning(0.75, end_step=20, begin_step=4, frequency=1), units=8
    )
    size = np.asarray(layer.kernel_real) ** 2 + np.asarray(layer.kernel_imag) ** 2
    for step in range(25):
        layer(Z, training=True)
        time = np.clip((step - 4) / 16, 0, 1)
        zeros = int(np.floor(np.float32(0.75 * (1 - (1 - time) ** 3)) * 32))
        mask = np.asarray(layer.mask)
        assert abs((mask == 0).sum() - zeros) <= (0 if time in (0, 1) else 1)
        assert size[mask == 1].min() >= size[mask == 0].max(initial=0)


def test_gradual_pruning_updates_every_so_many_steps():
    layer = built(MagnitudePruning(0.5, end_step=20, frequency=10), units=8)
    masks = []
    for _ in range(21):
        layer(Z, training=True)
        masks.append(np.asarray(layer.mask).sum())
    assert len(set(masks[:10])) == len(set(masks[10:20])) == 1
    assert masks[20] == 16


def test_inference_does_not_advance_the_schedule():
    layer = built(MagnitudePruning(0.5, end_step=20))
    layer(Z)
    assert int(layer.pruning_step) == 0


def test_small_layers_keep_a_larger_share():
    # ε (n + m) / (n m), with one ε for all, and 2 % of the 37 888 weights in all.
    shapes = [(64, 512), (512, 10)]
    first, second = MagnitudePruning(0.98, end_step=9).for_layers(shapes, None)
    kept = [(1 - first.sparsity) * 64 * 512, (1 - second.sparsity) * 512 * 10]
    np.testing.assert_allclose(sum(kept), 0.02 * 37_888)
    np.testing.assert_allclose(kept[0] / kept[1], 576 / 522)


def test_a_layer_never_keeps_more_than_it_has():
    (large, small) = MagnitudePruning(0.5, end_step=9).for_layers(
        [(100, 100), (2, 2)], None
    )
    assert small.sparsity == 0
    np.testing.assert_allclose((1 - large.sparsity) * 10_000 + 4, 0.5 * 10_004)


def test_a_sum_adds_penalties_and_keeps_what_all_keep():
    both = VariationalDropout(0.3, 50) + ARD(0.1, 50, group="unit") + FixedMask()
    layer = built(both)
    layer.mask.assign(np.eye(4, 3))
    layer(Z, training=True)
    alone = sum(float(term.penalty(layer)) for term in both.terms[:2])
    np.testing.assert_allclose(layer.penalty, alone, rtol=1e-6)
    np.testing.assert_array_equal(both.keep(layer, 100.0), np.eye(4, 3) > 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: VariationalDropout(0),
        lambda: VariationalDropout(float("nan")),
        lambda: VariationalDropout(n_train=-3),
        lambda: VariationalDropout(float("inf")),
        lambda: VariationalDropout("strong"),
        lambda: VariationalDropout(n_train=float("inf")),
        lambda: VariationalDropout(n_train=[50]),
        lambda: VariationalDropout(prior_exponent=float("inf")),
        lambda: VariationalDropout(prior_exponent="1"),
        lambda: MagnitudePruning("most", end_step=5),
        lambda: MagnitudePruning(0.5, end_step=None),
        lambda: MagnitudePruning(0.5, end_step=float("inf")),
        lambda: ARD(-1),
        lambda: VariationalDropout(posterior="elliptic"),
        lambda: VariationalDropout(prior_exponent=0),
        lambda: VariationalDropout(prior_exponent=1, posterior="scaling"),
        lambda: VariationalDropout(prior_exponent=1, kl="approximate"),
        lambda: VariationalDropout(posterior="scaling") + ARD(group="unit"),
        lambda: VariationalDropout(n_train=0),
        lambda: VariationalDropout(kl="molchanov"),
        lambda: ARD(group="row"),
        lambda: MagnitudePruning(1.0, end_step=5),
        lambda: MagnitudePruning(0.5, end_step=5, begin_step=5),
        lambda: ARD(0.1) + ARD(0.2),
        lambda: MagnitudePruning(0.5, end_step=5) + FixedMask(),
    ],
)
def test_impossible_arguments_are_refused(make):
    with pytest.raises(ValueError, match="must|needs|once|one mask"):
        make()


def test_numbers_of_numpy_are_numbers():
    dropout = VariationalDropout(np.float32(0.5), n_train=np.int64(50))
    pruning = MagnitudePruning(np.float64(0.5), end_step=np.int32(9), frequency=1)
    layer = built(dropout + pruning)
    for _ in range(10):
        layer(Z, training=True)
    np.testing.assert_allclose(layer.penalty_scale, 1 / 50)
    assert np.asarray(layer.mask).sum() == 6  # half of them
    plain = VariationalDropout(0.5, 50) + MagnitudePruning(0.5, 9, frequency=1)
    stored = json.dumps(keras.saving.serialize_keras_object(layer.sparsifier))
    assert json.loads(stored) == keras.saving.serialize_keras_object(plain)


def test_a_divergence_without_n_train_is_refused():
    with pytest.raises(ValueError, match="needs `n_train`"):
        built(VariationalDropout(0.3))
