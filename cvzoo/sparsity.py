"""Which layers can hold a sparsifier, and copies of models with and without them."""

import warnings

import keras
import numpy as np
from keras import ops as kops

from cvzoo import graph, ops
from cvzoo.layers.bilinear import Bilinear
from cvzoo.layers.linear import ComplexLinear, Sparsifiable
from cvzoo.layers.masking import FixedMask
from cvzoo.layers.sparsifiable import SPARSIFIABLE, einsum_kernel_shape

_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


@keras.saving.register_keras_serializable("cvzoo")
class BayesianModel(keras.Model):
    """A Functional model that reports `nll` and `kl` apart.

    `loss = nll + kl` in training. In evaluation there is no divergence: `kl` is 0.
    Made by `cvzoo.sparsify`.
    """

    # `__init__` and `compile` are left alone: overridden, `load_model` fails or
    # leaves the model uncompiled.

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return super().from_config(config, custom_objects).add_trackers()

    def add_trackers(self):
        self.nll_tracker = keras.metrics.Mean(name="nll")
        self.kl_tracker = keras.metrics.Mean(name="kl")
        return self

    @property
    def losses(self):
        """As in Keras; under `tf.distribute` with each replica's own divergences.

        Replicas are threads that share their layers. Where they wait for each other, as
        in synchronised batch norm, a layer keeps the divergence of whichever came last,
        and that one gives no gradient to the variables of this one.
        """
        losses = super().losses
        if ops.replica_count() == 1:
            return losses
        layers = {id(layer.marker): layer for layer in sparse_layers(self)}
        shared = [loss for loss in losses if id(loss) in layers]
        own = [layers[id(loss)].sparsifier.penalty(layers[id(loss)]) for loss in shared]
        others = [loss for loss in losses if id(loss) not in layers]
        return others + [penalty for penalty in own if penalty is not None]

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        penalties = [layer.penalty for layer in sparse_layers(self)] if training else []
        kl = sum((one for one in penalties if one is not None), kops.zeros(()))
        # A small last batch weighs less, as it does in the mean that `loss` is.
        given = (one for one in keras.tree.flatten((x, y_pred)) if one is not None)
        examples = kops.shape(next(given))[0]
        self.nll_tracker.update_state(loss * ops.replica_count() - kl, examples)
        self.kl_tracker.update_state(kl, examples)
        return loss


def with_masks(model, choose_mask):
    """A copy whose linear layers hold a `FixedMask` where `choose_mask` gives a mask.

    Args:
        model: A Functional or Sequential Keras model.
        choose_mask: Function from a linear layer to an array of 0 and 1 of the shape
            of (one part of) its kernel, or to `None`.
    """
    model = functional(model)
    masks = {id(layer): choose_mask(layer) for layer in linear_layers(model)}
    for layer in linear_layers(model):
        mask, shape = masks[id(layer)], tuple(kernel_variables(layer)[0].shape)
        if mask is not None and np.shape(mask) != shape:
            raise ValueError(
                f"The mask of layer '{layer.name}' must have its kernel's shape "
                f"{shape}. Received shape {np.shape(mask)}. Give one value for each "
                "weight, or None for a layer without a mask."
            )
        if mask is not None and not np.isin(kops.convert_to_numpy(mask), (0, 1)).all():
            raise ValueError(
                f"The mask of layer '{layer.name}' must hold 0 and 1 only: 0 where a "
                "weight is pruned, 1 where it stays. Compare with a threshold first."
            )
    result = with_sparsifiers(
        model, lambda layer: None if masks[id(layer)] is None else FixedMask()
    )
    for layer, mask in zip(linear_layers(result), masks.values(), strict=True):
        if mask is not None:
            layer.mask.assign(mask)
            for part in layer.kernel_parts:
                part.assign(part * layer.mask)
    return result


def without_sparsifiers(model):
    """A copy of plain layers; pruned weights are zeros in their kernels."""
    return with_sparsifiers(model, lambda layer: None)


def linear_layers(model):
    """The layers that can hold a sparsifier, those of nested models included."""
    return [layer for layer in flat_layers(model) if is_linear(layer)]


def sparse_layers(model):
    """The layers that hold a sparsifier, those of nested models included."""
    return [
        layer
        for layer in flat_layers(model)
        if isinstance(layer, Sparsifiable) and layer.sparsifier is not None
    ]


def warn_if_unpruned(model, caller):
    """Warns of layers with a variance for each weight: pruning has not come yet."""
    names = [
        layer.name for layer in sparse_layers(model) if layer.log_sigma2 is not None
    ]
    if names:
        warnings.warn(
            f"{caller}: model '{model.name}' is sparsified, but not pruned, so all its "
            f"weights count: layer {names[0]}"
            + (f" and {len(names) - 1} more" if names[1:] else "")
            + ". Call `cvzoo.prune(model)` first.",
            stacklevel=3,
        )


def flat_layers(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from flat_layers(layer)
        else:
            yield layer


def is_linear(layer):
    """Whether `sparsify` knows the layer. Subclasses of users are left alone."""
    if has_lora(layer) or graph.is_quantized(layer):
        return False
    return is_own_linear(layer) or plain_class(layer) in SPARSIFIABLE


def has_lora(layer):
    # Its kernel is then a sum, and no variable.
    return getattr(layer, "lora_enabled", False)


def has_mask(layer):
    """Whether a linear layer multiplies its kernel with a mask."""
    return isinstance(layer, Sparsifiable) and layer.mask is not None


def is_own_linear(layer):
    """Whether it is a layer of cvzoo with one kernel, which takes a sparsifier."""
    return is_complex_linear(layer) or type(layer) is Bilinear


def is_complex_linear(layer):
    """Whether it is a complex layer of cvzoo with one kernel."""
    is_ours = type(layer).__module__.startswith("cvzoo.layers.")
    return is_ours and isinstance(layer, ComplexLinear)


def plain_class(layer):
    """The class of a layer; Keras' own for those that can hold a sparsifier."""
    for stock, sparsifiable in SPARSIFIABLE.items():
        if type(layer) is sparsifiable:
            return stock
    return type(layer)


def functional(model):
    """`graph.functional`, with a message of its own for subclassed models.

    Nested ones are refused too.
    """
    is_model = isinstance(model, keras.Model)
    # Keras puts its Functional class among the bases; it has no public name.
    bases = {base.__name__ for base in type(model).__mro__}
    if is_model and not bases & {"Functional", "Sequential"}:
        raise ValueError(
            "A Functional or Sequential Keras model is needed. Received the subclassed "
            f"{type(model).__name__} '{model.name}', whose graph cannot be read. Build "
            "it as `keras.Model(inputs, outputs)`, or give `sparsifier=` to its "
            "complex layers yourself."
        )
    model = graph.functional(model)
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            functional(layer)
    return model


def with_sparsifiers(model, choose):
    model = functional(model)
    is_bayesian = False

    def clone(layer):
        nonlocal is_bayesian
        if not is_linear(layer):
            return layer.__class__.from_config(layer.get_config())
        sparsifier = choose(layer)
        if sparsifier is not None:
            is_bayesian |= sparsifier.is_random
        config = {**layer.get_config()}
        config.pop("sparsifier", None)
        plain = plain_class(layer)
        if is_own_linear(layer):
            return plain.from_config({**config, "sparsifier": sparsifier})
        if sparsifier is None:
            return plain.from_config(config)
        return SPARSIFIABLE[plain].from_config({**config, "sparsifier": sparsifier})

    copy = cloned(model, clone)
    if is_bayesian:
        copy = BayesianModel(copy.input, copy.output, name=model.name).add_trackers()
    _copy_state(model, copy)
    return copy


def cloned(model, clone):
    """A model of the same form and names, of the layers that `clone` makes of each.

    Their weights are left as they are made.
    """
    copy = keras.models.clone_model(
        model,
        input_tensors=_new_inputs(model),
        clone_function=clone,
        recursive=True,
    )
    return keras.Model(copy.input, copy.output, name=model.name)


def _new_inputs(model):
    """Inputs of the same names, of which `clone_model` keeps only the given ones."""
    names = {
        id(layer.output): layer.name
        for layer in model.layers
        if isinstance(layer, keras.layers.InputLayer)
    }
    return keras.tree.map_structure(
        lambda tensor: keras.Input(
            batch_shape=tensor.shape, dtype=tensor.dtype, name=names[id(tensor)]
        ),
        model.input,
    )


def _copy_state(source, target):
    # By position: paths are not unique in nested models.
    for old, new in zip(source.layers, target.layers, strict=True):
        if isinstance(old, keras.Model):
            _copy_state(graph.functional(old), graph.functional(new))
        elif is_linear(old):
            copy_linear(old, new)
        else:
            copy_variables(old, new)


def copy_variables(old, new):
    """Copies the state of any other layer."""
    for old_variable, new_variable in zip(old.variables, new.variables, strict=True):
        new_variable.assign(old_variable)
    if has_lora(old):
        new.lora_alpha = old.lora_alpha  # Keras 3.15's Dense forgets it in `build`
    finish_loading(new)


def finish_loading(layer):
    """What a layer such as Normalization computes of its variables on loading."""
    if type(layer).load_own_variables is keras.layers.Layer.load_own_variables:
        return  # It would only set them once more.
    store = {}
    layer.save_own_variables(store)
    if store:
        layer.load_own_variables(store)


def copy_linear(old, new):
    """Copies kernel and bias; pruned weights arrive as zeros."""
    kernel, bias = linear_values(old)
    for variable, value in zip(kernel_variables(new), kernel, strict=True):
        variable.assign(value)
    for variable, value in zip(bias_variables(new), bias, strict=True):
        variable.assign(value)


def kernel_shape(layer, inputs):
    """Shape that (each part of) the kernel of a linear layer has for some inputs.

    Args:
        layer: A linear layer, built or not, channels last.
        inputs: The tensor, or structure of tensors, that it is called on.
    """
    if is_own_linear(layer):
        return layer.kernel_shape_for(
            keras.tree.map_structure(lambda tensor: tuple(tensor.shape), inputs)
        )
    channels = inputs.shape[-1]
    plain = plain_class(layer)
    if plain is keras.layers.Dense:
        return channels, layer.units
    if plain is keras.layers.EinsumDense:
        return einsum_kernel_shape(layer, tuple(inputs.shape))
    if issubclass(plain, _DEPTHWISE):
        return *layer.kernel_size, channels, layer.depth_multiplier
    if issubclass(plain, _TRANSPOSED):
        return *layer.kernel_size, layer.filters, channels
    return *layer.kernel_size, channels // layer.groups, layer.filters


def kernel_variables(layer):
    if isinstance(layer, Sparsifiable):
        return layer.kernel_parts
    return (layer.kernel,)


def bias_variables(layer):
    if is_complex_linear(layer):
        return layer.bias_parts
    # `EinsumDense` has no `use_bias`.
    return () if layer.bias is None else (layer.bias,)


def linear_values(layer):
    """numpy `(kernel parts, bias parts)` of a linear layer, pruned weights zero."""
    kernel = [kops.convert_to_numpy(part) for part in kernel_variables(layer)]
    mask = getattr(layer, "mask", None)
    if mask is not None:
        kernel = [part * kops.convert_to_numpy(mask) for part in kernel]
    return kernel, [kops.convert_to_numpy(part) for part in bias_variables(layer)]
