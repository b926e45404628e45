"""Networks whose every kernel is a product of two thin ones."""

import keras

from cvzoo import graph, sparsity


def with_low_rank(model, rank):
    """A model whose linear layers are each preceded by one of `rank` outputs.

    A convolution becomes one of `rank` filters, and one with a window of 1. Layers of
    at most `rank` outputs stay as they are.
    """
    plan = graph.read(model)
    layers = {name: _factorized(layer, rank) for name, layer in plan.layers.items()}
    return graph.rebuild(plan, layers, model.name)


def _factorized(layer, rank):
    if isinstance(layer, keras.layers.InputLayer):
        return keras.Input(layer.batch_shape[1:], dtype=layer.dtype, name=layer.name)
    config = layer.get_config()
    outputs = config.get("units", config.get("filters", 0))
    if not sparsity.is_linear(layer) or outputs <= rank:
        return type(layer).from_config(config)
    size = "units" if "units" in config else "filters"
    thin = {size: rank, "name": f"{layer.name}_thin", "use_bias": False}
    wide = {}
    if size == "filters":
        wide = {"kernel_size": 1, "strides": 1, "dilation_rate": 1, "padding": "valid"}
    first = type(layer).from_config({**config, **thin, "activation": None})
    second = type(layer).from_config({**config, **wide})
    return lambda inputs: second(first(inputs))
