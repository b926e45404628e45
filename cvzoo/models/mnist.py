"""Networks of paper 2 for images of digits, letters and clothes (§5.2)."""

import keras

from cvzoo.layers import (
    ComplexAveragePooling2D,
    ComplexConv2D,
    ComplexDense,
    FourierFeatures,
    FromComplex,
    PerPart,
    ToComplex,
)
from cvzoo.layers.linear import check_choice
from cvzoo.models.pytorch_defaults import real_conv, real_dense
from cvzoo.models.registry import register_model

FEATURES = ("raw", "fft")


@register_model(tiny={"units": 8, "input_shape": (4, 4, 1), "classes": 3}, size="units")
def two_layer_dense(
    field="complex",
    features="fft",
    width=1,
    units=4096,
    input_shape=(28, 28, 1),
    classes=10,
    fourier_norm="backward",
    centred=True,
    name="two_layer_dense",
):
    """Flatten → linear → ReLU → linear; TwoLayerDenseModel of paper 2.

    Args:
        field: `"real"` or `"complex"`. The complex network ends with the real part.
        features: `"raw"` pixels, or `"fft"`: their 2-D Fourier transform, low
            frequencies in the middle, computed inside the model.
        width: Factor on the hidden units: 1, or the paper's ½C and 2R.
        units: Hidden units at width 1.
        input_shape: `(height, width, channels)`.
        classes: Number of classes.
        fourier_norm: `"backward"`, the paper's unnormalised transform, or `"ortho"`.
        centred: Whether pixels x become 2x − 1 first, as in the paper.
        name: Name of the model.

    Returns:
        A `keras.Model` from `pixels`, in [0, 1], to `logits`.
    """
    hidden = round(units * width)
    pixels, x = _opened(field, features, input_shape, fourier_norm, centred)
    if field == "complex":
        x = PerPart(keras.layers.Flatten(), name="flatten")(x)
        x = ComplexDense(hidden, name="hidden")(x)
        x = PerPart(keras.layers.ReLU(), name="relu")(x)
        x = ComplexDense(classes, name="output")(x)
        logits = FromComplex("real", name="logits")(x)
    else:
        x = keras.layers.Flatten(name="flatten")(x)
        x = real_dense(x, hidden, "hidden")
        x = keras.layers.ReLU(name="relu")(x)
        logits = real_dense(x, classes, "logits")
    return keras.Model(pixels, logits, name=name)


@register_model(
    tiny={"filters": 2, "input_shape": (16, 16, 1), "classes": 3}, size="filters"
)
def simple_conv(
    field="complex",
    features="raw",
    width=1,
    filters=20,
    input_shape=(28, 28, 1),
    classes=10,
    fourier_norm="backward",
    centred=True,
    name="simple_conv",
):
    """(5×5 convolution → ReLU → mean of 2×2) twice → linear → ReLU → linear.

    SimpleConvModel of paper 2: 20 and 50 filters, 500 hidden units.

    Args:
        field: `"real"` or `"complex"`. The complex network ends with the real part.
        features: As of `two_layer_dense`.
        width: Factor on filters and units: 1, or the paper's ½C and 2R.
        filters: Filters of the first convolution at width 1. The second has 2.5 times
            as many, and there are 25 times as many hidden units.
        input_shape: `(height, width, channels)`, of at least 16×16.
        classes, fourier_norm, centred, name: As of `two_layer_dense`.

    Returns:
        A `keras.Model` from `pixels`, in [0, 1], to `logits`.
    """
    if min(input_shape[:2]) < 16:
        raise ValueError(
            "`input_shape` must be of at least 16×16 pixels, for two convolutions of "
            f"5×5 without padding, and poolings. Received: {tuple(input_shape)}"
        )
    counts = [round(factor * filters * width) for factor in (1, 2.5)]
    hidden = round(25 * filters * width)
    pixels, x = _opened(field, features, input_shape, fourier_norm, centred)
    if field == "complex":
        for number, count in enumerate(counts, 1):
            x = ComplexConv2D(count, 5, name=f"convolution{number}")(x)
            x = PerPart(keras.layers.ReLU(), name=f"relu{number}")(x)
            x = ComplexAveragePooling2D(2, name=f"pool{number}")(x)
        x = PerPart(keras.layers.Flatten(), name="flatten")(x)
        x = ComplexDense(hidden, name="hidden")(x)
        x = PerPart(keras.layers.ReLU(), name="relu3")(x)
        x = ComplexDense(classes, name="output")(x)
        logits = FromComplex("real", name="logits")(x)
    else:
        for number, count in enumerate(counts, 1):
            x = real_conv(x, count, 5, f"convolution{number}")
            x = keras.layers.ReLU(name=f"relu{number}")(x)
            x = keras.layers.AveragePooling2D(2, name=f"pool{number}")(x)
        x = keras.layers.Flatten(name="flatten")(x)
        x = real_dense(x, hidden, "hidden")
        x = keras.layers.ReLU(name="relu3")(x)
        logits = real_dense(x, classes, "logits")
    return keras.Model(pixels, logits, name=name)


def _opened(field, features, input_shape, fourier_norm, centred):
    """The input of a network, and what its first linear layer takes."""
    check_choice("field", field, ("real", "complex"))
    check_choice("features", features, FEATURES)
    x = pixels = keras.Input(input_shape, name="pixels")
    if centred:
        x = keras.layers.Rescaling(2.0, offset=-1.0, name="centre")(x)
    if features == "fft":
        x = FourierFeatures(norm=fourier_norm, name="fourier")(x)
        if field == "real":
            x = FromComplex("concatenated", name="concatenate")(x)
    elif field == "complex":
        x = ToComplex("real", name="to_complex")(x)
    return pixels, x
