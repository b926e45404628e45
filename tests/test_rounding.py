"""`round_weights` against numpy, and what it does to files and outputs."""

import json
import warnings

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import containers, packing, preset_files, sparsity, weights
from tests.helpers import small_model


def parts(value):
    return value if isinstance(value, tuple) else (value,)


def values_of(model):
    return {
        (name, i): part
        for name, value in weights.named_tensors(model).items()
        for i, part in enumerate(parts(value))
    }


def real_model():
    inputs = keras.Input((6,))
    scaled = keras.layers.Normalization()
    scaled.adapt(np.random.default_rng(0).normal(0.7, 2, size=(9, 6)))
    x = scaled(inputs)
    x = keras.layers.Dense(8, activation="relu", name="hidden")(x)
    block = keras.Input((8,))
    nested = keras.Model(
        block, keras.layers.Dense(5, name="inner")(block), name="block"
    )
    x = keras.layers.BatchNormalization()(nested(x))
    return keras.Model(inputs, keras.layers.Dense(3, name="output")(x))


def sparsified(model, seed=0):
    """A Bayesian copy with deviations that differ from weight to weight."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the layer left as it was
        bayesian = cvzoo.sparsify(
            model,
            lambda layer: None if layer.name == "output" else cvzoo.ARD(0.1),
            n_train=9,
        )
    generator = np.random.default_rng(seed)
    for layer in sparsity.sparse_layers(bayesian):
        shape = layer.log_sigma2.shape
        layer.log_sigma2.assign(generator.normal(-4, 2, size=shape))
    return bayesian


def test_float16_is_that_of_numpy_and_leaves_the_model_alone():
    model = real_model()
    before = values_of(model)
    rounded = cvzoo.round_weights(model, "float16")
    for key, value in values_of(rounded).items():
        np.testing.assert_array_equal(value, before[key].astype(np.float16))
        np.testing.assert_array_equal(values_of(model)[key], before[key])
    assert not rounded.compiled
    inputs = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    np.testing.assert_allclose(rounded(inputs), model(inputs), atol=0.01)


def test_float32_changes_nothing():
    model = real_model()
    rounded = values_of(cvzoo.round_weights(model, "float32"))
    for key, value in values_of(model).items():
        np.testing.assert_array_equal(rounded[key], value)


@pytest.mark.parametrize("make", [real_model, small_model])
def test_posterior_gives_each_kernel_a_grid_as_fine_as_its_deviations(make):
    bayesian = sparsified(make())
    pruned = cvzoo.prune(bayesian)
    before, after = (
        values_of(m)
        for m in (pruned, cvzoo.round_weights(pruned, "posterior", bayesian))
    )
    with_grid = set()
    for name, layer in weights.named_layers(bayesian):
        if getattr(layer, "log_sigma2", None) is None:
            continue
        kernel = [np.asarray(part) for part in layer.kernel_parts]
        variance = np.exp(np.float64(layer.log_sigma2))
        kept = variance / sum(part.astype(float) ** 2 for part in kernel)
        kept = variance[np.log(kept) <= -0.5] / len(kernel)
        deviation = np.sqrt(kept.size / np.sum(1 / kept))
        step = 2.0 ** np.floor(np.log2(cvzoo.rounding.STEP_PER_DEVIATION * deviation))
        for i in range(len(kernel)):
            key = (f"{name}/kernel", i)
            with_grid.add(key)
            np.testing.assert_array_equal(after[key] / step, np.rint(after[key] / step))
            assert np.abs(after[key] - before[key]).max() <= step / 2
            assert np.abs(after[key] - before[key]).max() > step / 8
            assert not after[key][before[key] == 0].any()
    assert with_grid
    for key in before.keys() - with_grid:
        np.testing.assert_array_equal(after[key], before[key].astype(np.float16))


def test_names_of_layers_count_and_not_their_shapes():
    bayesian = sparsified(small_model())
    small = cvzoo.shrink(cvzoo.prune(bayesian))
    rounded = cvzoo.round_weights(small, "posterior", bayesian)
    large = cvzoo.round_weights(cvzoo.prune(bayesian), "posterior", bayesian)
    inputs = np.random.default_rng(0).normal(size=(4, *small.input_shape[1:]))
    np.testing.assert_allclose(rounded(inputs), large(inputs), atol=0.02)


def test_masks_stay():
    rounded = cvzoo.round_weights(cvzoo.prune(sparsified(real_model())), "float16")
    assert len(sparsity.sparse_layers(rounded)) == 2


def test_huge_values_keep_their_grid_exact():
    assert cvzoo.rounding._to_grid(np.float32([1e30]), 2.0**-20) == np.float32(1e30)


def test_values_beyond_float16_are_refused():
    model = real_model()
    model.get_layer("hidden").bias.assign(np.full(8, 7e4))
    with pytest.raises(ValueError, match="'hidden/bias' does not fit float16.*7e.04"):
        cvzoo.round_weights(model, "float16")


def test_wrong_arguments_are_refused():
    model = real_model()
    bayesian = sparsified(model)
    with pytest.raises(ValueError, match="one of .*Received: 'int8'"):
        cvzoo.round_weights(model, "int8")
    with pytest.raises(ValueError, match="needed for `values='posterior'`"):
        cvzoo.round_weights(model, "posterior")
    with pytest.raises(ValueError, match="and for that only"):
        cvzoo.round_weights(model, "float16", bayesian)
    with pytest.raises(ValueError, match="Round the result of `cvzoo.prune"):
        cvzoo.round_weights(bayesian, "float16")
    with pytest.raises(ValueError, match="No layer of `posterior`.*has deviations"):
        cvzoo.round_weights(model, "posterior", model)


def test_the_threshold_tells_which_deviations_count():
    bayesian = sparsified(real_model())
    layer = bayesian.get_layer("hidden")
    # Half of the weights are kept at 3 only, and known less precisely.
    log_sigma2 = 2 * np.log(np.abs(np.asarray(layer.kernel)))
    log_sigma2[:3] -= 6
    log_sigma2[3:] += 2
    layer.log_sigma2.assign(log_sigma2)
    names = [layer.name for layer in sparsity.sparse_layers(bayesian)]
    assert "hidden" in names
    for threshold, kept in ((-0.5, log_sigma2[:3]), (3, log_sigma2)):
        steps = cvzoo.rounding._steps(bayesian, bayesian, threshold)
        assert steps["hidden"] == cvzoo.rounding._step(kept.ravel(), 1)


def test_a_network_that_lost_all_its_weights_is_rounded():
    bayesian = sparsified(real_model())
    with pytest.warns(UserWarning, match="removed every weight of"):
        pruned = cvzoo.prune(bayesian, -99)
    rounded = values_of(cvzoo.round_weights(pruned, "posterior", bayesian, -99))
    assert not rounded["hidden/kernel", 0].any()
    float16 = values_of(cvzoo.round_weights(pruned, "float16"))
    for key, value in float16.items():
        np.testing.assert_array_equal(rounded[key], value)


def test_bfloat16_is_rounded_too():
    inputs = keras.Input((3,), dtype="bfloat16")
    layer = keras.layers.Dense(1, dtype="bfloat16", name="output")
    model = keras.Model(inputs, layer(inputs))
    layer.kernel.assign([[1e-9], [1.5], [0.0]])
    rounded = cvzoo.round_weights(model, "float16")
    kernel = np.asarray(weights.named_tensors(rounded)["output/kernel"], np.float32)
    np.testing.assert_array_equal(kernel, [[0], [1.5], [0]])


def test_what_is_no_model_is_refused():
    with pytest.raises(ValueError, match="`model` must be a Keras model. Received: 3"):
        cvzoo.round_weights(3, "float16")
    with pytest.raises(ValueError, match="`posterior` must be a Keras model"):
        cvzoo.round_weights(small_model(), "posterior", "bayesian")


def test_presets_keep_what_was_rounded(tmp_path):
    bayesian = sparsified(small_model())
    pruned = cvzoo.prune(bayesian)
    inputs = np.random.default_rng(0).normal(size=(2, *pruned.input_shape[1:]))
    sizes = []
    for values in ("float32", "float16", "posterior"):
        posterior = bayesian if values == "posterior" else None
        folder = cvzoo.save_preset(
            pruned,
            tmp_path / values,
            examples=inputs,
            values=values,
            posterior=posterior,
        )
        loaded = cvzoo.from_preset(folder, verify=True)
        expected = values_of(cvzoo.round_weights(pruned, values, posterior))
        for key, value in values_of(loaded).items():
            np.testing.assert_array_equal(value, expected[key])
        counts = preset_files.read_manifest(folder)["counts"]
        assert ("change_of_outputs" in counts) == (values != "float32")
        if values != "float32":
            change = np.abs(np.asarray(loaded(inputs)) - np.asarray(pruned(inputs)))
            stated = counts["change_of_outputs"]["largest"]
            np.testing.assert_allclose(change.max(), stated, rtol=1e-3)
        sizes.append(len((folder / "weights.safetensors").read_bytes()))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.7 * sizes[0]


def test_presets_and_reports_round_by_the_threshold_of_pruning(tmp_path):
    bayesian = sparsified(small_model())
    pruned = cvzoo.prune(bayesian, threshold=-4.0)
    settings = {"values": "posterior", "posterior": bayesian}
    rounded = cvzoo.round_weights(pruned, **settings, threshold=-4.0)
    default = cvzoo.round_weights(pruned, **settings)
    expected, other = values_of(rounded), values_of(default)
    assert any(not np.array_equal(expected[key], other[key]) for key in expected)
    folder = cvzoo.save_preset(pruned, tmp_path / "one", **settings, threshold=-4.0)
    for key, value in values_of(cvzoo.from_preset(folder)).items():
        np.testing.assert_array_equal(value, expected[key])
    inputs = np.random.default_rng(0).normal(size=(2, *pruned.input_shape[1:]))
    found, same, another = (
        cvzoo.compression_report(model, inputs=inputs, **arguments).change
        for model, arguments in [
            (pruned, {**settings, "threshold": -4.0}),
            (rounded, {"reference": pruned}),
            (default, {"reference": pruned}),
        ]
    )
    assert found == same != another


def test_packing_finds_the_grid():
    bayesian = sparsified(small_model())
    rounded = cvzoo.round_weights(cvzoo.prune(bayesian), "posterior", bayesian)
    data = packing.pack(weights.named_tensors(rounded))
    stated = json.loads(containers.Entries(data).metadata["cvzoo"])["tensors"]
    assert "integers" in stated["hidden/kernel"][1]


def test_the_grid_of_a_folded_kernel_is_as_much_finer_as_the_kernel_is_smaller():
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(5, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(epsilon=1e-9, name="norm")(x)
    model = keras.Model(inputs, keras.layers.Flatten()(x))
    model.get_layer("norm").gamma.assign([0.01] * 5)
    model.get_layer("conv").kernel.assign(
        np.random.default_rng(0).normal(size=(3, 3, 2, 5))
    )
    bayesian = cvzoo.sparsify(model, cvzoo.ARD(0.1), n_train=9)
    (layer,) = sparsity.sparse_layers(bayesian)
    layer.log_sigma2.assign(np.full(layer.log_sigma2.shape, -8.0))
    pruned = cvzoo.prune(bayesian, threshold=9)
    for small, scale in ((cvzoo.shrink(pruned), 0.01), (pruned, 1.0)):
        rounded = cvzoo.round_weights(small, "posterior", bayesian)
        step = 2.0 ** np.floor(np.log2(0.5 * np.exp(-4) * scale))
        multiples = np.asarray(rounded.get_layer("conv").kernel) / step
        np.testing.assert_array_equal(multiples, np.rint(multiples))
        assert (multiples % 2 == 1).any()
