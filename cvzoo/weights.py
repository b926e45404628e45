"""The stored weights of a model by name, a complex weight being one pair."""

from keras import ops as kops

from cvzoo import packing, sparsity


def named_tensors(model):
    """Name → numpy array, or pair of arrays for complex weights.

    What inference needs: pruned weights are zeros, and neither masks nor `log_sigma2`
    are among them. Names are `<layer>/kernel`, `<layer>/bias`, or those of the
    layer's variables.
    """
    tensors = {}
    for layer in model.layers:
        if sparsity.is_linear(layer):
            kernel, bias = sparsity.linear_values(layer)
            tensors[f"{layer.name}/kernel"] = _joined(kernel)
            if bias:
                tensors[f"{layer.name}/bias"] = _joined(bias)
        else:
            for variable in layer.weights:
                name = f"{layer.name}/{variable.name}"
                tensors[name] = kops.convert_to_numpy(variable)
    return tensors


def specs(model):
    """Name → `packing.Spec` of each tensor of `named_tensors`."""
    return {
        name: packing.Spec(_parts(value)[0].shape, len(_parts(value)))
        for name, value in named_tensors(model).items()
    }


def assign(model, tensors):
    """Sets the weights of a model from `named_tensors` of one of equal architecture."""
    packing.check_names(named_tensors(model), tensors, "weights")
    for layer in model.layers:
        if sparsity.is_linear(layer):
            kernel = _parts(tensors[f"{layer.name}/kernel"])
            _assign(sparsity.kernel_variables(layer), kernel)
            if layer.use_bias:
                bias = _parts(tensors[f"{layer.name}/bias"])
                _assign(sparsity.bias_variables(layer), bias)
        else:
            for variable in layer.weights:
                variable.assign(tensors[f"{layer.name}/{variable.name}"])


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _joined(parts):
    return tuple(parts) if len(parts) == 2 else parts[0]


def _parts(value):
    return value if isinstance(value, tuple) else (value,)
