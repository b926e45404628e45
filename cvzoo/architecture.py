"""A model's graph ↔ JSON, from a closed list of layers and argument values.

A file is checked whole before any object is made, and each kernel, before it is made,
against the shape that the preset's manifest states.
"""

import contextlib
import math
import threading

import keras

from cvzoo import allowed_layers, graph, layers, sparsity
from cvzoo.architecture_checks import (
    FORMAT,
    INPUT_DTYPES,
    LARGEST_TENSOR,
    ArchitectureError,
    check_together,
    check_value,
    checked,
)
from cvzoo.layers.linear import Sparsifiable
from cvzoo.layers.sparsifiable import SPARSIFIABLE

# In the constructors and `build` of layers, cvzoo's and Keras', and in Keras itself.
_WHAT_A_BAD_GRAPH_RAISES = (
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
)
_ONE_AT_A_TIME = threading.Lock()


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
    if layer.dtype not in INPUT_DTYPES:
        raise ArchitectureError(
            f"Input '{layer.name}' has dtype {layer.dtype}. A preset keeps "
            f"{', '.join(INPUT_DTYPES)}."
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
            check_value(layer.name, layer_class, key, value)
            described[key] = list(value) if isinstance(value, tuple) else value
        elif (
            key not in allowed_layers.LEFT_OUT
            and value not in allowed_layers.DEFAULTS.get(key, (None,))
        ):
            raise ArchitectureError(
                f"Layer '{layer.name}' ({layer_class.__name__}) has {key}={value!r}, "
                "which a preset cannot keep."
            )
    check_together(layer.name, layer_class, described)
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
