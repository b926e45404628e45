"""`sparsify` on networks of `keras.applications` and on unusual graphs."""

import re
import warnings

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import sparsity

VD = cvzoo.VariationalDropout(0.1)


def images(model, size=2):
    shape = (size, *model.input_shape[1:])
    return np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)


def assert_equal_outputs(model, sparse, inputs=None, **tolerance):
    inputs = images(model) if inputs is None else inputs
    expected = keras.ops.convert_to_numpy(model(inputs, training=False))
    found = keras.ops.convert_to_numpy(sparse(inputs, training=False))
    np.testing.assert_allclose(found, expected, **{"atol": 1e-5, **tolerance})


@pytest.mark.parametrize(
    ("name", "size", "linear"),
    [("MobileNetV2", 32, 53), ("ResNet50", 32, 54), ("VGG16", 32, 16)]
    + [("EfficientNetB0", 32, 82)],
)
def test_networks_of_keras_are_sparsified_whole(name, size, linear):
    make = getattr(keras.applications, name)
    model = make(weights=None, input_shape=(size, size, 3), classes=10)
    before = [np.asarray(weight) for weight in model.weights]
    sparse = cvzoo.sparsify(model, VD, n_train=10)
    assert_equal_outputs(model, sparse)
    assert len(sparsity.sparse_layers(sparse)) == linear
    assert [one.name for one in sparse.layers] == [one.name for one in model.layers]
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)


@pytest.mark.slow
def test_a_network_of_depthwise_convolutions_survives_a_preset(tmp_path):
    model = keras.applications.EfficientNetB0(
        weights=None, input_shape=(32, 32, 3), classes=10
    )
    normalization = next(
        layer for layer in model.layers if isinstance(layer, keras.layers.Normalization)
    )
    normalization.adapt(images(model, 8))
    masks = np.random.default_rng(0)
    pruned = sparsity.with_masks(
        model,
        lambda layer: (
            masks.uniform(size=layer.kernel.shape) > 0.5
            if isinstance(layer, keras.layers.DepthwiseConv2D)
            else None
        ),
    )
    cvzoo.save_preset(pruned, tmp_path / "preset")
    loaded = cvzoo.from_preset(tmp_path / "preset")
    assert_equal_outputs(pruned, loaded)


def test_attention_is_left_alone_and_listed_in_a_transformer_block():
    x = keras.Input((5, 8))
    attention = keras.layers.MultiHeadAttention(2, 4, name="attention")
    y = keras.layers.LayerNormalization()(keras.layers.Add()([x, attention(x, x)]))
    z = keras.layers.Dense(8, name="out")(keras.layers.Dense(16, "gelu", name="in")(y))
    model = keras.Model(
        x, keras.layers.LayerNormalization()(keras.layers.Add()([y, z]))
    )
    percent = round(100 * attention.count_params() / model.count_params())
    expected = f"attention (MultiHeadAttention, {percent} % of the parameters)"
    with pytest.warns(UserWarning, match=re.escape(f"dense: {expected}") + "$"):
        sparse = cvzoo.sparsify(model, VD, n_train=10)
    assert [one.name for one in sparsity.sparse_layers(sparse)] == ["in", "out"]
    assert_equal_outputs(model, sparse)


def two_layers():
    x = keras.Input((4,))
    y = keras.layers.Dense(6, "relu", name="first")(x)
    return keras.Model(x, keras.layers.Dense(4, name="last")(y), name="two")


@pytest.mark.parametrize("choose", [VD, lambda layer: VD], ids=["one", "function"])
def test_frozen_layers_are_left_alone_and_listed(choose):
    x = keras.Input((4,))
    nested = two_layers()
    model = keras.Model(x, keras.layers.Dense(5, name="out")(nested(x)))
    nested.trainable = False
    with pytest.warns(UserWarning, match=r"first \(Dense, not trainable, 36 %.*last"):
        sparse = cvzoo.sparsify(model, choose, n_train=10)
    assert [one.name for one in sparsity.sparse_layers(sparse)] == ["out"]
    assert_equal_outputs(model, sparse)


def test_frozen_layers_that_are_given_none_are_not_listed():
    model = two_layers()
    model.get_layer("first").trainable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        sparse = cvzoo.sparsify(
            model, lambda layer: VD if layer.trainable else None, n_train=10
        )
    assert [one.name for one in sparsity.sparse_layers(sparse)] == ["last"]
    assert_equal_outputs(model, sparse)


def test_a_model_that_is_all_frozen_is_refused():
    model = two_layers()
    model.trainable = False
    with pytest.raises(ValueError, match="Left alone: first .Dense, not trainable"):
        cvzoo.sparsify(model, VD, n_train=10)


def test_layers_with_lora_are_left_alone_and_listed():
    model = two_layers()
    model.get_layer("first").enable_lora(2, lora_alpha=3)
    model.get_layer("first").lora_kernel_b.assign(np.ones((2, 6)))
    with pytest.warns(UserWarning, match=r"dense: first \(Dense, LoRA is on, "):
        sparse = cvzoo.sparsify(model, VD, n_train=10)
    assert [one.name for one in sparsity.sparse_layers(sparse)] == ["last"]
    assert_equal_outputs(model, sparse)
    assert_equal_outputs(sparse, cvzoo.prune(sparse, threshold=99.0))


def test_models_nested_twice_with_layers_of_equal_names():
    def block(units, inside=None):
        x = keras.Input((6,))
        y = keras.layers.Dense(units, "tanh", name="same")(x)
        return keras.Model(x, inside(y) if inside else y)

    x = keras.Input((6,))
    y = keras.layers.Dense(6, name="same")(x)
    model = keras.Model(x, block(6, inside=block(6, inside=block(3)))(y))
    sparse = cvzoo.sparsify(model, VD, n_train=10)
    assert len(sparsity.sparse_layers(sparse)) == 4
    assert_equal_outputs(model, sparse)


def test_shared_layers_and_shared_models_stay_shared():
    inner_input = keras.Input((4,))
    inner = keras.Model(inner_input, keras.layers.Dense(4, name="in")(inner_input))
    shared = keras.layers.Dense(4, name="shared")
    x = keras.Input((4,))
    y = shared(inner(shared(inner(x))))
    model = keras.Model(x, keras.layers.Multiply()([y, shared(x)]))
    sparse = cvzoo.sparsify(model, VD, n_train=10)
    assert len(sparsity.sparse_layers(sparse)) == 2
    assert len(sparse.trainable_variables) == 6
    assert_equal_outputs(model, sparse)


def test_wrappers_are_left_alone_and_listed_with_their_share():
    x = keras.Input((5, 6))
    y = keras.layers.TimeDistributed(keras.layers.Dense(4), name="each")(x)
    y = keras.layers.Bidirectional(keras.layers.GRU(3), name="both")(y)
    model = keras.Model(x, keras.layers.Dense(2)(y))
    with pytest.warns(UserWarning) as caught:
        sparse = cvzoo.sparsify(model, VD, n_train=10)
    (text,) = [str(one.message) for one in caught if one.category is UserWarning]
    total = model.count_params()
    for name, kind in [("each", "TimeDistributed of Dense"), ("both", "Bidirectional")]:
        percent = round(100 * model.get_layer(name).count_params() / total)
        assert f"{name} ({kind}" in text and f"{percent} % of the parameters" in text
    assert_equal_outputs(model, sparse)


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"),
        keras.layers.EinsumDense("...c,cd->...d", 3),
        keras.layers.DepthwiseConv1D(3, depth_multiplier=2, padding="same"),
        keras.layers.Conv1DTranspose(3, 3, strides=2, output_padding=1),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_other_layers_survive_files_and_presets(layer, tmp_path):
    x = keras.Input((5, 4))
    model = keras.Model(x, layer(x))
    sparse = cvzoo.sparsify(model, VD + cvzoo.MagnitudePruning(0.5, 9), n_train=10)
    for variable in sparse.variables:
        if variable.name == "log_sigma2":
            variable.assign(variable + np.random.default_rng(0).normal(9, 3))
    assert_equal_outputs(model, sparse)
    sparse.save(tmp_path / "sparse.keras")
    loaded = keras.models.load_model(tmp_path / "sparse.keras")
    sparse.save_weights(tmp_path / "sparse.weights.h5")
    again = cvzoo.sparsify(model, VD + cvzoo.MagnitudePruning(0.5, 9), n_train=10)
    again.load_weights(tmp_path / "sparse.weights.h5")
    for copy in (loaded, again):
        for left, right in zip(copy.weights, sparse.weights, strict=True):
            np.testing.assert_array_equal(left, right)
    with pytest.warns(UserWarning, match="not pruned"):
        cvzoo.save_preset(sparse, tmp_path / "preset")
    assert_equal_outputs(model, cvzoo.from_preset(tmp_path / "preset"))


def test_the_real_bilinear_form_survives_sparsifying_and_presets(tmp_path):
    x = keras.Input((4,), name="x")
    form = cvzoo.layers.Bilinear(3, name="form")
    model = keras.Model(x, form([x, keras.layers.Dense(2)(x)]))
    sparse = cvzoo.sparsify(model, VD, n_train=10)
    assert len(sparsity.sparse_layers(sparse)) == 2
    assert_equal_outputs(model, sparse)
    with pytest.warns(UserWarning, match="not pruned"):
        cvzoo.save_preset(sparse, tmp_path / "preset")
    assert_equal_outputs(model, cvzoo.from_preset(tmp_path / "preset"))
