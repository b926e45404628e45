"""`shrink`: plain layers without the units that no longer matter."""

import keras
import numpy as np
from keras import ops as kops

from cvzoo import graph, sparsity
from cvzoo.layers.complex import PerPart
from cvzoo.layers.linear import ComplexDense

# Layers and activations that act on each channel alone.
_CHANNELWISE = (
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.GaussianNoise,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
)
# fmt: off
_CHANNELWISE_ACTIVATIONS = (
    "elu", "exponential", "gelu", "hard_sigmoid", "leaky_relu", "linear", "mish",
    "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "softsign", "swish",
    "tanh",
)
# fmt: on


def shrink(model):
    """A copy of plain layers, without units that make no difference, same outputs.

    In a chain linear layer → channelwise layers → linear layer, a unit goes when the
    second layer has only zeros for it, or when the first has: it then is a constant,
    which is added to the second layer's bias. Removal spreads along the chain.

    Args:
        model: Result of `cvzoo.prune`, fine-tuned; or any Functional or Sequential
            model with zeros in its kernels.

    Returns:
        A `keras.Model`, not compiled.
    """
    plan = graph.read(sparsity.without_sparsifiers(model))
    values = {
        name: _Linear(*sparsity.linear_values(layer))
        for name, layer in plan.layers.items()
        if _is_dense(layer)
    }
    chains = [chain for name in values if (chain := _chain(plan, name))]
    # Backwards: what goes in one chain may leave units of the one before unused.
    # Forwards, a unit without inputs makes a constant. Each pass removes a unit.
    while any([_shrink_chain(plan, values, *chain) for chain in reversed(chains)]):
        pass
    layers = {
        name: _rebuilt(layer, values.get(name)) for name, layer in plan.layers.items()
    }
    result = graph.rebuild(plan, layers, model.name)
    for name, value in values.items():
        new = result.get_layer(name)
        for variable, part in zip(
            sparsity.kernel_variables(new) + sparsity.bias_variables(new),
            value.kernel + value.bias,
            strict=True,
        ):
            variable.assign(part)
    for layer in result.layers:
        if layer.name not in values and layer.weights:
            layer.set_weights(plan.layers[layer.name].get_weights())
    return result


class _Linear:
    """Values of a linear layer while it shrinks."""

    def __init__(self, kernel, bias):
        self.kernel, self.bias = kernel, bias

    def add_to_bias(self, units, constant):
        """Adds the constant inputs `units`, of values `constant`, to the bias."""
        rows = [part[units] for part in self.kernel]
        if len(rows) == 1:
            shift = [constant[0] @ rows[0]]
        else:
            (u, v), (real, imag) = rows, constant
            shift = [real @ u - imag @ v, real @ v + imag @ u]
        bias = self.bias or [np.float32(0)] * len(rows)
        self.bias = [
            (part + extra).astype(np.float32)
            for part, extra in zip(bias, shift, strict=True)
        ]


def _chain(plan, name):
    """`(name, channelwise layers, next linear layer)`, or `None`."""
    if not _is_channelwise_activation(plan.layers[name].activation):
        return None
    between, current = [], name
    while True:
        calls = [call for call in plan.calls if call.layer == current]
        consumers = plan.consumers(current)
        is_output = any(tensor.layer == current for tensor in plan.outputs)
        if len(calls) != 1 or len(consumers) != 1 or is_output:
            return None
        current = consumers[0].layer
        layer = plan.layers[current]
        if len({tensor.layer for tensor in consumers[0].tensors}) != 1:
            return None
        if _is_dense(layer):
            only_call = [call for call in plan.calls if call.layer == current]
            return (name, between, current) if len(only_call) == 1 else None
        if not _is_channelwise(layer):
            return None
        between.append(current)


def _shrink_chain(plan, values, first_name, between, second_name):
    """Removes units between two linear layers; whether there were any."""
    first, second = values[first_name], values[second_name]
    live = sum(np.abs(part).sum(axis=0) for part in first.kernel) > 0
    used = sum(np.abs(part).sum(axis=1) for part in second.kernel) > 0
    constant = np.flatnonzero(used & ~live)
    if constant.size:
        outputs = _constant_outputs(plan, first_name, first, between)
        second.add_to_bias(constant, [part[constant] for part in outputs])
        for part in second.kernel:
            part[constant] = 0
    keep = live & used
    if not keep.any():
        keep[0] = True  # A layer has at least one unit; this one is not used.
    if keep.all():
        return bool(constant.size)
    first.kernel = [part[:, keep] for part in first.kernel]
    first.bias = [part[keep] for part in first.bias]
    second.kernel = [part[keep] for part in second.kernel]
    return True


def _constant_outputs(plan, name, value, between):
    """What the units of a layer put out where all their weights are zero."""
    units = value.kernel[0].shape[1]
    bias = value.bias or [np.zeros(units, np.float32) for _ in value.kernel]
    activation = plan.layers[name].activation
    outputs = tuple(activation(kops.convert_to_tensor(part[None])) for part in bias)
    outputs = outputs if len(outputs) == 2 else outputs[0]
    for layer in between:
        outputs = plan.layers[layer](outputs)
    return [kops.convert_to_numpy(part)[0] for part in keras.tree.flatten(outputs)]


def _is_dense(layer):
    return type(layer) in (keras.layers.Dense, ComplexDense)


def _is_channelwise(layer):
    if isinstance(layer, PerPart):
        layer = layer.layer
    if isinstance(layer, keras.layers.Activation):
        return _is_channelwise_activation(layer.activation)
    return type(layer) in _CHANNELWISE


def _is_channelwise_activation(activation):
    return getattr(activation, "__name__", "") in _CHANNELWISE_ACTIVATIONS


def _rebuilt(layer, value):
    if isinstance(layer, keras.layers.InputLayer):
        return keras.Input(
            batch_shape=layer.batch_shape, dtype=layer.dtype, name=layer.name
        )
    config = layer.get_config()
    if value is None:
        return layer.__class__.from_config(config)
    config.update(units=value.kernel[0].shape[1], use_bias=bool(value.bias))
    return layer.__class__.from_config(config)
