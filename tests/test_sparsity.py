"""`sparsify` and `prune`."""

import warnings

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import sparsity
from cvzoo.sparsity import BayesianModel
from tests.helpers import small_model


def data(model, examples=32):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(examples, *model.input_shape[1:]))
    return inputs.astype(np.float32), generator.integers(0, 3, size=examples)


def compiled(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"])
    return model


def real_model():
    x = keras.Input((6,))
    y = keras.layers.Dense(8, activation="relu", name="hidden")(x)
    return keras.Model(x, keras.layers.Dense(3, name="output")(y))


def sequential_model():
    return keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3)]
    )


def nested_model():
    # Two nested layers of one name: paths alone would mix them up.
    def block(inputs, units):
        x = keras.Input((inputs,))
        return keras.Model(x, keras.layers.Dense(units, "relu", name="dense")(x))

    x = keras.Input((6,))
    y = block(8, 3)(block(6, 8)(keras.layers.BatchNormalization()(x)))
    return keras.Model(x, y)


SPARSIFIERS = [
    cvzoo.VariationalDropout(0.1),
    cvzoo.ARD(0.1),
    cvzoo.ARD(0.1, group="unit") + cvzoo.MagnitudePruning(0.5, end_step=2),
    cvzoo.MagnitudePruning(0.5, end_step=2),
]
MODELS = [small_model, real_model, sequential_model, nested_model]


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("sparsifier", SPARSIFIERS, ids=repr)
def test_sparsified_models_start_as_the_model_and_leave_it_alone(make, sparsifier):
    model = make()
    inputs, _ = data(model)
    # Batch norm that has seen data, so that its statistics matter.
    model(inputs, training=True)
    before, weights = model.predict(inputs, verbose=0), model.get_weights()
    sparse = cvzoo.sparsify(model, sparsifier, n_train=32)
    np.testing.assert_allclose(sparse.predict(inputs, verbose=0), before, atol=1e-6)
    assert not sparse.compiled
    compiled(sparse).fit(*data(model), verbose=0)
    assert not np.allclose(sparse.predict(inputs, verbose=0), before)
    for left, right in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("make", MODELS)
def test_pruned_weights_stay_zero_while_training_goes_on(make):
    sparse = compiled(cvzoo.sparsify(make(), SPARSIFIERS[0], n_train=32))
    for layer in sparsity.sparse_layers(sparse):
        shape = layer.log_sigma2.shape
        layer.log_sigma2.assign(np.random.default_rng(0).normal(-3, 3, size=shape))
    pruned = compiled(cvzoo.prune(sparse, threshold=0.0))
    pruned.fit(*data(pruned), epochs=2, verbose=0)
    layers = sparsity.sparse_layers(pruned)
    assert len(layers) == 2
    for layer in layers:
        kernel, _ = sparsity.linear_values(layer)
        is_zero = np.all([part == 0 for part in kernel], axis=0)
        np.testing.assert_array_equal(is_zero, np.asarray(layer.mask) == 0)
        assert 0 < is_zero.sum() < is_zero.size


def test_prune_keeps_weights_up_to_the_threshold():
    sparse = cvzoo.sparsify(small_model(), cvzoo.VariationalDropout(0.1), n_train=32)
    layer = sparse.get_layer("hidden")
    modulus = np.hypot(layer.kernel_real, layer.kernel_imag)
    log_alpha = np.random.default_rng(0).normal(size=modulus.shape)
    layer.log_sigma2.assign(log_alpha + 2 * np.log(modulus))
    pruned = cvzoo.prune(sparse, threshold=0.25)
    found = np.asarray(pruned.get_layer("hidden").mask)
    np.testing.assert_array_equal(found, log_alpha <= 0.25)


@pytest.mark.parametrize("make", [small_model, nested_model])
def test_loss_is_nll_plus_kl_in_training_and_nll_in_evaluation(make):
    sparse = compiled(cvzoo.sparsify(make(), SPARSIFIERS[0], n_train=32))
    inputs, labels = data(sparse)
    history = sparse.fit(inputs, labels, validation_data=(inputs, labels), verbose=0)
    logs = {key: values[-1] for key, values in history.history.items()}
    assert logs["kl"] > 0
    np.testing.assert_allclose(logs["loss"], logs["nll"] + logs["kl"], rtol=1e-5)
    assert logs["val_kl"] == 0
    np.testing.assert_allclose(logs["val_loss"], logs["val_nll"], rtol=1e-6)


def test_loss_is_nll_plus_kl_where_the_last_batch_is_smaller():
    sparse = compiled(cvzoo.sparsify(small_model(), SPARSIFIERS[0], n_train=32))
    inputs, labels = (part[:20] for part in data(sparse))
    logs = sparse.fit(inputs, labels, batch_size=16, verbose=0).history
    sums = np.add(logs["nll"], logs["kl"])
    np.testing.assert_allclose(logs["loss"], sums, rtol=1e-6)
    evaluated = sparse.evaluate(
        inputs, labels, batch_size=16, verbose=0, return_dict=True
    )
    np.testing.assert_allclose(evaluated["loss"], evaluated["nll"], rtol=1e-6)


def test_kl_is_counted_over_all_layers():
    sparse = compiled(cvzoo.sparsify(small_model(), SPARSIFIERS[0], n_train=32))
    sparse.optimizer.learning_rate = 0.0
    inputs, labels = data(sparse)
    kl = sparse.fit(inputs, labels, verbose=0).history["kl"][0]
    expected = sum(
        float(layer.sparsifier.penalty(layer))
        for layer in sparsity.sparse_layers(sparse)
    )
    np.testing.assert_allclose(kl, expected, rtol=1e-5)


def test_a_sparsified_model_survives_a_file_and_goes_on_training(tmp_path):
    sparse = compiled(cvzoo.sparsify(small_model(), SPARSIFIERS[2], n_train=32))
    inputs, labels = data(sparse)
    sparse.fit(inputs, labels, verbose=0)
    sparse.save(tmp_path / "sparse.keras")
    loaded = keras.models.load_model(tmp_path / "sparse.keras")
    assert isinstance(loaded, BayesianModel)
    for left, right in zip(sparse.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    assert loaded.fit(inputs, labels, verbose=0).history["kl"][0] > 0


def test_a_function_chooses_layers():
    sparse = cvzoo.sparsify(
        small_model(),
        lambda layer: SPARSIFIERS[0] if layer.name == "hidden" else None,
        n_train=32,
    )
    assert [layer.name for layer in sparsity.sparse_layers(sparse)] == ["hidden"]


def test_layers_may_hold_different_sparsifiers():
    chosen = {"hidden": SPARSIFIERS[0], "output": SPARSIFIERS[3]}
    sparse = cvzoo.sparsify(small_model(), lambda one: chosen[one.name], n_train=32)
    logs = compiled(sparse).fit(*data(sparse), verbose=0).history
    np.testing.assert_allclose(logs["loss"], np.add(logs["nll"], logs["kl"]), rtol=1e-5)
    masks = [layer.mask for layer in sparsity.sparse_layers(cvzoo.prune(sparse))]
    assert len(masks) == 2


def test_layers_left_alone_are_named():
    x = keras.Input((6, 2))
    y = keras.layers.LSTM(4, name="memory")(x)
    model = keras.Model(x, keras.layers.Dense(3)(y))
    with pytest.warns(UserWarning, match=r"memory \(LSTM, 88 % of the parameters\)"):
        cvzoo.sparsify(model, SPARSIFIERS[0], n_train=32)


def test_an_adapted_normalization_is_copied_whole():
    x = keras.Input((6,))
    normalization = keras.layers.Normalization()
    inputs = np.random.default_rng(0).normal(5, 3, size=(64, 6)).astype(np.float32)
    normalization.adapt(inputs)
    model = keras.Model(x, keras.layers.Dense(3)(normalization(x)))
    sparse = cvzoo.sparsify(model, SPARSIFIERS[0], n_train=32)
    np.testing.assert_allclose(
        sparse.predict(inputs, verbose=0), model.predict(inputs, verbose=0), atol=1e-5
    )


def test_what_cannot_be_sparsified_is_refused():
    x = keras.Input((6,))
    without = keras.Model(x, keras.layers.ReLU()(x))
    with pytest.raises(ValueError, match="no dense or convolutional layer"):
        cvzoo.sparsify(without, SPARSIFIERS[0], n_train=32)
    with pytest.raises(ValueError, match="`sparsifier` must be"):
        cvzoo.sparsify(real_model(), "vd", n_train=32)
    with pytest.raises(ValueError, match="needs `n_train`"):
        cvzoo.sparsify(real_model(), SPARSIFIERS[0])
    with pytest.raises(ValueError, match="holds a sparsifier"):
        cvzoo.prune(real_model())


def test_a_layer_that_is_called_twice_has_one_divergence():
    x = keras.Input((4,))
    shared = keras.layers.Dense(4, name="shared")
    model = keras.Model(x, shared(shared(x)))
    sparse = cvzoo.sparsify(model, SPARSIFIERS[0], n_train=32)
    sparse.compile("sgd", "mse")
    logs = sparse.fit(np.zeros((4, 4)), np.zeros((4, 4)), verbose=0).history
    layer = cvzoo.sparsify(model, SPARSIFIERS[0], n_train=32).get_layer("shared")
    expected = float(layer.sparsifier.penalty(layer))
    np.testing.assert_allclose(logs["kl"][0], expected, rtol=1e-5)
    np.testing.assert_allclose(logs["loss"][0], logs["nll"][0] + expected, rtol=1e-5)


def test_a_model_that_holds_sparsifiers_is_not_sparsified_again():
    sparse = cvzoo.sparsify(real_model(), SPARSIFIERS[0], n_train=32)
    for held in (sparse, cvzoo.prune(sparse)):
        with pytest.raises(ValueError, match="hold sparsifiers already"):
            cvzoo.sparsify(held, SPARSIFIERS[1], n_train=32)
    cvzoo.sparsify(cvzoo.shrink(cvzoo.prune(sparse)), SPARSIFIERS[1], n_train=32)


@pytest.mark.parametrize("wrong", [cvzoo.VariationalDropout, lambda layer: "vd"])
def test_classes_and_functions_of_something_else_are_refused(wrong):
    with pytest.raises(ValueError, match="`sparsifier` must"):
        cvzoo.sparsify(real_model(), wrong, n_train=32)


@pytest.mark.parametrize("threshold", [float("nan"), None, "high", [-0.5, 0.5]])
def test_a_threshold_that_is_no_number_is_refused(threshold):
    sparse = cvzoo.sparsify(real_model(), SPARSIFIERS[0], n_train=32)
    with pytest.raises(ValueError, match="must be a number.*Received"):
        cvzoo.prune(sparse, threshold)


def test_a_threshold_that_kills_a_layer_gives_a_warning_and_a_constant():
    sparse = cvzoo.sparsify(real_model(), SPARSIFIERS[0], n_train=32)
    sparse.get_layer("hidden").log_sigma2.assign(np.full((6, 8), 30.0))
    with pytest.warns(UserWarning, match="removed every weight of: hidden"):
        pruned = cvzoo.prune(sparse)
    outputs = pruned.predict(data(pruned)[0], verbose=0)
    np.testing.assert_array_equal(outputs, np.broadcast_to(outputs[0], outputs.shape))


@pytest.mark.parametrize("name", ["log_sigma2", "kernel"])
def test_pruning_a_network_that_diverged_is_refused(name):
    sparse = cvzoo.sparsify(real_model(), SPARSIFIERS[0], n_train=32)
    layer = sparse.get_layer("output")
    variable = layer.log_sigma2 if name == "log_sigma2" else layer.kernel_parts[0]
    variable.assign(np.full((8, 3), np.nan))
    with pytest.raises(ValueError, match=f"`{name}` of layer 'output' must be finite"):
        cvzoo.prune(sparse)


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"'hidden'.*shape \(6, 8\). Received.*\(8,\)"):
        sparsity.with_masks(real_model(), lambda layer: np.ones(8))


@pytest.mark.parametrize("value", [0.5, 2, -1, float("nan"), "1"])
def test_a_mask_of_other_values_than_0_and_1_is_refused(value):
    def mask(layer):
        return np.full(layer.kernel.shape, value) if layer.name == "output" else None

    with pytest.raises(ValueError, match="'output' must hold 0 and 1 only"):
        sparsity.with_masks(real_model(), mask)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, inputs):
        return self.dense(inputs)


@pytest.mark.parametrize("stage", [cvzoo.sparsify, cvzoo.prune])
@pytest.mark.parametrize("built", [False, True])
def test_subclassed_models_are_refused_with_what_to_do(stage, built):
    model = Subclassed()
    if built:
        model(np.zeros((2, 4)))
    arguments = (SPARSIFIERS[0], 32) if stage is cvzoo.sparsify else ()
    with pytest.raises(ValueError, match="subclassed Subclassed.*Build it as"):
        stage(model, *arguments)


@pytest.mark.parametrize(
    "stage", [lambda model: cvzoo.sparsify(model, SPARSIFIERS[0], 32), cvzoo.shrink]
)
def test_nested_subclassed_models_are_refused_with_what_to_do(stage):
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(2)(Subclassed()(x)))
    with pytest.raises(ValueError, match="subclassed Subclassed.*Build it as"):
        stage(model)


def test_a_model_without_shapes_is_refused_with_what_to_do():
    model = keras.Sequential([keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="no shapes yet. Begin it with"):
        cvzoo.sparsify(model, SPARSIFIERS[0], n_train=32)
    with pytest.raises(ValueError, match="no weights yet. Begin it with"):
        cvzoo.compression_report(model)


def test_what_is_no_model_is_refused():
    with pytest.raises(ValueError, match="Keras model is needed. Received"):
        cvzoo.sparsify(keras.layers.Dense(3), SPARSIFIERS[0], n_train=32)


def test_a_number_of_examples_below_one_is_refused():
    with pytest.raises(ValueError, match="`n_train` must be positive"):
        cvzoo.sparsify(real_model(), SPARSIFIERS[0], n_train=0)


def test_three_layers_add_up_in_fit_in_evaluation_and_after_a_file(tmp_path):
    x = keras.Input((6,))
    y = keras.layers.Dense(7, "relu")(keras.layers.Dense(8, "relu")(x))
    model = keras.Model(x, keras.layers.Dense(3)(y))
    sparse = compiled(cvzoo.sparsify(model, SPARSIFIERS[0], n_train=32))
    sparse.optimizer.learning_rate = 0.0
    inputs, labels = data(sparse)
    sparse.fit(inputs, labels, verbose=0)
    sparse.save(tmp_path / "sparse.keras")
    for one in (sparse, keras.models.load_model(tmp_path / "sparse.keras")):
        logs = one.fit(inputs, labels, verbose=0, batch_size=32).history
        penalties = [
            float(layer.sparsifier.penalty(layer))
            for layer in sparsity.sparse_layers(one)
        ]
        assert len(penalties) == 3
        np.testing.assert_allclose(logs["kl"][0], sum(penalties), rtol=1e-6)
        np.testing.assert_allclose(
            logs["loss"][0], logs["nll"][0] + logs["kl"][0], rtol=1e-6
        )
        evaluated = one.evaluate(inputs, labels, verbose=0, return_dict=True)
        assert evaluated["kl"] == 0
        np.testing.assert_allclose(evaluated["loss"], evaluated["nll"], rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("make", [real_model, small_model])
def test_the_divergence_is_float32_in_half_precision(make, policy):
    exact = cvzoo.sparsify(make(), SPARSIFIERS[0], n_train=32)
    keras.config.set_dtype_policy(policy)
    try:
        half = cvzoo.sparsify(make(), SPARSIFIERS[0], n_train=32)
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(exact.get_weights())
    pairs = zip(*map(sparsity.sparse_layers, (exact, half)), strict=True)
    for left, right in pairs:
        assert right.compute_dtype == policy.removeprefix("mixed_")
        penalty = right.sparsifier.penalty(right)
        assert keras.backend.standardize_dtype(penalty.dtype) == "float32"
        np.testing.assert_allclose(penalty, left.sparsifier.penalty(left), rtol=1e-6)
    half(data(half)[0], training=True)
    dtypes = {keras.backend.standardize_dtype(loss.dtype) for loss in half.losses}
    assert dtypes == {"float32"}


@pytest.mark.parametrize(
    "call",
    [cvzoo.shrink, lambda model: cvzoo.save_preset(model, "preset")],
    ids=["shrink", "save_preset"],
)
def test_a_model_that_was_not_pruned_yet_is_told_of(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sparse = cvzoo.sparsify(small_model(), cvzoo.VariationalDropout(), n_train=10)
    with pytest.warns(UserWarning, match="not pruned.*and 1 more.*`cvzoo.prune"):
        call(sparse)
    with warnings.catch_warnings(action="error", category=UserWarning):
        cvzoo.shrink(cvzoo.prune(sparse, threshold=20.0))
