"""Layers and operations called on numpy arrays, flat: a pair counts as two."""

import keras
from keras import ops as kops

from cvzoo import graph, layers, sparsity
from cvzoo.channels import kinds
from cvzoo.layers.merging import PairMerge
from cvzoo.layers.sparsifiable import einsum_specs


class Values:
    """numpy kernel and bias of a linear layer while its model shrinks.

    Attributes:
        kernel: Its parts, one or two.
        bias: Likewise, or an empty list.
    """

    def __init__(self, kernel, bias):
        self.kernel, self.bias = kernel, bias

    @classmethod
    def of(cls, layer):
        return cls(*sparsity.linear_values(layer))


def call(layer, parts, weights=None):
    """A layer on the parts of its inputs, flat, as arrays."""
    parts = [kops.convert_to_tensor(part, layer.compute_dtype) for part in parts]
    if isinstance(layer, PairMerge) or (
        isinstance(layer, layers.PerPart) and len(parts) > 2
    ):
        inputs = [list(zip(parts[::2], parts[1::2], strict=True))]
    elif kinds.takes_list(layer):
        inputs = [parts]
    else:
        inputs = [tuple(parts) if len(parts) == 2 else parts[0]]
    if weights is not None:
        layer.build(keras.tree.map_structure(lambda part: part.shape, inputs[0]))
        for variable, value in zip(layer.weights, weights, strict=True):
            variable.assign(value)
    return [
        kops.convert_to_numpy(kops.cast(part, "float32"))
        for part in keras.tree.flatten(layer(*inputs))
    ]


def operate(operation, args, parts):
    """An operation on arrays, among the plain numbers that it is called with."""
    parts = iter([kops.convert_to_tensor(part, "float32") for part in parts])
    filled = graph.map_tensors(args, lambda tensor: next(parts))
    return [kops.convert_to_numpy(kops.cast(operation(*filled), "float32"))]


def plain_config(layer, has_bias):
    """Configuration of a linear layer of a kernel, and a bias or none.

    Without LoRA: `Values` have it merged.
    """
    config = layer.get_config()
    for name in ("lora_rank", "lora_alpha"):
        config.pop(name, None)
    if not kinds.is_dense_einsum(layer):
        return {**config, "use_bias": has_bias}
    _, _, outputs = einsum_specs(layer.equation)
    return {**config, "bias_axes": outputs[-1] if has_bias else None}


def twin(layer, values, **changes):
    """A function of arrays that does what a linear layer does, with other values."""

    def run(parts):
        config = plain_config(layer, bool(values.bias))
        copy = type(layer).from_config({**config, "name": None, **changes})
        return call(copy, parts, weights=[*values.kernel, *values.bias])

    return run
