"""The graph of a Functional or Sequential model as plain data, read and rebuilt.

Read from `get_config()`, which is public and what `.keras` files hold.
"""

from typing import NamedTuple

import keras


class Tensor(NamedTuple):
    """One output of one call of a layer."""

    layer: str
    call: int
    index: int


class Call(NamedTuple):
    """One call of a layer; `inputs` is a `Tensor`, or tuples and lists of them."""

    layer: str
    number: int
    inputs: object


class Graph(NamedTuple):
    """Calls in an order in which they can be run.

    Attributes:
        layers: Name → layer, input layers included.
        inputs: Names of the input layers, in the order of the model's inputs.
        calls: The calls, without those of input layers.
        outputs: Tensors, in the order of the model's outputs.
    """

    layers: dict
    inputs: list
    calls: list
    outputs: list

    def consumers(self, layer):
        """The calls that use any output of a layer."""
        return [
            call
            for call in self.calls
            if any(tensor.layer == layer for tensor in tensors(call.inputs))
        ]


def functional(model):
    """The model as a Functional one, over the same layers."""
    if isinstance(model, keras.Sequential):
        if not model.built:
            raise ValueError(
                f"Sequential model '{model.name}' has no shapes yet. Begin it with "
                "`keras.Input(shape)`, or call it once on data."
            )
        return keras.Model(model.inputs, model.outputs, name=model.name)
    if not hasattr(model, "input") or not isinstance(model, keras.Model):
        raise ValueError(
            f"A Functional or Sequential Keras model is needed. Received: {model!r}"
        )
    return model


def read(model):
    """The graph of a model."""
    model = functional(model)
    config = model.get_config()
    if "layers" not in config or "input_layers" not in config:
        raise ValueError(
            f"Model '{model.name}' is a subclassed {type(model).__name__}, whose graph "
            "cannot be read. A Functional or Sequential Keras model is needed."
        )
    waiting = [
        Call(layer["name"], number, _read_arguments(layer["name"], node))
        for layer in config["layers"]
        for number, node in enumerate(layer["inbound_nodes"])
    ]
    inputs = [tensor.layer for tensor in _read_tensors(config["input_layers"])]
    ready, calls = {(name, 0) for name in inputs}, []
    while waiting:
        runnable = [
            call
            for call in waiting
            if all((t.layer, t.call) in ready for t in tensors(call.inputs))
        ]
        if not runnable:
            raise ValueError(f"Model '{model.name}' has a call without its inputs.")
        calls += runnable
        ready |= {(call.layer, call.number) for call in runnable}
        waiting = [call for call in waiting if call not in runnable]
    return Graph(
        layers={layer.name: layer for layer in model.layers},
        inputs=inputs,
        calls=calls,
        outputs=_read_tensors(config["output_layers"]),
    )


def rebuild(graph, layers, name, model_class=keras.Model):
    """A model with the same calls on other layers.

    Args:
        graph: A `Graph`.
        layers: Name → new layer, or Keras tensor for an input layer.
        name: Name of the new model.
        model_class: Class of the new model.
    """
    values = {Tensor(name, 0, 0): layers[name] for name in graph.inputs}
    for call in graph.calls:
        inputs = _map(call.inputs, values.__getitem__)
        outputs = layers[call.layer](inputs)
        for index, output in enumerate(keras.tree.flatten(outputs)):
            values[Tensor(call.layer, call.number, index)] = output
    inputs = [layers[name] for name in graph.inputs]
    outputs = [values[tensor] for tensor in graph.outputs]
    return model_class(
        inputs=inputs[0] if len(inputs) == 1 else inputs,
        outputs=outputs[0] if len(outputs) == 1 else outputs,
        name=name,
    )


def check_pairs(model):
    """Refuses stock layers that are fed with both parts of a pair.

    `keras.layers.Add()(pair)` would add the imaginary to the real part and
    `Dropout()(pair)` draw two masks, both without an error.
    """
    graph = read(model)
    for call in graph.calls:
        layer = graph.layers[call.layer]
        if isinstance(layer, keras.Model):
            check_pairs(layer)
        if _is_ours(layer):
            continue
        fed = tensors(call.inputs)
        for tensor in fed:
            source = graph.layers[tensor.layer]
            if source.name in graph.inputs and str(source.dtype).startswith("complex"):
                raise ValueError(
                    f"Stock layer '{call.layer}' ({type(layer).__name__}) receives the "
                    f"complex input '{tensor.layer}'; stock layers drop imaginary "
                    "parts or fail. Put `cvzoo.layers.ToComplex()` between them."
                )
            other = tensor._replace(index=1)
            if (
                tensor.index == 0
                and other in fed
                and _is_ours(graph.layers[tensor.layer])
            ):
                raise ValueError(
                    f"Stock layer '{call.layer}' "
                    f"({type(graph.layers[call.layer]).__name__}) receives both parts "
                    f"of the pair from '{tensor.layer}' and would mix them up. Wrap it "
                    "in `cvzoo.layers.PerPart`, or use a complex layer."
                )


def tensors(structure):
    """All tensors of a structure, flat."""
    if isinstance(structure, Tensor):
        return [structure]
    return [tensor for item in structure for tensor in tensors(item)]


def _is_ours(layer):
    return type(layer).__module__.partition(".")[0] == "cvzoo"


def _read_arguments(layer, node):
    # Keras records the default of `training`, which is False for some layers.
    given = [key for key, value in node["kwargs"].items() if value not in (None, False)]
    if len(node["args"]) != 1 or given:
        raise ValueError(
            f"Layer '{layer}' is called with more than its inputs: "
            f"{len(node['args'])} positional arguments, keywords "
            f"{sorted(given)}. Only `layer(inputs)` can be read."
        )
    return _read_structure(layer, node["args"][0])


def _read_structure(layer, value):
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        return Tensor(*value["config"]["keras_history"])
    if isinstance(value, (tuple, list)):
        return type(value)(_read_structure(layer, item) for item in value)
    raise ValueError(
        f"Layer '{layer}' is called on a {type(value).__name__}. Only tensors, and "
        "tuples and lists of tensors, can be read."
    )


def _read_tensors(value):
    """`["name", 0, 0]` when there is one, a list of those when there are more."""
    if isinstance(value, dict):
        raise ValueError(
            "Models with a dictionary of inputs or outputs cannot be read. Use a list."
        )
    if value and isinstance(value[0], str):
        value = [value]
    return [Tensor(*item) for item in value]


def _map(structure, function):
    if isinstance(structure, Tensor):
        return function(structure)
    return type(structure)(_map(item, function) for item in structure)
