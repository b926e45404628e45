"""A small network for radio signals, sampled in phase and quadrature (IQ)."""

import keras

from cvzoo.layers import (
    ComplexBatchNormalization,
    ComplexConv1D,
    FromComplex,
    PerPart,
    ToComplex,
)
from cvzoo.layers.linear import check_choice
from cvzoo.models.registry import register_model

# Window and stride of each convolution, and its filters as a multiple of the argument.
BLOCKS = ((7, 2, 1), (5, 2, 2), (3, 2, 2), (3, 1, 2))


@register_model(
    tiny={"filters": 2, "input_shape": (32, 2), "classes": 3}, size="filters"
)
def radio_net(
    field="complex",
    width=1,
    filters=16,
    input_shape=(128, 2),
    classes=8,
    name="radio_net",
):
    """Convolution → batch norm → ReLU, four times; mean modulus → dense.

    Args:
        field: `"real"` or `"complex"`. The complex network has I + iQ as its one
            channel, and the moduli of its last channels are averaged over time, so
            that the unknown phase of the carrier is left out at the end. The real
            network has I and Q as two channels.
        width: Factor on the filters.
        filters: Filters of the first convolution at width 1; the others have twice as
            many.
        input_shape: `(samples, 2)`.
        classes: Number of classes.
        name: Name of the model.

    Returns:
        A `keras.Model` from `iq` to `logits`.
    """
    check_choice("field", field, ("real", "complex"))
    is_complex = field == "complex"
    x = iq = keras.Input(input_shape, name="iq")
    if is_complex:
        # Halves of an axis of two: one channel.
        x = ToComplex("concatenated", name="to_complex")(x)
    block = _complex_block if is_complex else _real_block
    for number, (window, stride, factor) in enumerate(BLOCKS, 1):
        # Batch norm has a bias of its own.
        convolution = {
            "filters": round(width * filters * factor),
            "kernel_size": window,
            "strides": stride,
            "padding": "same",
            "use_bias": False,
        }
        x = block(x, convolution, number)
    if is_complex:
        x = FromComplex("modulus", name="modulus")(x)
    x = keras.layers.GlobalAveragePooling1D(name="mean")(x)
    logits = keras.layers.Dense(classes, name="logits")(x)
    return keras.Model(iq, logits, name=name)


def _complex_block(z, convolution, number):
    z = ComplexConv1D(**convolution, name=f"convolution{number}")(z)
    z = ComplexBatchNormalization(name=f"norm{number}")(z)
    return PerPart(keras.layers.ReLU(), name=f"relu{number}")(z)


def _real_block(x, convolution, number):
    x = keras.layers.Conv1D(**convolution, name=f"convolution{number}")(x)
    norm = {"momentum": 0.9, "epsilon": 1e-5}
    x = keras.layers.BatchNormalization(**norm, name=f"norm{number}")(x)
    return keras.layers.ReLU(name=f"relu{number}")(x)
