"""The graph of a Functional or Sequential model as plain data, read and rebuilt.

Read from `get_config()`, which is public and what `.keras` files hold.
"""

from typing import NamedTuple

import keras

# How Keras writes constants that JSON lacks, in the arguments of a call.
_CONSTANTS = ("__ellipsis__", "__slice__", "__numpy__", "__tensor__")


class Tensor(NamedTuple):
    """One output of one call of a layer."""

    layer: str
    call: int
    index: int


class Call(NamedTuple):
    """One call of a layer.

    Attributes:
        layer: Name of the layer.
        number: How many calls of the layer came before.
        args: Positional arguments: `Tensor`s, tuples, lists and dictionaries of them,
            and values without tensors, such as numbers, slices and arrays.
        kwargs: Likewise by name, without those that are `None`.
    """

    layer: str
    number: int
    args: tuple
    kwargs: dict

    @property
    def tensors(self):
        """All tensors that the call is given, flat."""
        return tensors((self.args, self.kwargs))

    @property
    def unmasked(self):
        """The call without its mask, if it has one."""
        kwargs = {key: one for key, one in self.kwargs.items() if key != "mask"}
        return self._replace(kwargs=kwargs)

    @property
    def inputs(self):
        """The one argument of a call `layer(inputs)`; raises for any other."""
        # Keras records the default of `training`, which is False for some layers.
        given = sorted(key for key, value in self.kwargs.items() if value is not False)
        if len(self.args) != 1 or given:
            raise ValueError(
                f"Layer '{self.layer}' is called with more than its inputs: "
                f"{len(self.args)} positional arguments, keywords {given}. Only "
                "`layer(inputs)` is understood here."
            )
        return self.args[0]


class Graph(NamedTuple):
    """Calls in an order in which they can be run.

    Attributes:
        layers: Name → layer, input layers included, or operation such as that of
            `x + y`.
        inputs: Names of the input layers, in the order of the model's inputs.
        calls: The calls, without those of input layers.
        outputs: Tensors, in the order of the model's outputs.
        input_structure: The inputs as the model takes them: one `Tensor`, or a list,
            tuple or dictionary.
        output_structure: Likewise for the outputs.
    """

    layers: dict
    inputs: list
    calls: list
    outputs: list
    input_structure: object
    output_structure: object

    def consumers(self, layer):
        """The calls that use any output of a layer."""
        return [
            call
            for call in self.calls
            if any(tensor.layer == layer for tensor in call.tensors)
        ]


def check_is_model(argument, value):
    """Raises unless the value of an argument is a Keras model."""
    if not isinstance(value, keras.Model):
        raise ValueError(f"`{argument}` must be a Keras model. Received: {value!r}")


def functional(model):
    """The model as a Functional one, over the same layers."""
    if isinstance(model, keras.Sequential):
        if not model.built:
            raise ValueError(
                f"Sequential model '{model.name}' has no shapes yet. Begin it with "
                "`keras.Input(shape)`, or call it once on data."
            )
        # In a list of one, Keras would expect a list, and warn of anything else.
        inputs, outputs = (
            tensors[0] if len(tensors) == 1 else tensors
            for tensors in (model.inputs, model.outputs)
        )
        return keras.Model(inputs, outputs, name=model.name)
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
        Call(layer["name"], number, *_read_arguments(layer["name"], node))
        for layer in config["layers"]
        for number, node in enumerate(layer["inbound_nodes"])
    ]
    inputs = _read_tensors(config["input_layers"])
    outputs = _read_tensors(config["output_layers"])
    ready, calls = {(tensor.layer, 0) for tensor in tensors(inputs)}, []
    while waiting:
        runnable = [
            call
            for call in waiting
            if all((t.layer, t.call) in ready for t in call.tensors)
        ]
        if not runnable:
            raise ValueError(f"Model '{model.name}' has a call without its inputs.")
        calls += runnable
        done = {(call.layer, call.number) for call in runnable}
        ready |= done
        waiting = [call for call in waiting if (call.layer, call.number) not in done]
    return Graph(
        layers={operation.name: operation for operation in model.operations},
        inputs=[tensor.layer for tensor in tensors(inputs)],
        calls=calls,
        outputs=tensors(outputs),
        input_structure=inputs,
        output_structure=outputs,
    )


def rebuild(graph, layers, name, model_class=keras.Model):
    """A model with the same calls on other layers.

    Args:
        graph: A `Graph`.
        layers: Name → new layer, or Keras tensor for an input layer.
        name: Name of the new model.
        model_class: Class of the new model.
    """
    values = run(graph, layers)
    return model_class(
        inputs=map_tensors(graph.input_structure, values.__getitem__),
        outputs=map_tensors(graph.output_structure, values.__getitem__),
        name=name,
    )


def run(graph, layers):
    """`Tensor` → value, of all tensors of a graph, functions being called as it says.

    Args:
        graph: A `Graph`.
        layers: Name → function in place of a layer, or value of an input layer.
    """
    values = {Tensor(name, 0, 0): layers[name] for name in graph.inputs}
    for call in graph.calls:
        args, kwargs = map_tensors((call.args, call.kwargs), values.__getitem__)
        outputs = layers[call.layer](*args, **kwargs)
        for index, output in enumerate(keras.tree.flatten(outputs)):
            values[Tensor(call.layer, call.number, index)] = output
    return values


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
        fed = call.tensors
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
    """All tensors of a structure, flat; other values are left out.

    Dictionaries are read by sorted keys, as Keras numbers inputs and outputs.
    """
    if isinstance(structure, Tensor):
        return [structure]
    if isinstance(structure, dict):
        structure = [structure[key] for key in sorted(structure)]
    elif not isinstance(structure, (tuple, list)):
        return []
    return [tensor for item in structure for tensor in tensors(item)]


def is_nested(layer):
    """Whether a layer is a model whose graph can be read."""
    if not isinstance(layer, keras.Model):
        return False
    return isinstance(layer, keras.Sequential) or hasattr(layer, "input")


def is_quantized(layer):
    """Whether Keras has quantized a layer, whose kernel then is of integers."""
    return getattr(layer, "quantization_mode", None) is not None


def _is_ours(layer):
    return type(layer).__module__.partition(".")[0] == "cvzoo"


def _read_arguments(layer, node):
    """Positional arguments and keywords of a call."""
    kwargs = {key: one for key, one in node["kwargs"].items() if one is not None}
    return (
        tuple(_read_structure(layer, value) for value in node["args"]),
        {key: _read_structure(layer, value) for key, value in kwargs.items()},
    )


def _read_structure(layer, value):
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return Tensor(*value["config"]["keras_history"])
        if value.get("class_name") in _CONSTANTS:
            return keras.saving.deserialize_keras_object(value)
        if "class_name" not in value:
            return {key: _read_structure(layer, item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_read_structure(layer, item) for item in value)
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    kind = value.get("class_name") if isinstance(value, dict) else type(value).__name__
    raise ValueError(
        f"Layer '{layer}' is called on a {kind}. Only tensors and constants, and "
        "tuples, lists and dictionaries of them, can be read."
    )


def _read_tensors(value):
    """`["name", 0, 0]` when there is one, a list or dictionary when there are more."""
    if isinstance(value, dict):
        return {key: _read_tensors(item) for key, item in value.items()}
    if len(value) == 3 and isinstance(value[0], str):
        return Tensor(*value)
    if len(value) == 1:  # so Keras makes it of a Sequential model
        return _read_tensors(value[0])
    return type(value)(_read_tensors(item) for item in value)


def map_tensors(structure, function):
    """A structure with `function` of each tensor in its place."""
    if isinstance(structure, Tensor):
        return function(structure)
    if isinstance(structure, dict):
        return {key: map_tensors(item, function) for key, item in structure.items()}
    if isinstance(structure, (tuple, list)):
        return type(structure)(map_tensors(item, function) for item in structure)
    return structure
