"""Batch norm folded into the dense layer or convolution before it."""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops as kops

from cvzoo import graph
from cvzoo.channels import calling, kinds


class Folded(NamedTuple):
    """A model's graph, with the weights that its linear layers have after folding.

    Attributes:
        name: Name of the model.
        graph: Its graph, over its own layers.
        values: Name of each linear layer → `calling.Values`.
        gone: Name of each batch-norm layer that does nothing any more → the layer
            that it was folded into, and the factors that this one's kernel got.
        nested: Name of each nested model → `Folded`.
    """

    name: str
    graph: graph.Graph
    values: dict
    gone: dict
    nested: dict


def fold(model, is_fixed=True):
    """Folds what inference allows to fold; the model is left alone.

    Args:
        model: A Functional or Sequential model of plain layers.
        is_fixed: Whether all calls leave it to Keras whether they are training.
    """
    plan = graph.read(model)
    nested = {
        name: fold(layer, _are_plain(plan, name))
        for name, layer in plan.layers.items()
        if graph.is_nested(layer)
    }
    values = {
        name: calling.Values.of(layer)
        for name, layer in plan.layers.items()
        if kinds.is_linear(layer)
    }
    found = Folded(model.name, plan, values, {}, nested)
    for name, layer in plan.layers.items():
        source = _linear_before(plan, name) if is_fixed else None
        if source in values:
            factors = _fold_into(values[source], plan.layers[source], layer)
            found.gone[name] = source, factors
    return found


def factors(folded, prefix=""):
    """Path of each folded batch norm → path of the linear layer, and its factors.

    Factors have a shape that fits the kernel's.
    """
    found = {
        f"{prefix}{name}": (f"{prefix}{source}", along)
        for name, (source, along) in folded.gone.items()
    }
    for name, inner in folded.nested.items():
        found |= factors(inner, f"{prefix}{name}/")
    return found


def _are_plain(plan, name):
    # A mask matters to moving statistics only, so only in training.
    calls = [call.unmasked for call in plan.calls if call.layer == name]
    return not any(value for call in calls for value in call.kwargs.values())


def _linear_before(plan, name):
    """The one layer whose output a batch norm alone reads, or `None`."""
    layer = plan.layers[name]
    calls = [call for call in plan.calls if call.layer == name]
    is_norm = type(layer) is keras.layers.BatchNormalization
    if not is_norm or len(calls) != 1 or not _are_plain(plan, name):
        return None
    (tensor,) = calls[0].unmasked.tensors
    source = plan.layers[tensor.layer]
    is_last = layer.axis in (-1, layer.input_spec.ndim - 1)
    is_read_once = (
        len(plan.consumers(tensor.layer)) == 1
        and sum(call.layer == tensor.layer for call in plan.calls) == 1
        and all(output.layer not in (name, tensor.layer) for output in plan.outputs)
    )
    is_linear = getattr(source, "activation", None) is keras.activations.linear
    if not (is_last and is_read_once and is_linear):
        return None
    is_first = getattr(source, "data_format", "channels_last") == "channels_first"
    return None if is_first else tensor.layer


def _fold_into(values, linear, norm):
    """`(z − mean) · scale + β` of a linear layer's output as new weights of it.

    Returns:
        What its kernel was multiplied with.
    """
    read = {v.name: kops.convert_to_numpy(v).astype(float) for v in norm.variables}
    scale = read.get("gamma", 1.0) / np.sqrt(read["moving_variance"] + norm.epsilon)
    (kernel,) = values.kernel
    (bias,) = values.bias or [0.0]
    shift = (bias - read["moving_mean"]) * scale + read.get("beta", 0.0)
    if kinds.is_transposed(linear):
        along = scale[:, None]
    elif kinds.is_depthwise(linear):
        along = scale.reshape(kernel.shape[-2:])
    else:
        along = scale
    values.kernel = [(kernel * along).astype(kernel.dtype)]
    values.bias = [shift.astype(kernel.dtype)]
    return along
