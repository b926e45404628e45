"""VGG networks for small images, real and complex: those of paper 2 (§5.3).

Simonyan and Zisserman, 2015, with batch norm, and one linear layer at the end.
"""

import keras

from cvzoo.layers import (
    ComplexBatchNormalization,
    ComplexConv2D,
    ComplexDense,
    ComplexMaxPooling2D,
    FromComplex,
    PerPart,
    ToComplex,
)
from cvzoo.layers.linear import check_choice
from cvzoo.models.pytorch_defaults import real_conv, real_dense
from cvzoo.models.registry import register_model

# Convolutions between poolings.
DEPTHS = {
    "vgg8": (1, 1, 1, 1, 1),
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
# Filters of their convolutions, times those of the first.
FACTORS = (1, 2, 4, 8, 8)
CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR10_DEVIATION = (0.2023, 0.1994, 0.2010)


def _define(architecture):
    """Registers the builder of an architecture."""

    def builder(
        field="complex",
        width=1,
        filters=64,
        input_shape=(32, 32, 3),
        classes=10,
        mean=CIFAR10_MEAN,
        deviation=CIFAR10_DEVIATION,
        name=architecture,
    ):
        check_choice("field", field, ("real", "complex"))
        pixels, x = _opened(input_shape, mean, deviation)
        counts = [round(factor * filters * width) for factor in FACTORS]
        body = _complex_body if field == "complex" else _real_body
        logits = body(x, counts, DEPTHS[architecture], classes)
        return keras.Model(pixels, logits, name=name)

    builder.__name__ = builder.__qualname__ = architecture
    builder.__doc__ = f"""{architecture.upper()}: (3×3 convolution → batch norm → ReLU)
    {sum(DEPTHS[architecture])} times, with five max poolings → linear.

    Args:
        field: `"real"` or `"complex"`. The complex network takes the maxima of real
            and imaginary parts apart from each other, as in paper 2, and ends with the
            real part.
        width: Factor on the filters: 1, or ½C and 2R.
        filters: Filters of the first convolution at width 1; the last has 8 times as
            many.
        input_shape: `(height, width, channels)`, of at least 32×32.
        classes: Number of classes.
        mean, deviation: Of each channel, in [0, 1]: pixels x become
            (x − mean) / deviation. Defaults are those of CIFAR-10.
        name: Name of the model.

    Returns:
        A `keras.Model` from `pixels`, in [0, 1], to `logits`.
    """
    return register_model(
        tiny={"filters": 2, "input_shape": (32, 32, 3), "classes": 3}, size="filters"
    )(builder)


def _opened(input_shape, mean, deviation):
    """The input of a network, and the normalised pixels."""
    if min(input_shape[:2]) < 32:
        raise ValueError(
            "`input_shape` must be of at least 32×32 pixels, which are halved five "
            f"times. Received: {tuple(input_shape)}"
        )
    if not len(mean) == len(deviation) == input_shape[-1]:
        raise ValueError(
            f"`mean` and `deviation` must hold a number for each of the "
            f"{input_shape[-1]} channels of input_shape={tuple(input_shape)}. "
            f"Received: mean={tuple(mean)}, deviation={tuple(deviation)}"
        )
    if not all(each > 0 for each in deviation):
        raise ValueError(
            f"`deviation` must hold positive numbers. Received: {tuple(deviation)}"
        )
    pixels = keras.Input(input_shape, name="pixels")
    normalise = keras.layers.Rescaling(
        [1 / each for each in deviation],
        offset=[-m / d for m, d in zip(mean, deviation, strict=True)],
        name="normalise",
    )
    return pixels, normalise(pixels)


def _complex_body(x, counts, depths, classes):
    z = ToComplex("real", name="to_complex")(x)
    for block, (count, depth) in enumerate(zip(counts, depths, strict=True), 1):
        for number in range(1, depth + 1):
            end = f"{block}_{number}"
            z = ComplexConv2D(count, 3, padding="same", name=f"convolution{end}")(z)
            z = ComplexBatchNormalization(name=f"norm{end}")(z)
            z = PerPart(keras.layers.ReLU(), name=f"relu{end}")(z)
        z = ComplexMaxPooling2D(2, by="parts", name=f"pool{block}")(z)
    z = PerPart(keras.layers.Flatten(), name="flatten")(z)
    z = ComplexDense(classes, name="output")(z)
    return FromComplex("real", name="logits")(z)


def _real_body(x, counts, depths, classes):
    norm = {"momentum": 0.9, "epsilon": 1e-5}
    for block, (count, depth) in enumerate(zip(counts, depths, strict=True), 1):
        for number in range(1, depth + 1):
            end = f"{block}_{number}"
            x = real_conv(x, count, 3, f"convolution{end}", padding="same")
            x = keras.layers.BatchNormalization(**norm, name=f"norm{end}")(x)
            x = keras.layers.ReLU(name=f"relu{end}")(x)
        x = keras.layers.MaxPooling2D(2, name=f"pool{block}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    return real_dense(x, classes, "logits")


vgg8, vgg11, vgg13, vgg16, vgg19 = map(_define, DEPTHS)
