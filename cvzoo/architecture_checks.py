"""A described graph, all of it checked before any object is made.

Nothing in it names a module or holds code: classes and values of arguments come from
closed lists, and sizes are limited.
"""

import math

from cvzoo import allowed_layers, graph, layers
from cvzoo.allowed_layers import is_integer, is_size, list_of

FORMAT = 1
LARGEST_TENSOR = 2**30
MOST_LAYERS = 10_000
MOST_INPUTS = 1024
LONGEST_NAME = 255
INPUT_DTYPES = ("float32", "complex64", "int32", "uint8")


class ArchitectureError(ValueError):
    """An architecture that cannot be kept in a preset, or a file that is no such."""


def checked(data):
    """`graph.Call`s and outputs of a description, once all of it is checked.

    Raises:
        ArchitectureError: Anything in `data` that is not on the list.
    """
    keys = ["format", "name", "inputs", "layers", "calls", "outputs"]
    _check_keys("architecture", data, keys)
    if type(data["format"]) is not int or data["format"] != FORMAT:
        raise ArchitectureError(
            f"The architecture has format {data['format']!r}; this version reads "
            f"{FORMAT}."
        )
    kinds = {
        "name": str,
        "inputs": list,
        "layers": dict,
        "calls": list,
        "outputs": list,
    }
    for key, kind in kinds.items():
        if not isinstance(data[key], kind) or len(data[key]) > MOST_LAYERS:
            raise ArchitectureError(
                f"`{key}` must be a {kind.__name__} of at most {MOST_LAYERS}."
            )
    _check_names(data)
    known = {}
    for description in data["inputs"]:
        _check_input(description)
        known[description["name"], 0] = True
    for name, description in data["layers"].items():
        _check_layer(name, description)
    calls, counts = [], {}
    for call in data["calls"]:
        if (
            not isinstance(call, list)
            or len(call) != 2
            or not isinstance(call[0], str)
            or call[0] not in data["layers"]
        ):
            raise ArchitectureError(f"Not a call of a described layer: {call!r:.200}")
        name, inputs = call[0], _tensors(call[1])
        for tensor in graph.tensors(inputs):
            _check_known(f"Layer '{name}'", tensor, known)
        counts[name] = counts.get(name, -1) + 1
        known[name, counts[name]] = True
        calls.append(graph.Call(name, counts[name], (inputs,), {}))
    outputs = [_tensor(tensor) for tensor in data["outputs"]]
    for tensor in outputs:
        _check_known("The model", tensor, known)
    _check_used(data, calls, outputs)
    return calls, outputs


def _check_names(data):
    """Raises unless all inputs and layers have names, which differ."""
    inputs = [one.get("name") for one in data["inputs"] if isinstance(one, dict)]
    for name in (data["name"], *inputs, *data["layers"]):
        if (
            not isinstance(name, str)
            or not 0 < len(name) <= LONGEST_NAME
            or not name.isprintable()
            or "/" in name
        ):
            raise ArchitectureError(f"Not a name of a model or layer: {name!r:.300}")
    twice = len(inputs) - len(set(inputs) - set(data["layers"]))
    if twice:
        raise ArchitectureError(
            f"{twice} inputs have a name of another input or layer: {inputs!r:.300}"
        )


def _check_used(data, calls, outputs):
    """Raises where a layer or a call is there for nothing."""
    needed = {(tensor.layer, tensor.call) for tensor in outputs}
    used = {tensor.layer for tensor in outputs}
    for call in reversed(calls):
        if (call.layer, call.number) in needed:
            needed |= {(tensor.layer, tensor.call) for tensor in call.tensors}
            used.add(call.layer)
    unused = [call for call in calls if (call.layer, call.number) not in needed]
    if not outputs or unused or not used >= set(data["layers"]):
        raise ArchitectureError(
            "Each layer and call must lead to an output, of which there is at least "
            f"one. Unused layers: {sorted(set(data['layers']) - used)!r:.300}; calls: "
            f"{[call.layer for call in unused]!r:.300}; outputs: {len(outputs)}."
        )


def _check_input(description):
    _check_keys("input", description, ["name", "shape", "dtype"])
    sizes = list_of(lambda size: size is None or is_size(size), most=8)
    if not sizes(description["shape"]) or description["dtype"] not in INPUT_DTYPES:
        raise ArchitectureError(f"Not an input: {description!r}")
    if math.prod(size or 1 for size in description["shape"]) > LARGEST_TENSOR:
        raise ArchitectureError(f"Input too large: {description!r}")


def _check_known(who, tensor, known):
    if (tensor.layer, tensor.call) not in known:
        raise ArchitectureError(
            f"{who} uses the output of '{tensor.layer}', which is not there yet."
        )


def _check_layer(name, description):
    name_of_class = description.get("class") if isinstance(description, dict) else None
    layer_class = (
        allowed_layers.BY_NAME.get(name_of_class)
        if isinstance(name_of_class, str)
        else None
    )
    if layer_class is None:
        raise ArchitectureError(
            f"Layer '{name}' has a class outside the list: {description!r}. Known: "
            f"{', '.join(sorted(allowed_layers.BY_NAME))}."
        )
    arguments = {key: value for key, value in description.items() if key != "class"}
    if arguments.pop("trainable", False) is not False:
        raise ArchitectureError(
            f"Layer '{name}' has trainable={description['trainable']!r:.100}. Expected "
            "false, or nothing where it is trainable."
        )
    if layer_class is layers.PerPart:
        _check_keys(f"layer '{name}'", arguments, ["layer"])
        inner = arguments["layer"]
        if (
            not isinstance(inner, dict)
            or inner.get("class") not in allowed_layers.IN_PER_PART
        ):
            raise ArchitectureError(
                f"Layer '{name}' (PerPart) has layer={inner!r}. It may hold: "
                f"{', '.join(allowed_layers.IN_PER_PART)}."
            )
        _check_layer(name, inner)
        return
    _check_keys(f"layer '{name}'", arguments, list(allowed_layers.LAYERS[layer_class]))
    for key, value in arguments.items():
        check_value(name, layer_class, key, value)
    check_together(name, layer_class, arguments)


def check_together(name, layer_class, arguments):
    """Raises unless a layer of a preset may have all these allowed arguments."""
    fits = allowed_layers.TOGETHER.get(layer_class)
    if fits and not fits(arguments):
        raise ArchitectureError(
            f"Layer '{name}' ({layer_class.__name__}) has {arguments}, which together "
            "ask for more work than a preset may. Use fewer or shorter frames, of less "
            "overlap."
        )


def check_value(name, layer_class, key, value):
    """Raises unless a layer of a preset may have an argument of this value."""
    if not allowed_layers.LAYERS[layer_class][key](value):
        raise ArchitectureError(
            f"Layer '{name}' ({layer_class.__name__}) has {key}={value!r}, which is "
            "not among the values that a preset may hold."
        )


def _check_keys(what, found, expected):
    if not isinstance(found, dict) or sorted(found) != sorted(expected):
        raise ArchitectureError(
            f"The {what} must have the keys {sorted(expected)}. Found: "
            f"{sorted(found) if isinstance(found, dict) else found!r}"
        )


def _tensors(structure, depth=0):
    if isinstance(structure, dict) and len(structure) == 1 and depth < 2:
        ((kind, items),) = structure.items()
        if (
            kind in ("pair", "list")
            and isinstance(items, list)
            and len(items) <= MOST_INPUTS
        ):
            values = [_tensors(item, depth + 1) for item in items]
            return tuple(values) if kind == "pair" else values
    return _tensor(structure)


def _tensor(value):
    if isinstance(value, list) and len(value) == 3:
        layer, call, index = value
        if isinstance(layer, str) and is_integer(call, 0) and is_integer(index, 0):
            return graph.Tensor(layer, call, index)
    raise ArchitectureError(f"Not a tensor, pair or list of them: {value!r:.200}")
