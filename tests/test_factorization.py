"""`factorize`: dense layers of models give way to structured ones."""

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo.layers import BlockCirculant, structured

METHODS = (
    {"method": "low_rank", "rank": 2},
    {"method": "block_circulant", "block_size": 4},
    {"method": "diagonal_circulant", "depth": 2, "iterations": 3},
)


def dense_model(inputs=24, units=24, outputs=3):
    keras.utils.set_random_seed(0)
    x = keras.Input((inputs,), name="features")
    y = keras.layers.Dense(units, "relu", name="hidden")(x)
    y = keras.layers.BatchNormalization(name="norm")(y)
    return keras.Model(x, keras.layers.Dense(outputs, name="logits")(y), name="dense")


def kernel_of(layer):
    return np.asarray(layer.kernel)


def inputs_of(model, examples=5):
    shape = (examples, *model.input_shape[1:])
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_low_rank_gives_the_best_matrix_of_that_rank():
    model = dense_model()
    small = cvzoo.factorize(model, "low_rank", rank=4, layers=["hidden"])
    hidden = small.get_layer("hidden")
    assert isinstance(hidden, structured.LowRank)
    left, values, right = np.linalg.svd(kernel_of(model.get_layer("hidden")))
    best = (left[:, :4] * values[:4]) @ right[:4]
    np.testing.assert_allclose(hidden.to_dense(), best, atol=1e-5)
    (row,) = cvzoo.factorization_report(small, model)
    expected = np.sqrt(np.sum(values[4:] ** 2) / np.sum(values**2))
    assert row.error == pytest.approx(expected, rel=1e-4)
    assert (row.name, row.parameters) == ("hidden", 2 * 4 * 24 + 24)
    assert row.dense_parameters == 24 * 24 + 24


def test_a_layer_that_is_of_the_structure_already_comes_back_as_it_was():
    model = dense_model()
    hidden = model.get_layer("hidden")
    left, right = np.random.default_rng(0).normal(size=(2, 24, 2))
    hidden.kernel.assign(left @ right.T)
    hidden.bias.assign(np.arange(24))
    small = cvzoo.factorize(model, "low_rank", rank=2, layers=["hidden"])
    x = inputs_of(model)
    np.testing.assert_allclose(small(x), model(x), rtol=1e-3, atol=1e-3)
    assert small.name == model.name and small.inputs[0].name == "features"


def test_block_circulant_layers_that_were_so_come_back():
    layer = BlockCirculant(8, 4, activation="tanh")
    layer.build((None, 12))
    dense = keras.layers.Dense(8, "tanh", name="dense")
    model = keras.Sequential([keras.Input((12,)), dense])
    dense.kernel.assign(layer.to_dense())
    small = cvzoo.factorize(model, "block_circulant", block_size=4)
    x = inputs_of(model)
    np.testing.assert_allclose(small(x), model(x), atol=1e-5)
    assert small.layers[-1].name == "dense"


@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize(("inputs", "units"), [(24, 24), (24, 15), (13, 24)])
def test_circulant_factors_have_the_error_that_is_reported(field, inputs, units):
    model = dense_model(inputs, units)
    small = cvzoo.factorize(model, depth=2, field=field, iterations=30)
    hidden = small.get_layer("hidden")
    assert isinstance(hidden, structured.CirculantProduct)
    kernel = kernel_of(model.get_layer("hidden"))
    matrix = np.asarray(hidden.to_dense())
    error = np.linalg.norm(matrix - kernel) / np.linalg.norm(kernel)
    assert 0 < error < 1
    row = cvzoo.factorization_report(small, model)[0]
    assert row.error == pytest.approx(error, rel=1e-3)
    parts = 2 if field == "complex" else 1
    assert row.parameters == 4 * 24 * parts + units


def test_training_goes_on():
    model = dense_model()
    small = cvzoo.factorize(model, depth=2, iterations=5)
    small.compile("adam", "mse")
    x = inputs_of(model, 64)
    history = small.fit(x, model.predict(x, verbose=0), epochs=8, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert kernel_of(model.get_layer("hidden")).shape == (24, 24)


def test_layers_that_would_not_be_smaller_stay():
    model = dense_model()
    small = cvzoo.factorize(model, depth=2, iterations=1)
    # 24 × 3 numbers are fewer than 2 · 2 · 24.
    assert type(small.get_layer("logits")) is keras.layers.Dense
    np.testing.assert_array_equal(
        kernel_of(small.get_layer("logits")), kernel_of(model.get_layer("logits"))
    )
    with pytest.raises(ValueError, match="No dense layer of 'dense' would have fewer"):
        cvzoo.factorize(model, depth=50)


def test_nested_models_and_layers_that_are_called_twice():
    keras.utils.set_random_seed(0)
    inner = dense_model(16, 16, 16)
    x = keras.Input((16,))
    model = keras.Model(x, inner(inner(x)))
    small = cvzoo.factorize(model, "low_rank", rank=3)
    rows = cvzoo.factorization_report(small, model)
    assert [row.name for row in rows] == ["hidden", "logits"]
    # Both calls go through one structured layer.
    once = cvzoo.factorize(inner, "low_rank", rank=3)
    x = inputs_of(model)
    np.testing.assert_allclose(small(x), once(once(x)), atol=1e-5)


def test_a_factorized_model_is_kept_as_a_preset(tmp_path):
    small = cvzoo.factorize(dense_model(), depth=2, field="complex", iterations=3)
    again = cvzoo.from_preset(cvzoo.save_preset(small, tmp_path / "preset"))
    x = inputs_of(small)
    np.testing.assert_allclose(again(x), small(x), atol=1e-6)


def test_padding_does_not_count_in_the_fit():
    """Four factors of 32 numbers have half the numbers of an 8×32 kernel."""
    model = dense_model(8, 32)
    small = cvzoo.factorize(model, depth=2, starts=2, iterations=150, layers=["hidden"])
    kernel = kernel_of(model.get_layer("hidden"))
    matrix = np.asarray(small.get_layer("hidden").to_dense())
    # Fitted with the zeros that the layer never reads, it was 0.705.
    assert np.linalg.norm(matrix - kernel) < 0.55 * np.linalg.norm(kernel)


def test_quantized_layers_stay_as_they_are():
    model = dense_model()
    model.get_layer("hidden").quantize("int8")
    x = inputs_of(model)
    small = cvzoo.factorize(model, "low_rank", rank=2)
    kinds = [type(small.get_layer(name)) for name in ("hidden", "logits")]
    assert kinds == [keras.layers.Dense, structured.LowRank]
    assert small.get_layer("hidden").quantization_mode == "int8"
    both = (keras.Model(m.input, m.get_layer("norm").output) for m in (small, model))
    np.testing.assert_allclose(*(one(x) for one in both), atol=1e-6)
    with pytest.raises(ValueError, match="not quantized.*logits. Received: hidden"):
        cvzoo.factorize(model, "low_rank", rank=2, layers=["hidden"])


@pytest.mark.parametrize("method", METHODS)
def test_frozen_layers_stay_frozen(method):
    model = dense_model()
    model.get_layer("hidden").trainable = False
    small = cvzoo.factorize(model, layers=["hidden"], **method)
    assert type(small.get_layer("hidden")) is not keras.layers.Dense
    assert not small.get_layer("hidden").trainable_variables
    assert small.get_layer("logits").trainable_variables


@pytest.mark.parametrize("method", METHODS)
def test_a_kernel_of_zeros_gives_a_layer_of_zeros(method):
    model = dense_model()
    model.get_layer("hidden").kernel.assign(np.zeros((24, 24)))
    small = cvzoo.factorize(model, layers=["hidden"], **method)
    assert not np.asarray(small.get_layer("hidden").to_dense()).any()
    (row,) = cvzoo.factorization_report(small, model)
    assert row.error == 0.0
    small.get_layer("hidden").set_weights(
        [weight + 1 for weight in small.get_layer("hidden").get_weights()]
    )
    (row,) = cvzoo.factorization_report(small, model)
    assert row.error == np.inf


@pytest.mark.parametrize("method", METHODS)
def test_a_kernel_that_is_not_finite_is_named(method):
    model = dense_model()
    kernel = kernel_of(model.get_layer("hidden")).copy()
    kernel[0, :2] = np.nan, np.inf
    model.get_layer("hidden").kernel.assign(kernel)
    with pytest.raises(ValueError, match="'hidden' must be finite.*2 of 576"):
        cvzoo.factorize(model, **method)


def test_other_layers_of_a_name_do_not_matter():
    """In nested models, names need not be unique."""
    inner = keras.Sequential(
        [keras.Input((24,)), keras.layers.ReLU(name="hidden")], name="inner"
    )
    outer = dense_model()
    model = keras.Model(outer.input, outer(inner(outer.input)))
    small = cvzoo.factorize(model, "low_rank", rank=2, layers=["hidden"])
    assert [row.name for row in cvzoo.factorization_report(small, model)] == ["hidden"]


def test_layers_that_cannot_have_the_rank_stay():
    small = cvzoo.factorize(dense_model(), "low_rank", rank=5)
    assert type(small.get_layer("hidden")) is structured.LowRank
    assert type(small.get_layer("logits")) is keras.layers.Dense
    with pytest.raises(ValueError, match="No dense layer of 'dense' would have fewer"):
        cvzoo.factorize(dense_model(), "low_rank", rank=50)


LOGITS_OF_4 = {"method": "low_rank", "rank": 4, "layers": ["logits"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "svd"}, "`method` must be one of"),
        ({"method": "low_rank"}, "`rank` must be a whole number.*None"),
        (LOGITS_OF_4, "`rank` must be at most 3 for layer 'logits'"),
        ({"method": "block_circulant", "block_size": 0}, "`block_size` must be"),
        ({"depth": 1.5}, "`depth` must be a whole number"),
        ({"field": "quaternion"}, "`field` must be 'real' or 'complex'"),
        ({"layers": ["head"]}, "It has hidden, logits. Received: head"),
        ({"layers": "hidden"}, r"a list of names, for example \['hidden'\]. Rec.*'hid"),
        ({"layers": []}, r"`layers` must be None.*Received: \[\]"),
        ({"starts": 0}, "`starts` must be a positive integer. Received: 0"),
        ({"iterations": 2.5}, "`iterations` must be a positive integer"),
        ({"iterations": -1}, "`iterations` must be a positive integer"),
    ],
)
def test_wrong_arguments_are_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        cvzoo.factorize(dense_model(), **arguments)


def test_a_model_without_dense_layers_is_told_of():
    model = keras.Sequential([keras.Input((4,)), keras.layers.ReLU(name="relu")])
    with pytest.raises(ValueError, match="replaces dense layers.* has none"):
        cvzoo.factorize(model, "low_rank", rank=1)
