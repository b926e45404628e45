"""A network's inference in two parts: what depends on its weights alone, and the rest.

The first part runs once, when an export is loaded: spectra of circulant kernels, sums
and casts of kernels, places of what is not zero. The second runs at every call. Which
is which, the graph tells: an operation whose inputs are weights and constants belongs
to the first part. No layer needs to know.
"""

import re
from typing import NamedTuple

import keras

from cvzoo import sparsity
from cvzoo.exporting import serving
from cvzoo.exporting.errors import ExportError
from cvzoo.ops import targets

_RANDOM = re.compile("Random|Multinomial|TruncatedNormal|Rng|^Sample")
_TABLE = re.compile("LookupTable|HashTable")


class Split(NamedTuple):
    """The two parts.

    Attributes:
        weights: The model's variables.
        prepare: For each tensor that the first part hands over, the places of the
            weights that it is made of, and the concrete function that makes it.
        serve: Concrete function of the inputs, then of those tensors, that returns the
            outputs.
    """

    weights: list
    prepare: list
    serve: object

    def prepared(self):
        """The values of the tensors that the first part hands over."""
        import tensorflow as tf

        return [
            function(
                *(tf.convert_to_tensor(self.weights[one].value) for one in places)
            )[0]
            for places, function in self.prepare
        ]


def split(model, target, shapes=None):
    """Splits a model's inference.

    Args:
        model: A Functional model of plain layers.
        target: What it is traced for: a format of `export`.
        shapes: Shape of each input, in the model's order. Defaults to the model's own,
            whose batches are open.

    Returns:
        `Split`, whose inputs and outputs are in the model's order, flat.
    """
    import tensorflow as tf

    count, weights = len(model.inputs), model.variables
    shapes = [one.shape for one in model.inputs] if shapes is None else shapes

    def infer(*tensors):
        inputs, values = list(tensors[:count]), tensors[count:]
        with keras.StatelessScope(
            state_mapping=list(zip(weights, values, strict=True))
        ):
            structured = keras.tree.pack_sequence_as(model.input, inputs)
            outputs = model(structured, training=False)
        return keras.tree.flatten(outputs)

    # Numbered, as names of weights may be equal.
    signature = [
        *(
            tf.TensorSpec(shape, one.dtype, f"input_{place}")
            for place, (shape, one) in enumerate(zip(shapes, model.inputs, strict=True))
        ),
        *(
            tf.TensorSpec(one.shape, one.dtype, f"weight_{place}")
            for place, one in enumerate(weights)
        ),
    ]
    with targets.traced_for(target):
        whole = tf.compat.v1.wrap_function(infer, signature)
    inputs, values = whole.inputs[:count], whole.inputs[count : count + len(weights)]
    from_inputs = reached(whole.graph, inputs)
    outputs = list(whole.outputs)
    handed = _handed_over(whole.graph, from_inputs, values, outputs)
    prepare = []
    for tensor in handed:
        needed = _sources(tensor, values)
        feeds = [values[place] for place in needed]
        prepare.append((needed, whole.prune(feeds, [tensor])))
    return Split(weights, prepare, whole.prune([*inputs, *handed], outputs))


def check(parts, model):
    """Raises where an inference would draw random numbers, or look something up.

    Tables of words are resources, which neither part can hand over.
    """
    drawn, looked_up = set(), set()
    for function in (parts.serve, *(one for _, one in parts.prepare)):
        for node in serving.nodes(function.graph.as_graph_def()):
            if _RANDOM.search(node.op):
                drawn.add(layer_of(node, model))
            if _TABLE.search(node.op):
                looked_up.add(layer_of(node, model))
    if drawn:
        raise ExportError(
            "An export cannot draw random numbers, which these layers do when they "
            f"infer: {sorted(drawn)}."
        )
    if looked_up:
        raise ExportError(
            "An export cannot look up words or numbers in tables, which these layers "
            f"do: {sorted(looked_up)}. Do that before, and serve what is behind them."
        )


def layer_of(operation, model):
    """Name of the layer that a node of a graph is of; its own where there is none."""
    names = {layer.name for layer in sparsity.flat_layers(model)}
    for part in reversed(operation.name.split("/")):
        for name in (part, re.sub(r"_\d+$", "", part)):  # a trace may add a number
            if name in names:
                return name
    return operation.name


def reached(graph, tensors):
    """Keys of the tensors that depend on some."""
    found = {one.ref() for one in tensors}
    for operation in graph.get_operations():  # in an order in which they can be run
        if any(one.ref() in found for one in operation.inputs):
            found.update(one.ref() for one in operation.outputs)
    return found


def _handed_over(graph, from_inputs, weights, outputs):
    """What depends on weights and not on inputs, and is read by what does.

    A network's output that depends on no input counts as read.
    """
    from_weights = reached(graph, weights)
    found = {}
    for operation in graph.get_operations():
        if any(one.ref() in from_inputs for one in operation.outputs):
            for one in operation.inputs:
                if one.ref() in from_weights and one.ref() not in from_inputs:
                    found.setdefault(one.ref(), one)
    for one in outputs:
        if one.ref() in from_weights and one.ref() not in from_inputs:
            found.setdefault(one.ref(), one)
    # TensorFlow takes graphs apart at operations, so with all that they give.
    for tensor in list(found.values()):
        for one in tensor.op.outputs:
            if one.dtype.is_numpy_compatible:
                found.setdefault(one.ref(), one)
    return list(found.values())


def _sources(tensor, weights):
    """Places of the weights that a tensor depends on."""
    places = {one.ref(): place for place, one in enumerate(weights)}
    found, waiting, seen = set(), [tensor], set()
    while waiting:
        one = waiting.pop()
        if one.ref() in seen:
            continue
        seen.add(one.ref())
        if one.ref() in places:
            found.add(places[one.ref()])
        else:
            waiting += list(one.op.inputs)
    return sorted(found)
