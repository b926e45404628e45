"""What becomes of each tensor of a torch layer: tables by kind of Keras layer."""

from typing import NamedTuple

import keras
import numpy as np

from cvzoo import layers, sparsity

# Order of the axes of a weight; `log_sigma2` and `mask` have the same. Letters: outputs
# o, inputs i (of a group), space x y z; of depthwise ones m outputs for each input.
WEIGHTS = {
    keras.layers.Dense: "o i -> i o",
    keras.layers.Conv1D: "o i x -> x i o",
    keras.layers.Conv2D: "o i x y -> x y i o",
    keras.layers.Conv3D: "o i x y z -> x y z i o",
    keras.layers.Conv1DTranspose: "i o x -> x o i",
    keras.layers.Conv2DTranspose: "i o x y -> x y o i",
    keras.layers.Conv3DTranspose: "i o x y z -> x y z o i",
    keras.layers.DepthwiseConv1D: "im 1 x -> x i m",
    keras.layers.DepthwiseConv2D: "im 1 x y -> x y i m",
    layers.Bilinear: "o i j -> i j o",
    layers.ComplexDense: "o i -> i o",
    layers.ComplexConv1D: "o i x -> x i o",
    layers.ComplexConv2D: "o i x y -> x y i o",
    layers.ComplexConv3D: "o i x y z -> x y z i o",
    layers.ComplexConv1DTranspose: "i o x -> x o i",
    layers.ComplexConv2DTranspose: "i o x y -> x y o i",
    layers.ComplexDepthwiseConv2D: "im 1 x y -> x y i m",
    layers.ComplexBilinear: "o i j -> i j o",
}
# Learned values for each channel → name in torch.
CHANNEL_VALUES = {
    layers.PhaseShift: "phi",
    layers.AdaptiveModReLU: "threshold",
    layers.ThresholdModReLU: "threshold",
}
# Statistics and affine map of batch norm: attribute of the layer → name in torch.
REAL_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# Kept by torch, without a meaning in Keras.
IGNORED = {"num_batches_tracked"}


class Move(NamedTuple):
    """Tensors of a torch layer, and the variables of the Keras layer that they become.

    Attributes:
        tensors: Names in torch, without the layer's.
        variables: As many variables, unless `convert` says otherwise.
        axes: Orders of their axes, as in `axes`.
        sizes: Letter → size.
        convert: List of arrays in Keras' order → arrays of the variables.
        factor: Name of a tensor that they are multiplied with, where there is one.
        check: Array in torch's order → what is wrong with it, or `None`.
        features: Letter of the axis of the layer's features, if a flattened map can
            come in there.
    """

    tensors: tuple
    variables: tuple
    axes: str
    sizes: dict
    convert: object = None
    factor: str = None
    check: object = None
    features: str = None


def moves(layer, tensors):
    """The moves to a layer; `None` if there is no rule for such a layer.

    Args:
        layer: A built Keras layer.
        tensors: Name → array of the torch layer, or nothing.
    """
    plain = sparsity.plain_class(layer)
    if plain in WEIGHTS and sparsity.is_linear(layer):
        return _linear(layer, WEIGHTS[plain])
    if plain is keras.layers.BatchNormalization:
        return _real_norm(layer)
    if plain is layers.ComplexBatchNormalization:
        return _complex_norm(layer)
    if plain in CHANNEL_VALUES:
        return _channel_values(layer, CHANNEL_VALUES[plain], tensors)
    return None


def kind_of_layer(layer):
    """What tells a layer from others when they are matched by their order."""
    plain = sparsity.plain_class(layer)
    if plain in WEIGHTS:
        field = "complex" if sparsity.is_complex_linear(layer) else "real"
        return field, len(WEIGHTS[plain].split("->")[0].split())
    if is_norm(layer):
        is_real = plain is keras.layers.BatchNormalization
        return "real" if is_real else "complex", "batch norm"
    return CHANNEL_VALUES.get(plain, "unknown")


def kind_of_tensors(tensors):
    """The same of a torch layer: a field and its weight's number of axes, or a name."""
    if "running_mean" in tensors:
        is_real = tensors["running_mean"].ndim == 1
        return "real" if is_real else "complex", "batch norm"
    for name in CHANNEL_VALUES.values():
        if name in tensors:
            return name
    if "weight.real" in tensors:
        return "complex", tensors["weight.real"].ndim
    return ("real", tensors["weight"].ndim) if "weight" in tensors else "unknown"


def is_norm(layer):
    kinds = (keras.layers.BatchNormalization, layers.ComplexBatchNormalization)
    return isinstance(layer, kinds)


def _linear(layer, axes):
    parts = (".real", ".imag") if sparsity.is_complex_linear(layer) else ("",)
    letters = "".join(axes.split("->")[1].split())
    kernel = sparsity.kernel_variables(layer)
    sizes = dict(zip(letters, kernel[0].shape, strict=True))
    features = "i" if letters == "io" else None
    shared = {"axes": axes, "sizes": sizes, "features": features}
    found = [Move(_names("weight", parts), tuple(kernel), factor="mask", **shared)]
    bias = tuple(sparsity.bias_variables(layer))
    if bias:
        size = {"o": bias[0].shape[0]}
        found.append(Move(_names("bias", parts), bias, "o -> o", size))
    if getattr(layer, "log_sigma2", None) is not None:
        found.append(Move(("log_sigma2",), (layer.log_sigma2,), **shared))
    if getattr(layer, "mask", None) is not None:
        found.append(Move(("mask",), (layer.mask,), convert=_not_zero, **shared))
    return found


def _names(name, parts):
    return tuple(name + part for part in parts)


def _not_zero(arrays):
    # A mask that is not 0 and 1 only is in the weight already.
    return [array != 0 for array in arrays]


def _real_norm(layer):
    variables = {name: getattr(layer, name, None) for name in REAL_NORM}
    return [
        Move(
            (REAL_NORM[name],),
            (variable,),
            "f -> f",
            {"f": variable.shape[0]},
            check=_below_0 if name == "moving_variance" else None,
            features="f",
        )
        for name, variable in variables.items()
        if variable is not None
    ]


def _complex_norm(layer):
    sizes = {"p": 2, "q": 2, "f": layer.moving_mean_real.shape[0]}

    def move(name, variables, axes, convert=None, check=None):
        return Move((name,), variables, axes, sizes, convert, None, check, "f")

    def covariance(arrays):
        # That of torch has ε in it already.
        rr, ri, _, ii = arrays[0]
        return [np.stack([rr - layer.epsilon, ri, ii - layer.epsilon])]

    mean = layer.moving_mean_real, layer.moving_mean_imag
    found = [
        move("running_mean", mean, "p f -> p f", _rows),
        move(
            "running_var",
            (layer.moving_covariance,),
            "p q f -> pq f",
            covariance,
            _no_covariance,
        ),
    ]
    if layer.affine is None:
        return found
    is_full = layer.affine == "full"
    gamma = move(
        "weight",
        (layer.gamma,),
        "p q f -> pq f",
        None if is_full else _upper,
        None if is_full else _not_symmetric,
    )
    beta = move("bias", (layer.beta_real, layer.beta_imag), "p f -> p f", _rows)
    return [gamma, beta, *found]


def _rows(arrays):
    return list(arrays[0])


def _upper(arrays):
    return [arrays[0][[0, 1, 3]]]


def _not_symmetric(array):
    if not np.allclose(array[0, 1], array[1, 0], rtol=1e-4, atol=1e-6):
        return "must be symmetric for a layer with affine='symmetric'; use 'full'"
    return None


def _no_covariance(array):
    if not np.allclose(array[0, 1], array[1, 0], rtol=1e-4, atol=1e-6):
        return "must be symmetric, as a covariance is"
    return _below_0(np.stack([array[0, 0], array[1, 1]]))


def _below_0(array):
    if array.min(initial=0) < 0:
        return f"must not be negative. Its smallest number is {array.min():.3g}"
    return None


def _channel_values(layer, name, tensors):
    if not layer.weights:
        return []
    (variable,) = layer.weights
    if not len(variable.shape):
        return [Move((name,), (variable,), "1 -> ", {})]
    # Channels first, torch has axes of size 1 behind them.
    rank = tensors[name].ndim if name in tensors else 1
    axes = " ".join(["f", *["1"] * (rank - 1)]) + " -> f"
    sizes = {"f": variable.shape[0]}
    return [Move((name,), (variable,), axes, sizes, features="f")]
