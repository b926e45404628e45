"""Networks for the notes in music: paper 2 (§5.4), and Trabelsi et al., 2018.

They take audio as it is and end in logits, one for each note.
"""

from typing import NamedTuple

import keras

from cvzoo.layers import (
    ComplexAveragePooling1D,
    ComplexBatchNormalization,
    ComplexConv1D,
    ComplexDense,
    ComplexHe,
    ComplexIndependent,
    ComplexNormal,
    FourierFeatures,
    FromComplex,
    PerPart,
)
from cvzoo.layers.linear import check_choice
from cvzoo.models.pytorch_defaults import real_conv, real_dense
from cvzoo.models.registry import register_model

VARIANTS = ("nazarov", "trabelsi")
# Those that the published networks took.
FEATURES = {
    ("complex", "nazarov"): ("fft",),
    ("real", "nazarov"): ("fft",),
    ("complex", "trabelsi"): ("fft",),
    ("real", "trabelsi"): ("magnitude", "raw"),
}


class Block(NamedTuple):
    """A convolution and what follows it.

    Attributes:
        kernel_size: Of the convolution.
        stride: Likewise.
        factor: Its filters, as a multiple of the builder's argument.
        is_full: Whether batch norm comes before the ReLU and pooling by 2 after it.
    """

    kernel_size: int
    stride: int
    factor: int
    is_full: bool = True


COMPLEX_BLOCKS = (
    Block(6, 2, 1),
    Block(3, 2, 2),
    Block(3, 1, 4),
    Block(3, 1, 4),
    Block(3, 1, 8, is_full=False),
    Block(3, 1, 8),
)
REAL_BLOCKS = (
    Block(7, 3, 4),
    Block(3, 2, 4),
    Block(3, 1, 8),
    Block(3, 1, 8),
    Block(3, 1, 16, is_full=False),
    Block(3, 1, 16),
)
SHALLOW_KERNEL, SHALLOW_STRIDE = 512, 16
SHALLOW_POOLING = {"pool_size": 4, "strides": 2}


@register_model(tiny={"filters": 2, "window": 768, "notes": 3}, size="filters")
def musicnet_deep(
    field="complex",
    variant="nazarov",
    first_kernel=6,
    features=None,
    width=1,
    filters=16,
    window=4096,
    notes=84,
    name="musicnet_deep",
):
    """Six convolutions, five with batch norm and pooling; linear → ReLU → linear.

    Each block is convolution → batch norm → ReLU → pooling, of means in the complex
    networks and of maxima in the real ones. What differs:

    | | `"nazarov"` | `"trabelsi"` |
    | --- | --- | --- |
    | zero frequency | in the middle | first |
    | padding, complex | valid | same |
    | bias before batch norm | no | yes |
    | complex batch norm: Γ, ε | full, 1e-5 | symmetric, 1e-4 |
    | linear layers of the complex network | complex, then the real part | real |
    | first weights | cplxmodule's, PyTorch's | independent He, Glorot |
    | last bias at first | −5 if real | −5 |

    Flattening takes all channels of a time, then those of the next.

    Args:
        field: `"real"` or `"complex"`. The real network has 4 times as many filters in
            its first convolution and 2 times as many in the others.
        variant: `"nazarov"`: that of paper 2; `"trabelsi"`: that of Deep Complex
            Networks, whose sigmoid is in the loss here.
        first_kernel: Window of the complex network's first convolution: 6, or 3 in
            some runs of paper 2. The real one has 7.
        features: `"fft"`, the Fourier transform, unnormalised: one complex channel, or
            two real ones; of Trabelsi's real network `"magnitude"`, the moduli of the
            same, or `"raw"` audio. `None`: `"fft"` or `"magnitude"`.
        width: Factor on filters and hidden units.
        filters: Filters of the first complex convolution at width 1. There are 128
            times as many hidden units.
        window: Samples of audio.
        notes: Number of outputs: MIDI notes 21 to 104 in the papers.
        name: Name of the model.

    Returns:
        A `keras.Model` from `audio`, `(batch, window)`, to `logits`, `(batch, notes)`.
        The papers' audio has 11 000 samples a second, from −1 to 1, and the notes are
        those at the middle of the window.

    Raises:
        ValueError: An argument is not one of those above, or `window` is too short for
            the convolutions and poolings.

    Reference:
        Paper 2, §5.4, and its code, `complex_paper`;
        [Trabelsi et al., 2018](https://arxiv.org/abs/1705.09792), §4.2, and its code,
        `deep_complex_networks`.
    """
    check_choice("field", field, ("real", "complex"))
    check_choice("variant", variant, VARIANTS)
    blocks = _blocks(field, variant, first_kernel)
    padding = "same" if (field, variant) == ("complex", "trabelsi") else "valid"
    _check_window(window, _needed(blocks, padding))
    audio, x = _opened(field, variant, features, "magnitude", window)
    hidden = round(128 * filters * width)
    body = _complex_deep if field == "complex" else _real_deep
    x = body(x, variant, blocks, padding, filters * width)
    if field == "complex" and variant == "nazarov":
        logits = _complex_head(x, variant, hidden, notes)
    else:
        if field == "complex":
            x = FromComplex("concatenated", name="concatenate")(x)
        logits = _real_head(x, variant, hidden, notes)
    return keras.Model(audio, logits, name=name)


@register_model(tiny={"filters": 2, "window": 768, "notes": 3}, size="filters")
def musicnet_shallow(
    field="complex",
    variant="nazarov",
    features=None,
    width=1,
    filters=32,
    window=4096,
    notes=84,
    name="musicnet_shallow",
):
    """Convolution of 512 samples → ReLU → pooling → linear → ReLU → linear.

    The complex network takes means and ends with the real part; the real one takes
    maxima. Its last bias is −5 at first, and that of Trabelsi's complex network too.

    Args:
        field: `"real"` or `"complex"`. The real network has 2 times as many filters.
        variant: `"nazarov"`: that of paper 2's code, which has no results of it;
            `"trabelsi"`: that of Deep Complex Networks, whose sigmoid is in the loss
            here.
        features: As of `musicnet_deep`, but `None` is `"raw"` for Trabelsi's real
            network.
        width: As of `musicnet_deep`.
        filters: Filters of the complex convolution at width 1. There are 64 times as
            many hidden units.
        window, notes, name: As of `musicnet_deep`.

    Returns:
        As of `musicnet_deep`.

    Raises:
        As of `musicnet_deep`.

    Reference:
        As of `musicnet_deep`.
    """
    check_choice("field", field, ("real", "complex"))
    check_choice("variant", variant, VARIANTS)
    steps = SHALLOW_POOLING["pool_size"] - 1
    _check_window(window, steps * SHALLOW_STRIDE + SHALLOW_KERNEL)
    audio, x = _opened(field, variant, features, "raw", window)
    hidden = round(64 * filters * width)
    if field == "complex":
        z = _complex_shallow(x, variant, round(filters * width))
        logits = _complex_head(z, variant, hidden, notes)
    else:
        x = _real_shallow(x, variant, round(2 * filters * width))
        logits = _real_head(x, variant, hidden, notes)
    return keras.Model(audio, logits, name=name)


def _blocks(field, variant, first_kernel):
    blocks = COMPLEX_BLOCKS if field == "complex" else REAL_BLOCKS
    if first_kernel == 6:
        return blocks
    if (field, variant, first_kernel) != ("complex", "nazarov", 3):
        raise ValueError(
            "`first_kernel` must be 6, or 3 with field='complex' and "
            f"variant='nazarov'. Received: {first_kernel}, with field={field!r} and "
            f"variant={variant!r}"
        )
    return (blocks[0]._replace(kernel_size=3), *blocks[1:])


def _needed(blocks, padding):
    """The shortest window that leaves something after the last pooling."""
    length = 1
    for block in reversed(blocks):
        length *= 2 if block.is_full else 1
        seen = block.kernel_size if padding == "valid" else 1
        length = (length - 1) * block.stride + seen
    return length


def _check_window(window, needed):
    if window < needed:
        raise ValueError(
            f"`window` must be at least {needed} samples, for the convolutions and "
            f"poolings of this network. Received: {window}"
        )


def _opened(field, variant, features, default, window):
    """The input of a network, and what its first convolution takes.

    Args:
        default: Features of Trabelsi's real network for `features=None`.
    """
    known = FEATURES[field, variant]
    if features is None:
        features = known[0] if len(known) == 1 else default
    if features not in known:
        raise ValueError(
            f"`features` must be one of {', '.join(known)} with field={field!r} and "
            f"variant={variant!r}. Received: {features!r}"
        )
    audio = keras.Input((window,), name="audio")
    x = keras.layers.Reshape((window, 1), name="channel")(audio)
    if features == "raw":
        return audio, x
    x = FourierFeatures(
        axes=1, norm="backward", shift=variant == "nazarov", name="fourier"
    )(x)
    if features == "magnitude":
        x = FromComplex("modulus", name="magnitude")(x)
    elif field == "real":
        x = FromComplex("concatenated", name="concatenate")(x)
    return audio, x


def _complex_deep(z, variant, blocks, padding, filters):
    is_trabelsi = variant == "trabelsi"
    norm = {"epsilon": 1e-4, "affine": "symmetric"} if is_trabelsi else {}
    for number, (kernel_size, stride, factor, is_full) in enumerate(blocks, 1):
        convolution = {"use_bias": is_trabelsi or not is_full}
        if is_trabelsi:
            # Each layer draws its own; the published code seeds all of them alike.
            convolution["kernel_initializer"] = ComplexIndependent("he", "parts")
            convolution["bias_initializer"] = "zeros"
        z = ComplexConv1D(
            round(factor * filters),
            kernel_size,
            strides=stride,
            padding=padding,
            **convolution,
            name=f"convolution{number}",
        )(z)
        if is_full:
            z = ComplexBatchNormalization(**norm, name=f"norm{number}")(z)
        z = PerPart(keras.layers.ReLU(), name=f"relu{number}")(z)
        if is_full:
            z = ComplexAveragePooling1D(2, name=f"pool{number}")(z)
    return z


def _real_deep(x, variant, blocks, padding, filters):
    is_trabelsi = variant == "trabelsi"
    conv = _glorot_conv if is_trabelsi else real_conv
    # Keras' own, and PyTorch's.
    norm = {} if is_trabelsi else {"momentum": 0.9, "epsilon": 1e-5}
    for number, (kernel_size, stride, factor, is_full) in enumerate(blocks, 1):
        convolution = {
            "strides": stride,
            "padding": padding,
            "use_bias": is_trabelsi or not is_full,
        }
        count = round(factor * filters)
        x = conv(x, count, kernel_size, f"convolution{number}", **convolution)
        if is_full:
            x = keras.layers.BatchNormalization(**norm, name=f"norm{number}")(x)
        x = keras.layers.ReLU(name=f"relu{number}")(x)
        if is_full:
            x = keras.layers.MaxPooling1D(2, name=f"pool{number}")(x)
    return x


def _complex_shallow(z, variant, filters):
    start = {}
    if variant == "trabelsi":
        # Rayleigh moduli of scale 1/fan_in: the code lacks the paper's square root.
        start["kernel_initializer"] = ComplexNormal(1 / SHALLOW_KERNEL)
        start["bias_initializer"] = "zeros"
    z = ComplexConv1D(
        filters, SHALLOW_KERNEL, strides=SHALLOW_STRIDE, **start, name="convolution"
    )(z)
    z = PerPart(keras.layers.ReLU(), name="relu")(z)
    return ComplexAveragePooling1D(**SHALLOW_POOLING, name="pool")(z)


def _real_shallow(x, variant, filters):
    conv = _glorot_conv if variant == "trabelsi" else real_conv
    x = conv(x, filters, SHALLOW_KERNEL, "convolution", strides=SHALLOW_STRIDE)
    x = keras.layers.ReLU(name="relu")(x)
    return keras.layers.MaxPooling1D(**SHALLOW_POOLING, name="pool")(x)


def _complex_head(z, variant, hidden, notes):
    first, last = {}, {}
    if variant == "trabelsi":
        first = {"kernel_initializer": ComplexHe(), "bias_initializer": "zeros"}
        last = {"kernel_initializer": ComplexHe(), "bias_initializer": _few_notes()}
    z = PerPart(keras.layers.Flatten(), name="flatten")(z)
    z = ComplexDense(hidden, **first, name="hidden")(z)
    z = PerPart(keras.layers.ReLU(), name="hidden_relu")(z)
    z = ComplexDense(notes, **last, name="output")(z)
    return FromComplex("real", name="logits")(z)


def _real_head(x, variant, hidden, notes):
    x = keras.layers.Flatten(name="flatten")(x)
    if variant == "nazarov":
        x = real_dense(x, hidden, "hidden")
        x = keras.layers.ReLU(name="hidden_relu")(x)
        return real_dense(x, notes, "logits", bias_initializer=_few_notes())
    x = keras.layers.Dense(hidden, kernel_initializer="glorot_normal", name="hidden")(x)
    x = keras.layers.ReLU(name="hidden_relu")(x)
    return keras.layers.Dense(notes, bias_initializer=_few_notes(), name="logits")(x)


def _few_notes():
    """Initializer of a last bias: of 84 notes, few sound at a time."""
    return keras.initializers.Constant(-5.0)


def _glorot_conv(inputs, filters, kernel_size, name, **arguments):
    start = {"kernel_initializer": "glorot_normal"}
    layer = keras.layers.Conv1D(filters, kernel_size, **start, **arguments, name=name)
    return layer(inputs)
