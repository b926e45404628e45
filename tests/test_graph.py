"""Reading and rebuilding graphs."""

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import graph
from tests.helpers import small_model


def branched():
    x = keras.Input((6,), name="x")
    shared = keras.layers.Dense(4, name="shared")
    left = shared(x)
    right = shared(keras.layers.Dense(6, name="first")(x))
    both = keras.layers.Concatenate(name="both")([left, right])
    return keras.Model(x, [keras.layers.Add(name="sum")([left, right]), both])


@pytest.mark.parametrize("make", [small_model, branched])
def test_a_model_rebuilt_on_its_own_layers_is_the_same(make):
    model = make()
    plan = graph.read(model)
    layers = {
        name: model.input if name in plan.inputs else layer
        for name, layer in plan.layers.items()
    }
    copy = graph.rebuild(plan, layers, "copy")
    data = np.random.default_rng(0).normal(size=(3, *model.input_shape[1:]))
    for left, right in zip(
        keras.tree.flatten(model(data)), keras.tree.flatten(copy(data)), strict=True
    ):
        np.testing.assert_array_equal(left, right)


def test_calls_come_after_what_they_use():
    plan = graph.read(branched())
    order = [(call.layer, call.number) for call in plan.calls]
    assert order.index(("first", 0)) < order.index(("shared", 1))
    assert {call.layer for call in plan.consumers("shared")} == {"both", "sum"}


def test_a_sequential_model_is_read_as_a_functional_one():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="a")])
    assert [call.layer for call in graph.read(model).calls] == ["a"]


def test_a_sequential_model_without_shapes_is_refused():
    with pytest.raises(ValueError, match="has no shapes yet"):
        graph.read(keras.Sequential([keras.layers.Dense(2)]))


def test_a_subclassed_model_is_refused():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match="Functional or Sequential"):
        graph.read(Own())


@pytest.mark.parametrize("layer", [keras.layers.Add(), keras.layers.Concatenate()])
def test_stock_layers_fed_with_both_parts_are_refused(layer):
    x = keras.Input((6,))
    z = cvzoo.layers.ToComplex("concatenated", name="open")(x)
    model = keras.Model(x, layer(z))
    with pytest.raises(ValueError, match="both parts of the pair from 'open'"):
        graph.check_pairs(model)


def test_stock_layers_fed_with_one_part_are_fine():
    x = keras.Input((6,))
    real, imag = cvzoo.layers.ToComplex("concatenated")(x)
    model = keras.Model(x, [keras.layers.Dense(2)(real), keras.layers.ReLU()(imag)])
    graph.check_pairs(model)
    assert len(model.outputs) == 2


def test_pairs_are_checked_inside_nested_models():
    x = keras.Input((6,))
    z = cvzoo.layers.ToComplex("concatenated")(x)
    inner = keras.Model(x, keras.layers.Add()(z))
    outer = keras.Input((6,))
    with pytest.raises(ValueError, match="both parts of the pair"):
        graph.check_pairs(keras.Model(outer, inner(outer)))


def test_a_complex_input_to_a_stock_layer_is_refused():
    x = keras.Input((6,), dtype="complex64", name="signal")
    model = keras.Model(x, keras.layers.Flatten()(x))
    with pytest.raises(ValueError, match="complex input 'signal'.*ToComplex"):
        graph.check_pairs(model)


def with_several_arguments():
    """A transformer block: calls with several arguments, and named inputs."""
    x = keras.Input((5, 8), name="query")
    y = keras.Input((3, 8), name="memory")
    attention = keras.layers.MultiHeadAttention(2, 4, name="attention")
    both = keras.layers.Add()([x, attention(x, y)])
    z = keras.layers.LayerNormalization()(attention(query=both, value=y))
    z = keras.layers.Dropout(0.5)(z, training=False)
    return keras.Model({"query": x, "memory": y}, {"found": z, "between": both})


def test_calls_with_several_arguments_and_dictionaries_of_inputs():
    model = with_several_arguments()
    plan = graph.read(model)
    layers = {
        name: model.input[name] if name in plan.inputs else layer
        for name, layer in plan.layers.items()
    }
    copy = graph.rebuild(plan, layers, "copy")
    generator = np.random.default_rng(0)
    data = {
        "query": generator.normal(size=(2, 5, 8)),
        "memory": generator.normal(size=(2, 3, 8)),
    }
    expected, found = model(data), copy(data)
    assert set(found) == {"found", "between"}
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_a_call_with_several_arguments_has_no_single_input():
    plan = graph.read(with_several_arguments())
    call = next(call for call in plan.calls if call.layer == "attention")
    with pytest.raises(ValueError, match="'attention' is called with more than"):
        call.inputs  # noqa: B018


def test_dictionaries_are_flat_in_the_order_of_keras():
    x, y = keras.Input((2,), name="x"), keras.Input((3,), name="a")
    model = keras.Model({"x": x, "a": y}, {"right": x + 1, "left": y + 1})
    plan = graph.read(model)
    assert plan.inputs == ["a", "x"]
    expected = [tensor.shape for tensor in model.outputs]
    found = [plan.layers[tensor.layer].output.shape for tensor in plan.outputs]
    assert found == expected


def test_a_sequential_model_made_functional_takes_a_tensor():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    x = np.ones((3, 4), "float32")
    # Warnings are errors in the tests.
    np.testing.assert_array_equal(graph.functional(model)(x), model(x))
