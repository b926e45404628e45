"""Weights of cplxmodule and torch: outputs are those of the original code."""

import keras
import ml_dtypes
import numpy as np
import pytest
from keras import ops as kops
from safetensors.numpy import save_file

import cvzoo
from cvzoo import layers, sparsity
from tests.golden.models import (
    FLATTENED,
    GOLDEN,
    MODELS,
    VD,
    assert_gives_outputs_of_the_original,
    assert_refused,
    channels_last,
    complex_model,
    imported,
    load,
    real_model,
    snapshot,
)

MASKED = [case for case in MODELS if "mask" in case]
BAYESIAN = [case for case in MODELS if "vd_" in case or "ard_" in case]


@pytest.mark.parametrize("case", MODELS)
def test_outputs_are_those_of_the_original(case):
    assert_gives_outputs_of_the_original(case, imported(case))


def test_every_golden_file_is_tested_and_they_are_small():
    files = list(GOLDEN.glob("cplxmodule_*.npz"))
    assert {path.stem.removeprefix("cplxmodule_") for path in files} == set(MODELS)
    assert sum(path.stat().st_size for path in files) < 200_000


@pytest.mark.parametrize("case", BAYESIAN)
def test_divergences_and_pruned_weights_are_those_of_the_original(case):
    model = imported(case)
    _, golden = load(case)
    model(keras.tree.map_structure(kops.zeros_like, example(case)), training=True)
    (layer,) = sparsity.sparse_layers(model)
    assert float(layer.penalty) == pytest.approx(float(golden["penalty"]), rel=2e-5)
    pruned = cvzoo.prune(model, threshold=-0.5)
    (relevance,) = (golden[key] for key in golden if key.startswith("relevance/"))
    (layer,) = sparsity.sparse_layers(pruned)
    again = {"linear": (1, 0), "conv1d": (2, 1, 0), "conv2d": (2, 3, 1, 0)}
    order = again.get(case.rpartition("_")[-1], (1, 2, 0))
    assert 0 < relevance.mean() < 1
    np.testing.assert_array_equal(layer.mask, relevance.transpose(order))


def example(case):
    _, golden = load(case)
    inputs = [channels_last(golden[key]) for key in golden if "input" in key]
    return inputs if len(inputs) > 1 else inputs[0]


@pytest.mark.parametrize("case", MASKED)
def test_masks_go_to_layers_that_have_one(case):
    model = cvzoo.sparsity.with_masks(
        MODELS[case](), lambda layer: np.ones(layer_shape(layer))
    )
    imported(case, model=model)
    assert_gives_outputs_of_the_original(case, model)
    (layer,) = sparsity.sparse_layers(model)
    mask = np.asarray(layer.mask)
    assert set(np.unique(mask)) == {0, 1}
    for part in layer.kernel_parts:
        np.testing.assert_array_equal(np.asarray(part) != 0, mask == 1)


def layer_shape(layer):
    return sparsity.kernel_variables(layer)[0].shape


@pytest.mark.parametrize("case", MASKED)
def test_masks_are_zeros_where_there_is_none(case):
    (layer,) = sparsity.linear_layers(imported(case))
    state, _ = load(case)
    zeros = sum(np.sum(np.asarray(p) == 0) for p in sparsity.kernel_variables(layer))
    parts = len(sparsity.kernel_variables(layer))
    assert zeros == parts * np.sum(state["0.mask"] == 0) > 0


def test_a_depthwise_convolution_can_be_one_of_groups():
    model = complex_model((5, 4, 3), layers.ComplexConv2D(6, 3, groups=3))
    assert_gives_outputs_of_the_original(
        "conv2d_depthwise", imported("conv2d_depthwise", model=model)
    )


@pytest.mark.parametrize("case", ["network", "real_network", "vd_linear"])
@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_files_are_read(case, suffix, tmp_path):
    state, _ = load(case)
    path = tmp_path / f"net.{suffix}"
    if suffix == "npz":
        np.savez(path, **state)
    else:
        save_file(state, path)
    names = None
    model = MODELS[case]()
    if case == "real_network":
        names = dict(zip(REAL_PREFIXES, taking_weights(model), strict=True))
    for weights in (path, str(path)):
        imported(case, weights, model, names=names)
    assert_gives_outputs_of_the_original(case, model)


# In the order of the calls, which is not that of the state dict.
REAL_PREFIXES = ("conv1", "bn1", "conv2", "bn2", "fc", "bn3")


def taking_weights(model):
    return [layer.name for layer in model.layers if layer.weights]


def test_layers_of_equal_names_are_matched():
    state, _ = load("linear")
    model = complex_model(
        (5,), layers.ComplexDense(3, name="b"), layers.ComplexDense(5, name="a")
    )
    both = {key.replace("0.", "b."): value for key, value in state.items()}
    both |= {
        "a.weight.real": np.ones((5, 3)),
        "a.weight.imag": np.zeros((5, 3)),
        "a.bias.real": np.arange(5.0),
        "a.bias.imag": np.zeros(5),
    }
    report = cvzoo.import_cplxmodule(model, dict(sorted(both.items())))
    assert report.loaded["b/kernel_real"] == ("b.weight.real",)
    assert report.loaded["a/bias_imag"] == ("a.bias.imag",)


def test_layers_of_nested_models_are_matched_by_path():
    state, _ = load("real_linear")
    inner = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(3, name="fc")], name="head"
    )
    inputs = keras.Input((5,))
    model = keras.Model(inputs, inner(inputs))
    named = {key.replace("0.", "head.fc."): value for key, value in state.items()}
    cvzoo.import_cplxmodule(model, named)
    assert_gives_outputs_of_the_original("real_linear", model)
    cvzoo.import_cplxmodule(model, state, names={"0": "head/fc"})


def test_a_state_of_one_layer_has_no_prefix():
    state, _ = load("linear_without_bias")
    assert set(state) == {"weight.real", "weight.imag"}
    model = MODELS["linear_without_bias"]()
    report = cvzoo.import_cplxmodule(model, state, names={"": model.layers[1].name})
    assert sorted(report.loaded.values()) == [("weight.imag",), ("weight.real",)]


def test_complex_arrays_are_pairs():
    state, _ = load("linear")
    joined = {
        f"0.{name}": state[f"0.{name}.real"] + 1j * state[f"0.{name}.imag"]
        for name in ("weight", "bias")
    }
    assert joined["0.weight"].dtype == np.complex64
    assert_gives_outputs_of_the_original("linear", imported("linear", joined))


@pytest.mark.parametrize(
    "dtype, error",
    [("float64", 0), ("float16", 2e-3), (ml_dtypes.bfloat16, 2e-2)],
    ids=["float64", "float16", "bfloat16"],
)
def test_other_floats_are_converted(dtype, error, tmp_path):
    state, _ = load("real_linear")
    other = {key: value.astype(dtype) for key, value in state.items()}
    path = tmp_path / "net.safetensors"
    save_file(other, path)
    for weights in (other, path):
        (kernel, _) = imported("real_linear", weights).weights
        assert kernel.dtype == "float32"
        np.testing.assert_allclose(kernel, state["0.weight"].T, rtol=error, atol=error)


def test_variables_keep_their_dtype():
    state, _ = load("real_linear")
    model = real_model((5,), keras.layers.Dense(3, dtype="bfloat16"))
    cvzoo.import_cplxmodule(model, state)
    assert {one.dtype for one in model.weights} == {"bfloat16"}


@pytest.mark.parametrize("case", ["network", "soft_mask", "real_vd_conv2d"])
def test_importing_twice_gives_the_same(case):
    first, second = imported(case), imported(case)
    again = imported(case, model=second)
    for one, other, third in zip(
        snapshot(first), snapshot(second), snapshot(again), strict=True
    ):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, third)


def test_arrays_that_are_given_stay_as_they_are():
    state, _ = load("soft_mask")
    before = {key: value.copy() for key, value in state.items()}
    imported("soft_mask", state)
    for key, value in before.items():
        np.testing.assert_array_equal(state[key], value)


def test_the_report_tells_what_became_of_everything():
    state, _ = load("network")
    model = MODELS["network"]()
    flattened = FLATTENED["network"]
    report = cvzoo.import_cplxmodule(model, state, flattened=flattened)
    assert report.missing == report.unused == ()
    assert report.ignored == ("1.num_batches_tracked", "5.num_batches_tracked")
    assert len(report.loaded) == len(model.weights)
    used = {name for names in report.loaded.values() for name in names}
    assert used | set(report.ignored) == set(state)
    text = str(report)
    assert text.startswith(f"{len(model.weights)} variables loaded")
    assert "1.num_batches_tracked" in text and "← 0.weight.real" in text


def test_a_batch_norm_learns_on_from_the_statistics():
    model = imported("batchnorm1d")
    norm = next(one for one in model.layers if "normalization" in one.name)
    state, golden = load("batchnorm1d")
    x = golden["input"]
    model(x, training=True)
    covariance = np.asarray(norm.moving_covariance)
    batch = np.mean(x.real**2, 0) - np.mean(x.real, 0) ** 2
    # As cplxmodule: its running variance has ε in it, that of the layer has not.
    expected = 0.9 * state["0.running_var"][0, 0] + 0.1 * (batch + 1e-5)
    np.testing.assert_allclose(covariance[0] + 1e-5, expected, rtol=1e-5)


def test_symmetric_affine_maps_take_symmetric_matrices_only():
    state, _ = load("batchnorm1d")

    def model():
        return complex_model((4,), layers.ComplexBatchNormalization(affine="symmetric"))

    assert_refused(model(), state, "0.weight' .* must be symmetric")
    state["0.weight"][1, 0] = state["0.weight"][0, 1]
    full, symmetric = imported("batchnorm1d", state), model()
    cvzoo.import_cplxmodule(symmetric, state)
    pair = channels_last(load("batchnorm1d")[1]["input"])
    outputs = [np.asarray(one(pair)) for one in (full, symmetric)]
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-5)


def test_a_map_that_was_flattened_channels_last_is_taken_as_it_is():
    state, _ = load("real_network")
    order = np.arange(24).reshape(4, 3, 2).transpose(1, 2, 0).ravel()
    state["fc.weight"] = state["fc.weight"][:, order]
    model = MODELS["real_network"]()
    cvzoo.import_cplxmodule(model, state, flattened={"fc": None})
    assert_gives_outputs_of_the_original("real_network", model)


@pytest.mark.parametrize("between", ["map of one channel", "one place"])
def test_maps_of_one_channel_or_place_have_one_order(between):
    shape = (4, 3, 1) if between == "map of one channel" else (1, 1, 12)
    model = real_model(shape, keras.layers.Flatten(), keras.layers.Dense(2))
    weight = np.arange(24, dtype="float32").reshape(2, 12)
    state = {"0.weight": weight, "0.bias": np.ones(2, "float32")}
    cvzoo.import_cplxmodule(model, state)
    inputs = np.arange(12, dtype="float32").reshape(1, *shape)
    expected = weight @ np.arange(12) + 1
    np.testing.assert_allclose(model.predict(inputs, verbose=0)[0], expected, rtol=1e-6)


def test_sparsified_networks_are_imported_layer_by_layer():
    state, _ = load("network")
    model = MODELS["network"]()
    with_variances = {
        **state,
        "0.log_sigma2": np.full((3, 2, 3, 3), -3, "float32"),
        "6.log_sigma2": np.arange(144, dtype="float32").reshape(6, 24) / 144,
        "3.log_sigma2": np.full((4, 3, 3, 3), -5, "float32"),
        "9.log_sigma2": np.full((3, 12), -8, "float32"),
    }
    arguments = {"flattened": FLATTENED["network"]}
    assert_refused(model, with_variances, "4 tensors without a var", **arguments)
    bayesian = cvzoo.sparsify(model, VD)
    assert_refused(bayesian, state, "4 variables of the model without", **arguments)
    cvzoo.import_cplxmodule(bayesian, with_variances, **arguments)
    assert_gives_outputs_of_the_original("network", bayesian)
    dense = sparsity.sparse_layers(bayesian)[2]
    expected = with_variances["6.log_sigma2"].reshape(6, 4, 3, 2)
    expected = expected.transpose(2, 3, 1, 0).reshape(24, 6)
    np.testing.assert_array_equal(dense.log_sigma2, expected)
