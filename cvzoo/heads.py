"""Another head for a described network: as many outputs as there are new classes."""

import math
from typing import NamedTuple

from cvzoo import architecture_checks
from cvzoo.layers.linear import check_size
from cvzoo.preset_files import PresetError

# The argument that counts the outputs of a linear layer.
_SIZES = ("units", "filters", "classes")
# What may come after a head, and gives each class what it gives the others: without
# weights, and with some.
_AFTER = {
    *("Activation", "Add", "Average", "Cardioid", "ComplexAdd", "ComplexDropout"),
    *("ComplexMultiply", "ComplexTanh", "Dropout", "ELU", "GaussianDropout"),
    *("GaussianNoise", "Identity", "LeakyReLU", "Maximum", "Minimum", "Multiply"),
    *("ReLU", "Softmax", "SplitActivation", "Subtract", "ZReLU"),
    *(
        f"{field}Global{kind}Pooling{axes}D"
        for field in ("", "Complex")
        for kind in ("Average", "Max")
        for axes in (1, 2, 3)
    ),
}
_AFTER_WITH_WEIGHTS = {
    *("BatchNormalization", "ComplexBatchNormalization", "ContextGating"),
    *("ModReLU", "WidelyLinear"),
}
_LAYOUTS = ("real", "modulus", "phase")  # of `FromComplex`, one number a class


class NewHead(NamedTuple):
    """A description with another head.

    Attributes:
        described: The description.
        layers: Names of the layers whose weights are new.
        shapes: Name → shape of the weights of the preset; of new ones, a shape of as
            many numbers as there can be at most.
    """

    described: dict
    layers: set
    shapes: dict


def replaced(described, shapes, classes, known):
    """A network of which the last linear layer has as many outputs as `classes`.

    Where several of them lead to the output, as in an ensemble, all of them.

    Args:
        described: Of the network, as `architecture.describe` gives it.
        shapes: Name → shape of each of its weights.
        classes: Number of classes.
        known: How many classes the preset has names for, or 0.

    Returns:
        A `NewHead`.

    Raises:
        PresetError: No layer is known to be the head.
        ValueError: `classes` is no positive whole number.
    """
    classes = check_size("classes", classes)
    calls, outputs = architecture_checks.checked(described)
    if len(outputs) != 1:
        raise PresetError(
            f"the network has {len(outputs)} outputs, so that `classes` does not say "
            "which one is meant. Load it without, and build on its layers."
        )
    heads, after = _head(described["layers"], calls, outputs[0])
    layers, growth = dict(described["layers"]), 1
    for name in heads:
        size = _size_argument(layers[name])
        before = layers[name][size]
        if known and before != known:
            raise PresetError(
                f"its last linear layer '{name}' has {before} outputs, but the preset "
                f"has {known} classes, so that it is not known to be the head."
            )
        growth = max(growth, math.ceil(classes / before))
        layers[name] = {**layers[name], size: classes}
    for name in heads | after:
        layers[name] = {k: one for k, one in layers[name].items() if k != "trainable"}
    shapes = {
        key: _new_shape(key, shape, heads, after, classes, growth)
        for key, shape in shapes.items()
    }
    return NewHead({**described, "layers": layers}, heads | after, shapes)


def _new_shape(key, shape, heads, after, classes, growth):
    layer, _, weight = key.rpartition("/")
    if layer in heads and weight == "kernel":
        return (*shape[:-1], classes)
    if layer in heads or layer in after:
        # A gate of each class for each class: the square of their number.
        return (math.prod(shape) * growth**2,)
    return shape


def _head(layers, calls, output):
    """Names of the linear layers that lead to an output, and of layers after them."""
    by_place = {(call.layer, call.number): call for call in calls}
    heads, after, walked, ahead = set(), set(), set(), [output]
    while ahead:
        tensor = ahead.pop()
        place = tensor.layer, tensor.call
        if place in walked:
            continue
        walked.add(place)
        # Inputs are no calls.
        description = layers[tensor.layer] if place in by_place else {"class": "input"}
        if _size_argument(description):
            heads.add(tensor.layer)
            continue
        if not _keeps_classes(description):
            raise PresetError(
                f"`classes` needs a network that ends in a linear layer. This one ends "
                f"in '{tensor.layer}' ({description['class']}), after which no number "
                "of outputs can be chosen. Load it without, and build on its layers."
            )
        if description["class"] in _AFTER_WITH_WEIGHTS:
            after.add(tensor.layer)
        ahead += by_place[place].tensors
    _check_only_there(calls, walked, heads, after)
    return heads, after


def _check_only_there(calls, walked, heads, after):
    """Raises where the number of outputs of a head matters to others as well."""
    for call in calls:
        is_elsewhere = (call.layer, call.number) not in walked
        reads = any((one.layer, one.call) in walked for one in call.tensors)
        if (is_elsewhere and (reads or call.layer in heads | after)) or (
            call.layer in heads and reads
        ):
            raise PresetError(
                f"its head {sorted(heads)} is used at '{call.layer}' as well, so that "
                "another number of classes would not fit there."
            )


def _size_argument(description):
    """The argument that counts the outputs of a layer, if it can be a head."""
    name = description["class"]
    if "Transpose" in name or description.get("groups", 1) != 1:
        return None
    return next((size for size in _SIZES if size in description), None)


def _keeps_classes(description):
    """Whether a layer gives each class what it gives the others."""
    name = description["class"]
    if name == "PerPart":
        return _keeps_classes(description["layer"])
    if name == "FromComplex":
        return description["layout"] in _LAYOUTS
    return name in _AFTER or name in _AFTER_WITH_WEIGHTS
