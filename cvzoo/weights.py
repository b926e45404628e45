"""The stored weights of a model by name, a complex weight being one pair."""

import keras
from keras import ops as kops

from cvzoo import packing, sparsity


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
    found = {}
    for name, layer in named_layers(model):
        if sparsity.is_linear(layer):
            found[f"{name}/kernel"] = _spec(sparsity.kernel_variables(layer))
            bias = sparsity.bias_variables(layer)
            if bias:
                found[f"{name}/bias"] = _spec(bias)
        else:
            for key, variable in _named_variables(name, layer):
                found[key] = _spec((variable,))
    return found


def assign(model, tensors):
    """Sets the weights of a model from `named_tensors` of one of equal architecture."""
    packing.check_names(specs(model), tensors, "weights")
    for name, layer in named_layers(model):
        if sparsity.is_linear(layer):
            kernel = _parts(tensors[f"{name}/kernel"])
            _assign(sparsity.kernel_variables(layer), kernel)
            bias = sparsity.bias_variables(layer)
            if bias:
                _assign(bias, _parts(tensors[f"{name}/bias"]))
        else:
            for key, variable in _named_variables(name, layer):
                variable.assign(tensors[key])
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


def _named_variables(name, layer):
    """Variables of a layer, those of its sublayers included, by names that differ."""
    names = [variable.name for variable in layer.weights]
    for position, variable in enumerate(layer.weights):
        suffix = f":{position}" if names.count(variable.name) > 1 else ""
        yield f"{name}/{variable.name}{suffix}", variable


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _spec(parts):
    return packing.Spec(tuple(parts[0].shape), len(parts))


def _joined(parts):
    return tuple(parts) if len(parts) == 2 else parts[0]


def _parts(value):
    return value if isinstance(value, tuple) else (value,)
