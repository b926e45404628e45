"""Presets with another head, frozen layers, and training that goes on."""

import json

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import (
    architecture,
    catalogue,
    heads,
    layers,
    preset_files,
    sparsity,
    weights,
)
from cvzoo.preset_files import PresetError
from tests.helpers import COMPILE, inputs_of, small_model

DIGITS = "simple_conv_complex_vd_digits"


def preset_of(model, folder, **arguments):
    arguments = {"compile": COMPILE, **arguments}
    return cvzoo.save_preset(model, folder / "preset", **arguments)


def chain(*layers, inputs=(6,)):
    return keras.Sequential([keras.Input(inputs), *layers])


# A new head


@pytest.mark.parametrize("name", catalogue.preset_names())
@pytest.mark.parametrize("classes", [5, 100])
def test_shipped_presets_get_a_head_of_as_many_classes(name, classes):
    old, new = cvzoo.from_preset(name), cvzoo.from_preset(name, classes=classes)
    assert new.output_shape == (*old.output_shape[:-1], classes)
    assert new.loss.get_config() == old.loss.get_config()
    assert new.optimizer.learning_rate == old.optimizer.learning_rate
    before, after = weights.named_tensors(old), weights.named_tensors(new)
    assert set(before) == set(after)
    changed = {
        key.rpartition("/")[0]
        for key, value in before.items()
        if not np.array_equal(value, after[key])
    }
    assert changed in ({"output"}, {"logits"})
    masks = {layer.name for layer in sparsity.sparse_layers(old)} - changed
    assert {layer.name for layer in sparsity.sparse_layers(new)} == masks


def test_weights_of_a_head_are_those_of_a_new_layer():
    found = cvzoo.from_preset(DIGITS, classes=400).get_layer("output")
    # cplxmodule's: each part uniform on ±1/√(2 · inputs).
    edge = 1 / np.sqrt(2 * 156)
    for part in found.kernel_parts:
        values = np.sort(np.ravel(part))
        uniform = np.linspace(-edge, edge, values.size)
        np.testing.assert_allclose(values, uniform, atol=0.02 * edge)


def test_a_real_head_is_glorot_uniform_and_seeded(tmp_path):
    model = chain(keras.layers.Dense(300, name="hidden"), keras.layers.Dense(3))
    folder = preset_of(model, tmp_path)

    def kernel():
        keras.utils.set_random_seed(3)
        return cvzoo.from_preset(folder, classes=200).layers[-1].kernel.numpy()

    values = np.sort(kernel().ravel())
    edge = np.sqrt(6 / (300 + 200))
    uniform = np.linspace(-edge, edge, values.size)
    np.testing.assert_allclose(values, uniform, atol=0.02 * edge)
    np.testing.assert_array_equal(kernel(), kernel())


def test_what_is_before_the_head_computes_the_same(tmp_path):
    folder = preset_of(small_model(), tmp_path)
    inputs = inputs_of(small_model())
    old, new = cvzoo.from_preset(folder), cvzoo.from_preset(folder, classes=7)
    relu = [keras.Model(m.input, m.get_layer("relu").output) for m in (old, new)]
    for left, right in zip(*(model(inputs) for model in relu), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_gate_of_the_classes_is_new_as_well(tmp_path):
    x = keras.Input((6,))
    y = keras.layers.Dense(8, name="hidden")(x)
    y = layers.MixtureOfExperts(3, mixtures=2, name="mixture")(y)
    y = layers.ContextGating(name="gated")(y)
    model = keras.Model(x, y)
    gated = model.get_layer("gated")
    gated.norm.moving_mean.assign(np.full(3, 9.0))
    folder = preset_of(model, tmp_path)
    found = cvzoo.from_preset(folder, classes=11)
    assert found.output_shape == (None, 11)
    new = found.get_layer("gated")
    np.testing.assert_array_equal(new.norm.moving_mean, np.zeros(11))
    np.testing.assert_array_equal(new.norm.moving_variance, np.ones(11))
    assert np.std(new.projected.kernel) > 0.1
    np.testing.assert_array_equal(
        found.get_layer("hidden").kernel, model.get_layer("hidden").kernel
    )


def test_all_heads_of_an_ensemble_are_new(tmp_path):
    model = cvzoo.create_model(
        "scattering_dcnn",
        input_shape=(8, 8, 1),
        scales=1,
        angles=2,
        depth=1,
        layer="low_rank",
        rank=2,
        ensemble=2,
        classes=3,
    )
    found = cvzoo.from_preset(preset_of(model, tmp_path), classes=4)
    assert found.output_shape == (None, 4)
    for name in ("logits_1", "logits_2"):
        assert found.get_layer(name).units == 4


@pytest.mark.parametrize("name", cvzoo.list_models())
def test_every_architecture_has_a_head(name, tmp_path):
    from cvzoo.models.registry import tiny_arguments

    model = cvzoo.create_model(name, **tiny_arguments(name))
    folder = cvzoo.save_preset(model, tmp_path / "preset")
    found = cvzoo.from_preset(folder, classes=2)
    assert found.output_shape == (*model.output_shape[:-1], 2)


def test_a_convolution_before_a_mean_over_space_is_a_head(tmp_path):
    model = chain(
        keras.layers.Conv1D(4, 2),
        keras.layers.Conv1D(3, 1, name="head"),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Softmax(),
        inputs=(6, 2),
    )
    found = cvzoo.from_preset(preset_of(model, tmp_path), classes=9)
    assert found.output_shape == (None, 9)
    assert found.get_layer("head").kernel.shape == (1, 4, 9)


def two_outputs():
    x = keras.Input((6,))
    return keras.Model(x, [keras.layers.Dense(3)(x), keras.layers.Dense(3)(x)])


def head_used_twice():
    x = keras.Input((6,))
    shared = keras.layers.Dense(6, name="shared")
    return keras.Model(x, shared(shared(x)))


def head_with_a_branch():
    x = keras.Input((6,))
    y = keras.layers.Dense(6, name="first")(x)
    return keras.Model(x, keras.layers.Add()([y, keras.layers.Dense(6)(y)]))


def grouped():
    return chain(keras.layers.Conv1D(4, 1, groups=2, name="parts"), inputs=(6, 4))


REFUSED = {
    "two outputs": (two_outputs, "has 2 outputs"),
    "reshaped": (
        lambda: chain(keras.layers.Dense(6), keras.layers.Reshape((2, 3))),
        r"ends in 'reshape\w*' \(Reshape\)",
    ),
    "no layer": (lambda: chain(keras.layers.ReLU()), r"\(input\)"),
    "parts side by side": (
        lambda: chain(
            layers.ToComplex("trailing"),
            layers.ComplexDense(3),
            layers.FromComplex("concatenated"),
            inputs=(6, 2),
        ),
        r"\(FromComplex\)",
    ),
    "called twice": (head_used_twice, r"head \['shared'\] is used at 'shared'"),
    "used twice": (head_with_a_branch, "is used at"),
    "groups": (grouped, r"'parts' \(Conv1D\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_network_without_a_head_is_refused(case, tmp_path):
    make, message = REFUSED[case]
    folder = cvzoo.save_preset(make(), tmp_path / "preset")
    with pytest.raises(PresetError, match=message):
        cvzoo.from_preset(folder, classes=4)
    cvzoo.from_preset(folder)


def test_a_last_layer_of_another_size_than_the_classes_is_no_head(tmp_path):
    folder = preset_of(small_model(classes=3), tmp_path, classes="abc")
    # As somebody else may have written it.
    manifest = json.loads((folder / "metadata.json").read_text("utf-8"))
    manifest["classes"] = ["a", "b"]
    (folder / "metadata.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(PresetError, match="'output' has 3 outputs.*has 2 classes"):
        cvzoo.from_preset(folder, classes=5)


@pytest.mark.parametrize("classes", [0, -1, 2.0, True, "5", [5], 2**25])
def test_classes_must_be_a_positive_whole_number(classes):
    with pytest.raises(ValueError, match="`classes` must be a positive integer|units="):
        cvzoo.from_preset("two_layer_dense_complex_vd_digits", classes=classes)


def test_numbers_of_numpy_are_classes():
    name = "two_layer_dense_complex_vd_digits"
    assert cvzoo.from_preset(name, classes=np.int64(4)).output_shape == (None, 4)


def test_stored_outputs_of_another_head_cannot_be_verified():
    with pytest.raises(ValueError, match="`verify` compares outputs of the preset's"):
        cvzoo.from_preset(DIGITS, classes=5, verify=True)


def test_a_new_head_has_no_more_numbers_than_the_manifest_and_classes_say():
    """A damaged description cannot have a huge head made."""
    model = chain(keras.layers.Dense(4, name="a"), keras.layers.Dense(3, name="b"))
    shapes = {name: spec.shape for name, spec in weights.specs(model).items()}
    described, fresh, shapes = heads.replaced(
        architecture.describe(model), shapes, classes=5, known=3
    )
    described["layers"]["a"]["units"] = 2**20
    shapes["a/kernel"], shapes["a/bias"] = (6, 2**20), (2**20,)
    with pytest.raises(ValueError, match=r"\(1048576, 5\); the manifest states"):
        architecture.build(described, shapes, fresh=fresh)


# Frozen layers


def test_frozen_layers_come_back_frozen_and_others_are_not_told_of(tmp_path):
    model = small_model()
    model.get_layer("hidden").trainable = False
    described = architecture.describe(model)
    assert described["layers"]["hidden"]["trainable"] is False
    assert json.dumps(described).count("trainable") == 1
    loaded = cvzoo.from_preset(preset_of(model, tmp_path))
    assert not loaded.get_layer("hidden").trainable
    assert loaded.get_layer("output").trainable
    names = [variable.path for variable in loaded.trainable_variables]
    assert len(names) == 4 and all("output" in name for name in names)
    assert architecture.describe(loaded) == described


def test_frozen_layers_with_masks_stay_as_they_are_while_others_train(saved, tmp_path):
    first = cvzoo.from_preset(saved[0], classes=4)
    first.get_layer("hidden").trainable = False
    folder = preset_of(first, tmp_path)
    model = cvzoo.from_preset(folder)
    frozen = [one.numpy() for one in model.get_layer("hidden").weights]
    head = model.get_layer("output").kernel_real.numpy()
    model.fit(inputs_of(model), np.arange(16) % 4, epochs=2, verbose=0)
    for value, variable in zip(frozen, model.get_layer("hidden").weights, strict=True):
        np.testing.assert_array_equal(value, variable)
    assert np.abs(model.get_layer("output").kernel_real - head).max() > 0
    model.get_layer("hidden").trainable = True
    names = [one.name for one in model.get_layer("hidden").trainable_variables]
    assert "mask" not in names and len(names) == 4


def test_frozen_batch_norm_keeps_its_statistics(tmp_path):
    model = chain(
        keras.layers.Dense(4),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Dense(3),
    )
    model.get_layer("norm").trainable = False
    loaded = cvzoo.from_preset(preset_of(model, tmp_path))
    loaded.fit(np.ones((8, 6)), np.zeros(8), verbose=0)
    np.testing.assert_array_equal(loaded.get_layer("norm").moving_mean, np.zeros(4))


def test_layers_inside_a_frozen_layer_are_frozen(tmp_path):
    x = keras.Input((6,))
    gated = layers.ContextGating(name="gated")
    model = keras.Model(x, keras.layers.Dense(3)(gated(x)))
    gated.trainable = False
    loaded = cvzoo.from_preset(preset_of(model, tmp_path)).get_layer("gated")
    assert not loaded.norm.trainable and not loaded.projected.trainable
    assert loaded.trainable_variables == []


def test_a_new_head_is_trainable_where_the_old_was_not(tmp_path):
    model = small_model()
    model.trainable = False
    folder = preset_of(model, tmp_path)
    loaded = cvzoo.from_preset(folder, classes=4)
    assert loaded.get_layer("output").trainable
    assert not loaded.get_layer("hidden").trainable


@pytest.mark.parametrize("value", [True, 0, "false", None, [False]])
def test_other_values_of_trainable_are_refused(value):
    model = small_model()
    described = architecture.describe(model)
    described["layers"]["hidden"]["trainable"] = value
    shapes = {name: spec.shape for name, spec in weights.specs(model).items()}
    with pytest.raises(architecture.ArchitectureError, match="Expected false, or"):
        architecture.build(described, shapes)


# Training on


@pytest.mark.parametrize("classes", [None, 5])
def test_a_shipped_preset_is_fitted_and_saved_without_growing(classes, tmp_path):
    shipped = catalogue.SHIPPED / DIGITS
    model = cvzoo.from_preset(DIGITS, classes=classes)
    # Of a new head, all numbers count from the beginning.
    before = cvzoo.compression_report(model)
    zeros = {
        layer.name: layer.mask.numpy() == 0 for layer in sparsity.sparse_layers(model)
    }
    inputs = cvzoo.examples(DIGITS)
    for _ in range(2):
        model.fit(inputs, np.arange(len(inputs)) % 5, verbose=0)
        folder = cvzoo.save_preset(model, tmp_path / "again", overwrite=True)
        model = cvzoo.from_preset(folder)
    after = cvzoo.compression_report(model)
    assert after.nonzero <= before.nonzero
    size = (folder / preset_files.WEIGHTS).stat().st_size
    assert size <= 1.02 * before.bytes
    if classes is None:
        assert size <= 1.02 * (shipped / preset_files.WEIGHTS).stat().st_size
    for name, zero in zeros.items():
        kernel, _ = sparsity.linear_values(model.get_layer(name))
        assert zero.any() and not any(part[zero].any() for part in kernel)
