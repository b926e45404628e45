"""The stored weights of a model by name, a complex weight being one pair."""

import math

import keras
import numpy as np
from keras import ops as kops

from cvzoo import packing, sparsity

# Numbers that a variable is given at once.
_AT_ONCE = 2**17


def named_tensors(model):
    """Name → numpy array, or pair of arrays for complex weights.

    What inference needs: pruned weights are zeros, and neither masks nor `log_sigma2`
    are among them. Names are `<layer>/kernel`, `<layer>/bias`, or those of the
    layer's variables.
    """
    tensors = {}
    for name, layer in named_layers(model):
        if sparsity.is_linear(layer):
            kernel, bias = sparsity.linear_values(layer)
            tensors[f"{name}/kernel"] = _joined(kernel)
            if bias:
                tensors[f"{name}/bias"] = _joined(bias)
        else:
            for key, variable in _named_variables(name, layer):
                tensors[key] = kops.convert_to_numpy(variable)
    return tensors


def specs(model):
    """Name → `packing.Spec` of each tensor of `named_tensors`, none of them copied."""
    return {
        name: packing.Spec(tuple(parts[0].shape), len(parts))
        for _, tensors in _places(model)
        for name, parts in tensors.items()
    }


def assign(model, tensors):
    """Sets the weights of a model from `named_tensors` of one of equal architecture."""
    packing.check_names(specs(model), tensors, "weights")
    assign_some(model, tensors, tensors)


def assign_some(model, tensors, names, masked=False):
    """Sets weights of a model, one after another.

    Args:
        model: A Keras model.
        tensors: Name → value of each weight, as in `named_tensors`. Each is looked up
            once, and let go before the next.
        names: Those to set.
        masked: Whether the masks of layers become those of the zeros of their kernels.
    """
    for layer, places in _places(model):
        chosen = [name for name in places if name in names]
        for name in chosen:
            has_mask = masked and name.endswith("/kernel") and sparsity.has_mask(layer)
            _set(places[name], _parts(tensors[name]), layer.mask if has_mask else None)
        if chosen and not sparsity.is_linear(layer):
            sparsity.finish_loading(layer)


def named_layers(model, prefix=""):
    """Pairs of the path of each layer and it, those of nested models included."""
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' has no weights yet. Begin it with "
            "`keras.Input(shape)`, or call it once on data."
        )
    for layer in model.layers:
        name = prefix + layer.name
        if isinstance(layer, keras.Model):
            yield from named_layers(layer, f"{name}/")
        else:
            yield name, layer


def _places(model):
    """Pairs of a layer, and name → variables of the parts of each of its tensors."""
    for name, layer in named_layers(model):
        if sparsity.is_linear(layer):
            places = {f"{name}/kernel": sparsity.kernel_variables(layer)}
            if bias := sparsity.bias_variables(layer):
                places[f"{name}/bias"] = bias
        else:
            places = {key: (one,) for key, one in _named_variables(name, layer)}
        yield layer, places


def _named_variables(name, layer):
    """Variables of a layer, those of its sublayers included, by names that differ."""
    names = [variable.name for variable in layer.weights]
    for position, variable in enumerate(layer.weights):
        suffix = f":{position}" if names.count(variable.name) > 1 else ""
        yield f"{name}/{variable.name}{suffix}", variable


def _set(variables, parts, mask):
    for variable, value in zip(variables, parts, strict=True):
        _fill(variable, value)
    if mask is not None:
        _fill(mask, packing.nonzero(parts))


def _fill(variable, value):
    """Sets a variable, rows by rows where it is large.

    TensorFlow copies what a variable is given, up to three times.
    """
    inner, shape = variable.value, tuple(variable.shape)
    # Not one that is kept on several devices.
    is_plain = type(inner).__name__ == "ResourceVariable"
    if not is_plain or variable.dtype != "float32" or shape != np.shape(value):
        variable.assign(value)
        return
    rows = max(1, _AT_ONCE // max(1, math.prod(shape[1:])))
    if not shape or shape[0] <= rows:
        variable.assign(value)
        return
    for start in range(0, shape[0], rows):
        some = np.asarray(value[start : start + rows], np.float32)
        inner[start : start + rows].assign(some)


def _joined(parts):
    return tuple(parts) if len(parts) == 2 else parts[0]


def _parts(value):
    return value if isinstance(value, tuple) else (value,)
