"""A model's graph ↔ JSON, from a closed list of layers and argument values.

Nothing in a file names a module or holds code. Classes, arguments and sizes are
checked before any object is made, and each kernel against the shape that the preset's
manifest states before the kernel is made.
"""

import contextlib
import math
import threading

import keras

from cvzoo import allowed_layers, graph, layers, sparsity
from cvzoo.allowed_layers import is_integer, is_size, list_of
from cvzoo.layers.linear import Sparsifiable
from cvzoo.layers.sparsifiable import SPARSIFIABLE

FORMAT = 1
LARGEST_TENSOR = 2**30
MOST_LAYERS = 10_000
MOST_INPUTS = 1024
LONGEST_NAME = 255


class ArchitectureError(ValueError):
    """An architecture that cannot be kept in a preset, or a file that is no such."""


# In the constructors and `build` of layers, cvzoo's and Keras', and in Keras itself.
_WHAT_A_BAD_GRAPH_RAISES = (
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
)
_ONE_AT_A_TIME = threading.Lock()
_INPUT_DTYPES = ("float32", "complex64", "int32", "uint8")


# Model → JSON


def describe(model):
    """JSON data from which `build` makes the same architecture.

    A preset computes in float32 whatever the policy of `model`.
    """
    graph.check_pairs(model)
    plan = graph.read(model)
    if isinstance(plan.input_structure, dict) or isinstance(
        plan.output_structure, dict
    ):
        raise ArchitectureError(
            f"Model '{model.name}' has a dictionary of inputs or outputs. A preset "
            "keeps one tensor or a list of them."
        )
    described = {
        name: _describe_layer(layer)
        for name, layer in plan.layers.items()
        if name not in plan.inputs
    }
    return {
        "format": FORMAT,
        "name": model.name,
        "inputs": [_describe_input(plan.layers[name]) for name in plan.inputs],
        "layers": described,
        "calls": [[call.layer, _describe_tensors(call.inputs)] for call in plan.calls],
        "outputs": [list(tensor) for tensor in plan.outputs],
    }


def _describe_input(layer):
    _, *shape = layer.batch_shape
    if layer.dtype not in _INPUT_DTYPES:
        raise ArchitectureError(
            f"Input '{layer.name}' has dtype {layer.dtype}. A preset keeps "
            f"{', '.join(_INPUT_DTYPES)}."
        )
    return {"name": layer.name, "shape": shape, "dtype": layer.dtype}


def _describe_layer(layer):
    layer_class = sparsity.plain_class(layer)
    if layer_class not in allowed_layers.LAYERS:
        raise ArchitectureError(
            f"Layer '{layer.name}' is a {layer_class.__name__}, which a preset cannot "
            f"keep. It keeps: {', '.join(sorted(allowed_layers.BY_NAME))}."
        )
    described = {"class": layer_class.__name__}
    if layer.weights and not layer.trainable:
        described["trainable"] = False
    if layer_class is layers.PerPart:
        return {**described, "layer": _describe_layer(layer.layer)}
    for key, value in layer.get_config().items():
        if key in allowed_layers.LAYERS[layer_class]:
            _check_value(layer.name, layer_class, key, value)
            described[key] = list(value) if isinstance(value, tuple) else value
        elif (
            key not in allowed_layers.LEFT_OUT
            and value not in allowed_layers.DEFAULTS.get(key, (None,))
        ):
            raise ArchitectureError(
                f"Layer '{layer.name}' ({layer_class.__name__}) has {key}={value!r}, "
                "which a preset cannot keep."
            )
    return described


def _describe_tensors(structure):
    if isinstance(structure, graph.Tensor):
        return list(structure)
    kind = "pair" if _is_pair(structure) else "list"
    return {kind: [_describe_tensors(item) for item in structure]}


def _is_pair(structure):
    return isinstance(structure, tuple)


# JSON → model


def build(data, tensors, masked=(), fresh=()):
    """The model that `describe` described, its weights being zero, ready to be set.

    Args:
        data: Result of `describe`.
        tensors: Name → shape of each weight, from the manifest.
        masked: Names of the linear layers that hold a `FixedMask`, of zeros too.
        fresh: Names of the layers whose weights begin as those of new layers do.

    Raises:
        ArchitectureError: Anything in `data` that is not on the list.
    """
    calls, outputs = checked(data)
    made = {
        name: _Guarded(name, description, name in masked, name in fresh, tensors)
        for name, description in data["layers"].items()
    }
    names = [description["name"] for description in data["inputs"]]
    for description in data["inputs"]:
        made[description["name"]] = keras.Input(
            tuple(description["shape"]),
            dtype=description["dtype"],
            name=description["name"],
        )
    plan = graph.Graph(
        made,
        names,
        calls,
        outputs,
        input_structure=_one_or_all([graph.Tensor(name, 0, 0) for name in names]),
        output_structure=_one_or_all(outputs),
    )
    try:
        model = graph.rebuild(plan, made, data["name"])
    except ArchitectureError:
        raise
    except _WHAT_A_BAD_GRAPH_RAISES as error:
        raise ArchitectureError(f"The layers do not fit together: {error}") from error
    for name, description in data["layers"].items():
        if "trainable" in description:
            # Not an argument of the layer, whose sublayers would not hear of it.
            model.get_layer(name).trainable = False
    return model


def _one_or_all(tensors):
    return tensors[0] if len(tensors) == 1 else tensors


class _Guarded:
    """Makes a layer when it is first called, and weights as the manifest states.

    Kernels have the stated shape, no weight has more numbers than any stated one of the
    layer, and all together not more than the stated ones.
    """

    def __init__(self, name, description, is_masked, is_fresh, tensors):
        self.name, self.description, self.is_masked = name, description, is_masked
        self.is_fresh, self.tensors, self.layer = is_fresh, tensors, None

    def __call__(self, inputs):
        if self.layer is None:
            self.layer = _make_layer(self.name, self.description, self.is_masked)
        if sparsity.is_linear(self.layer):
            self._check_kernel(sparsity.kernel_shape(self.layer, inputs))
        with _guarded_weights(self._weight_check(), self.is_fresh):
            outputs = self.layer(inputs)
        for tensor in keras.tree.flatten(outputs):
            if math.prod(size or 1 for size in tensor.shape) > LARGEST_TENSOR:
                raise ArchitectureError(
                    f"Layer '{self.name}' gives shape {tensor.shape}, too large."
                )
        return outputs

    def _check_kernel(self, found):
        stated = self.tensors.get(f"{self.name}/kernel")
        if (
            stated is None
            or tuple(stated) != tuple(found)
            or math.prod(found) > LARGEST_TENSOR
        ):
            raise ArchitectureError(
                f"Layer '{self.name}' would have a kernel of shape {found}; the "
                f"manifest states {stated}."
            )

    def _weight_check(self):
        stated = [
            math.prod(shape)
            for name, shape in self.tensors.items()
            if name.startswith(f"{self.name}/")
        ]
        # Two parts, and a mask.
        largest, left = max(stated, default=0), 3 * sum(stated)

        def check(shape):
            nonlocal left
            left -= math.prod(shape)
            if math.prod(shape) > largest or left < 0:
                raise ArchitectureError(
                    f"Layer '{self.name}' would have weights of shape {shape}, more "
                    "numbers than the manifest states."
                )

        return check


@contextlib.contextmanager
def _guarded_weights(check, is_fresh):
    """Until it ends, `check(shape)` comes before each weight, which is zeros then.

    Those of layers inside a layer too, which may be made while it is built. Of a fresh
    layer they are what its initializers make.
    """
    thread, layer_class = threading.get_ident(), keras.layers.Layer

    def add_weight(layer, *args, shape=None, **kwargs):
        if threading.get_ident() == thread:
            check(shape or ())
            if not is_fresh:
                # Values come from the file; random ones would take memory and time.
                kwargs["initializer"] = "zeros"
        return make(layer, *args, shape=shape, **kwargs)

    with _ONE_AT_A_TIME:
        make = layer_class.add_weight
        layer_class.add_weight = add_weight
        try:
            yield
        finally:
            layer_class.add_weight = make


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
    if not sizes(description["shape"]) or description["dtype"] not in _INPUT_DTYPES:
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
        _check_value(name, layer_class, key, value)


def _check_value(name, layer_class, key, value):
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


def _make_layer(name, description, is_masked=False):
    layer_class = allowed_layers.BY_NAME[description["class"]]
    arguments = {
        key: value
        for key, value in description.items()
        if key not in ("class", "trainable")
    }
    if layer_class is layers.PerPart:
        arguments["layer"] = _make_layer(f"{name}_part", arguments["layer"])
    maskable = SPARSIFIABLE.get(layer_class, layer_class)
    # Zeros of a kernel inside another layer, such as an aggregation, get no mask.
    if is_masked and issubclass(maskable, Sparsifiable):
        layer_class, arguments["sparsifier"] = maskable, layers.FixedMask()
    return layer_class(**arguments, name=name, dtype="float32")


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
