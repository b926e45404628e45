"""Architectures ↔ JSON, and what a hostile file meets."""

import copy
import json

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import architecture, weights
from cvzoo.architecture import ArchitectureError
from tests.helpers import small_model


def shapes(model):
    return {name: spec.shape for name, spec in weights.specs(model).items()}


def every_layer():
    """A model with most of the layers on the list."""
    x = keras.Input((6, 6, 1), name="x")
    y = keras.layers.Rescaling(2.0, offset=-1.0)(x)
    z = cvzoo.layers.FourierFeatures(norm="backward", shift=False)(y)
    z = cvzoo.layers.PerPart(keras.layers.Flatten())(z)
    z = cvzoo.layers.ComplexDense(5, activation="tanh")(z)
    other = cvzoo.layers.PerPart(keras.layers.LeakyReLU(negative_slope=0.2))(z)
    z = cvzoo.layers.PerPart(keras.layers.Concatenate())([z, other])
    y = cvzoo.layers.FromComplex("concatenated")(z)
    y = keras.layers.Reshape((4, 5))(y)
    y = keras.layers.Dropout(0.3)(keras.layers.ELU(alpha=0.5)(y))
    y = keras.layers.ReLU(max_value=6.0)(keras.layers.Flatten()(y))
    shared = keras.layers.Dense(4, activation="relu", use_bias=False, name="shared")
    first = shared(y)
    second = shared(keras.layers.Activation("sigmoid")(y))
    return keras.Model(x, [keras.layers.Add()([first, second]), first])


@pytest.mark.parametrize("make", [every_layer, small_model])
def test_a_described_model_is_built_again(make):
    model = make()
    data = json.loads(json.dumps(architecture.describe(model)))
    copied = architecture.build(data, shapes(model))
    weights.assign(copied, weights.named_tensors(model))
    inputs = np.random.default_rng(0).normal(size=(3, *model.input_shape[1:]))
    for left, right in zip(
        keras.tree.flatten(model(inputs)),
        keras.tree.flatten(copied(inputs)),
        strict=True,
    ):
        np.testing.assert_allclose(left, right, atol=1e-6)
    assert architecture.describe(copied) == architecture.describe(model)


def test_no_module_or_code_is_named():
    text = json.dumps(architecture.describe(every_layer()))
    for word in ("module", "keras", "cvzoo", "lambda", "registered"):
        assert word not in text


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Lambda(lambda x: x),
        keras.layers.SimpleRNN(3),
        keras.layers.Activation(keras.activations.glu),
        keras.layers.Flatten(data_format="channels_first"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_that_cannot_be_kept_are_refused(layer):
    x = keras.Input((4, 4))
    with pytest.raises(ArchitectureError, match="cannot keep|may hold"):
        architecture.describe(keras.Model(x, layer(x)))


MODEL = None


def described():
    """Description and shapes of one small model."""
    global MODEL
    if MODEL is None:
        model = small_model()
        MODEL = architecture.describe(model), shapes(model)
    return copy.deepcopy(MODEL)


def change(path, value):
    def apply(data):
        *parents, last = path
        for key in parents:
            data = data[key]
        data[last] = value

    return apply


CHANGES = {
    "unknown class": change(["layers", "relu", "layer", "class"], "Lambda"),
    "module path": change(["layers", "hidden", "class"], "os.system"),
    "class of another type": change(["layers", "hidden", "class"], ["Dense"]),
    "weights in PerPart": change(
        ["layers", "relu", "layer"],
        {"class": "Dense", "units": 2**20, "activation": "linear", "use_bias": True},
    ),
    "nested PerPart": change(
        ["layers", "relu", "layer"],
        {"class": "PerPart", "layer": {"class": "Flatten"}},
    ),
    "huge number": change(["layers", "relu", "layer", "negative_slope"], 10**400),
    "name of another type": change(["inputs", 0, "name"], ["signal"]),
    "unknown argument": change(["layers", "hidden", "kernel_initializer"], "zeros"),
    "other units than stated": change(["layers", "hidden", "units"], 13),
    "huge units": change(["layers", "hidden", "units"], 10**12),
    "negative units": change(["layers", "hidden", "units"], -1),
    "boolean units": change(["layers", "hidden", "units"], True),
    "unknown activation": change(["layers", "hidden", "activation"], "exec"),
    "activation of code": change(
        ["layers", "hidden", "activation"], {"class_name": "function"}
    ),
    "layout": change(["layers", "open", "layout"], "guess"),
    "huge input": change(["inputs", 0, "shape"], [2**23, 2**23]),
    "input dtype": change(["inputs", 0, "dtype"], "string"),
    "input rank": change(["inputs", 0, "shape"], [1] * 9),
    "format": change(["format"], 2),
    "extra key": change(["code"], "import os"),
    "unknown layer": change(["calls", 0, 0], "nobody"),
    "later output": change(["calls", 0, 1], ["hidden", 0, 0]),
    "no tensor": change(["calls", 0, 1], {"exec": []}),
    "negative index": change(["calls", 0, 1], ["signal", 0, -1]),
    "output index": change(["outputs", 0], ["logits", 0, 7]),
    "output of nobody": change(["outputs", 0], ["nobody", 0, 0]),
    "nested outputs": change(["outputs", 0], {"list": []}),
    "layers as list": change(["layers"], []),
    "calls as number": change(["calls"], 3),
    "call of the wrong length": change(["calls", 0], ["open"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_description_is_refused(name):
    data, tensors = described()
    CHANGES[name](data)
    with pytest.raises(ArchitectureError):
        architecture.build(data, tensors)


def test_kernels_are_compared_before_they_are_made(monkeypatch):
    data, tensors = described()
    data["layers"]["hidden"]["units"] = 2**20
    made = []
    monkeypatch.setattr(
        cvzoo.layers.ComplexDense, "build", lambda self, shape: made.append(self)
    )
    with pytest.raises(ArchitectureError, match=r"\(6, 1048576\).*states \(6, 12\)"):
        architecture.build(data, tensors)
    assert made == []


def test_other_weights_are_compared_before_they_are_made():
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="norm")(inputs))
    data = architecture.describe(model)
    copied = architecture.build(data, shapes(model))
    assert "add_weight" not in vars(copied.get_layer("norm"))
    data["inputs"][0]["shape"] = [2**20]
    with pytest.raises(ArchitectureError, match=r"weights of shape \(1048576,\), more"):
        architecture.build(data, shapes(model))
