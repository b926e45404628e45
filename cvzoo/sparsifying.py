"""`sparsify` and `prune`: the second and third stage of paper 2 for a Keras model."""

import numbers
import warnings

import keras
import numpy as np

from cvzoo import graph, sparsity
from cvzoo.layers.normalization import ComplexNormalization
from cvzoo.layers.sparsifiers import Sparsifier

# Kept: log α ≤ -0.5, in all main results of paper 2 (§5.1).
THRESHOLD = -0.5


def sparsify(model, sparsifier, n_train=None):
    """A copy of a model whose linear layers hold a sparsifier.

    Dense, einsum, bilinear and convolutional layers, real and complex, nested models
    included, get it; their weights and all others are copied. `model` is left alone.
    The result is not compiled. A warning lists the layers with matrices of weights
    that are left alone, each with its share of the parameters: those that cannot hold
    a sparsifier, that are not trainable, or that have LoRA enabled.

    Args:
        model: A Functional or Sequential Keras model.
        sparsifier: A sparsifier, or a function from a layer to one or `None`.
        n_train: Number of training examples, which a divergence is divided by.
            Needed by `VariationalDropout` and `ARD`.

    Returns:
        A `keras.Model`; one that also reports `nll` and `kl` where the sparsifier is
        Bayesian.
    """
    is_one = isinstance(sparsifier, Sparsifier)
    if not is_one and (isinstance(sparsifier, type) or not callable(sparsifier)):
        raise ValueError(
            "`sparsifier` must be a sparsifier such as `VariationalDropout(0.2)`, or a "
            f"function from a layer to one. Received: {sparsifier!r}"
        )
    model = sparsity.functional(model)
    if sparsity.sparse_layers(model):
        raise ValueError(
            f"Layers of model '{model.name}' hold sparsifiers already, which would be "
            "lost. Take `cvzoo.shrink(cvzoo.prune(model))` or, for a preset, "
            "`from_preset(name, masked=False)`."
        )
    linear = sparsity.linear_layers(model)
    moving = [layer for layer in linear if layer.trainable]
    chosen = _choose(sparsifier, moving, n_train)
    by_layer = {id(layer): one for layer, one in zip(moving, chosen, strict=True)}
    # A frozen layer's log σ² could not move: noise and divergence would stay.
    frozen = [
        layer
        for layer in linear
        if not layer.trainable and (is_one or sparsifier(layer) is not None)
    ]

    graph.check_pairs(model)
    result = sparsity.with_sparsifiers(model, lambda layer: by_layer.get(id(layer)))
    untouched = _untouched(model, frozen)
    if not sparsity.sparse_layers(result):
        raise ValueError(
            f"Model '{model.name}' has no dense or convolutional layer that was given "
            f"a sparsifier. Left alone: {', '.join(untouched) or 'none'}."
        )
    if untouched:
        warnings.warn(
            "cvzoo.sparsify left these layers as they were, their weights stay dense: "
            f"{', '.join(untouched)}",
            stacklevel=2,
        )
    return result


def _choose(sparsifier, layers, n_train):
    """The sparsifier of each layer, or `None`."""
    shapes = [tuple(sparsity.kernel_variables(layer)[0].shape) for layer in layers]
    if isinstance(sparsifier, Sparsifier):
        return sparsifier.for_layers(shapes, n_train)
    chosen = [
        one.for_layers([shape], n_train)[0] if isinstance(one, Sparsifier) else one
        for one, shape in zip(map(sparsifier, layers), shapes, strict=True)
    ]
    wrong = [one for one in chosen if not isinstance(one, Sparsifier | None)]
    if wrong:
        raise ValueError(
            "`sparsifier` must give a sparsifier or None for each layer. It gave: "
            f"{wrong[0]!r}"
        )
    return chosen


def prune(model, threshold=THRESHOLD):
    """A copy of a sparsified model whose irrelevant weights are zero for good.

    Args:
        model: Result of `sparsify`, trained.
        threshold: A weight stays if its log α is at most this. Masks of
            `MagnitudePruning` are taken as they are.

    Returns:
        A `keras.Model`, not compiled, whose layers hold a `FixedMask`, so that
        training goes on without the pruned weights.
    """
    if not isinstance(threshold, numbers.Real) or threshold != threshold:
        raise ValueError(
            "`threshold` must be a number, a bound of log α such as -0.5. Received: "
            f"{threshold!r}"
        )
    model = sparsity.functional(model)
    sources = sparsity.sparse_layers(model)
    if not sources:
        raise ValueError(
            f"No layer of model '{model.name}' holds a sparsifier. Make one with "
            "`cvzoo.sparsify` and train it first."
        )
    masks = {id(layer): surviving(layer, threshold) for layer in sources}
    dead = [
        layer.name
        for layer in sources
        if masks[id(layer)] is not None and not masks[id(layer)].any()
    ]
    if dead:
        warnings.warn(
            f"cvzoo.prune(threshold={threshold}) removed every weight of: "
            f"{', '.join(dead)}. Such a layer gives the same output for all inputs. "
            "Expected some log α at or below the threshold; raise it, or train with "
            "a smaller `strength`.",
            stacklevel=2,
        )
    return sparsity.with_masks(model, lambda layer: masks.get(id(layer)))


def surviving(layer, threshold):
    """Which weights of a layer with a sparsifier stay, or `None` for all.

    Raises:
        ValueError: NaN or infinity among its numbers.
    """
    variables = [*layer.kernel_parts, layer.log_sigma2]
    for variable in variables:
        if variable is not None and not np.isfinite(variable).all():
            raise ValueError(
                f"`{variable.name}` of layer '{layer.name}' must be finite to decide "
                "what is pruned. It holds NaN or infinity: training has diverged. "
                "Train again with a smaller learning rate or clipped gradients."
            )
    return layer.sparsifier.keep(layer, threshold)


def _untouched(model, frozen):
    """What `sparsify` says of each layer with matrices of weights that it left alone.

    Args:
        model: The model given.
        frozen: Its linear layers that are not trainable.
    """
    total = max(model.count_params(), 1)
    left = {id(layer): ", not trainable" for layer in frozen}
    for layer in sparsity.flat_layers(model):
        if (
            not sparsity.is_linear(layer)
            and not isinstance(layer, ComplexNormalization | keras.layers.PReLU)
            and any(len(variable.shape) > 1 for variable in layer.trainable_variables)
        ):
            left[id(layer)] = ", LoRA is on" if sparsity.has_lora(layer) else ""
    return [
        f"{layer.name} ({_class_name(layer)}{left[id(layer)]}, "
        f"{_percent(layer.count_params() / total)} of the parameters)"
        for layer in sparsity.flat_layers(model)
        if id(layer) in left
    ]


def _class_name(layer):
    name = type(layer).__name__
    if isinstance(layer, keras.layers.Wrapper):
        return f"{name} of {type(layer.layer).__name__}"
    if isinstance(layer, keras.layers.Bidirectional):
        return f"{name} of {type(layer.forward_layer).__name__}"
    return name


def _percent(share):
    return f"{100 * share:.0f} %" if share >= 0.01 else "< 1 %"
