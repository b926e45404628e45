"""Batch norm folded into the dense layer or convolution before it."""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops as kops

from cvzoo import graph, layers
from cvzoo.channels import calling, kinds

# A complex batch norm p z + q z̄ is folded where neither |p/q| nor |1 − |q/p|²|, which
# are divided by, is smaller.
SMALLEST = 1e-3


class Folded(NamedTuple):
    """A model's graph, with the weights that its linear layers have after folding.

    Attributes:
        name: Name of the model.
        graph: Its graph, over its own layers; of a complex batch norm that was folded,
            a `WidelyLinear` takes the place.
        values: Name of each linear layer → `calling.Values`.
        gone: Names of batch norms that do nothing any more.
        factors: Name of each batch norm that was folded → the layer that it was folded
            into, and the factors that this one's kernel got.
        nested: Name of each nested model → `Folded`.
    """

    name: str
    graph: graph.Graph
    values: dict
    gone: set
    factors: dict
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
    gone, factors, left = set(), {}, {}
    for name, layer in plan.layers.items():
        source = _linear_before(plan, name) if is_fixed else None
        if source not in values:
            continue
        linear = plan.layers[source]
        if type(layer) is keras.layers.BatchNormalization:
            factors[name] = source, _fold_into(values[source], linear, layer)
            gone.add(name)
            continue
        folded = _fold_complex(values[source], linear, layer)
        if folded is not None:
            along, left[name] = folded
            factors[name] = source, along
    plan = plan._replace(layers=plan.layers | left)
    return Folded(model.name, plan, values, gone, factors, nested)


def all_factors(folded, prefix=""):
    """Path of each folded batch norm → path of the linear layer, and its factors.

    Factors have a shape that fits the kernel's.
    """
    found = {
        f"{prefix}{name}": (f"{prefix}{source}", along)
        for name, (source, along) in folded.factors.items()
    }
    for name, inner in folded.nested.items():
        found |= all_factors(inner, f"{prefix}{name}/")
    return found


def _are_plain(plan, name):
    # A mask matters to moving statistics only, so only in training.
    calls = [call.unmasked for call in plan.calls if call.layer == name]
    return not any(value for call in calls for value in call.kwargs.values())


def _linear_before(plan, name):
    """The one layer whose output a batch norm alone reads, or `None`."""
    layer = plan.layers[name]
    calls = [call for call in plan.calls if call.layer == name]
    if not kinds.is_batch_norm(layer) or len(calls) != 1 or not _are_plain(plan, name):
        return None
    tensor = calls[0].unmasked.tensors[0]  # of a pair, both come from one layer
    source = plan.layers[tensor.layer]
    (spec, *_) = keras.tree.flatten(layer.input_spec)
    is_last = layer.axis in (-1, spec.ndim - 1)
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
    along = _along(linear, scale, kernel.shape)
    values.kernel = [(kernel * along).astype(kernel.dtype)]
    values.bias = [shift.astype(kernel.dtype)]
    return along


def _along(linear, factors, shape):
    """Factors of a layer's outputs, in a shape that fits that of its kernel."""
    if kinds.is_transposed(linear):
        return factors[:, None]
    return factors.reshape(shape[-2:]) if kinds.is_depthwise(linear) else factors


def _fold_complex(values, linear, norm):
    """`p z + q z̄ + b` of a linear layer's output as new weights of it, and `u + r ū`.

    Returns:
        What its kernel was multiplied with, and the `WidelyLinear` that is left; or
        `None` where that would divide by almost nothing.
    """
    matrix, shift = (
        [kops.convert_to_numpy(part).astype(float) for part in group]
        for group in norm.inference_map()
    )
    rr, ri, ir, ii = matrix
    p, q = (rr + ii + 1j * (ir - ri)) / 2, (rr - ii + 1j * (ir + ri)) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(q == 0, 0, q / np.conj(p))
    excess = 1 - np.abs(ratio) ** 2
    if (np.abs(ratio) > 1 / SMALLEST).any() or (np.abs(excess) < SMALLEST).any():
        return None
    kernel = values.kernel[0] + 1j * values.kernel[1]
    bias = values.bias[0] + 1j * values.bias[1] if values.bias else np.zeros(p.shape)
    # The shift b is what `u + r ū` makes of the bias c: c + r c̄ = b.
    target = p * bias + q * np.conj(bias) + shift[0] + 1j * shift[1]
    bias = (target - ratio * np.conj(target)) / excess
    along = _along(linear, p, kernel.shape)
    dtype = values.kernel[0].dtype
    values.kernel = _parts(kernel * along, dtype)
    values.bias = _parts(bias, dtype)
    left = layers.WidelyLinear(name=norm.name, dtype=norm.dtype_policy.name)
    left.build([(None, p.size)] * 2)
    left.set_weights(_parts(ratio, dtype))
    return along, left


def _parts(values, dtype):
    return [values.real.astype(dtype), values.imag.astype(dtype)]
