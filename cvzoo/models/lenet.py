"""The convolutional network that paper 1 compares with on MNIST (table 3)."""

import keras

from cvzoo.models.dcnn import prepared
from cvzoo.models.registry import register_model


@register_model(
    tiny={"filters": 2, "units": 4, "input_shape": (8, 8, 1), "classes": 3},
    size="units",
)
def lenet(
    filters=32,
    units=1024,
    input_shape=(32, 32, 1),
    pad_images=0,
    centred=False,
    classes=10,
    name="lenet",
):
    """(5×5 convolution → ReLU → max pooling) twice → dense → ReLU → dense.

    As it stands, 4 257 674 parameters. Paper 1 pads MNIST's images to 32×32.

    Args:
        filters: Filters of the first convolution; the second has twice as many.
        units: Hidden units of the dense part.
        input_shape: `(height, width, channels)`.
        pad_images, centred: As of `dcnn`.
        classes: Number of classes.
        name: Name of the model.

    Returns:
        A `keras.Model` from `pixels`, in [0, 1], to `logits`.
    """
    pixels, x = prepared(input_shape, pad_images, centred)
    for number, count in enumerate((filters, 2 * filters), 1):
        convolution = keras.layers.Conv2D(
            count, 5, padding="same", name=f"convolution{number}"
        )
        x = keras.layers.ReLU(name=f"relu{number}")(convolution(x))
        x = keras.layers.MaxPooling2D(2, name=f"pool{number}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(units, name="hidden")(x)
    x = keras.layers.ReLU(name="relu3")(x)
    logits = keras.layers.Dense(classes, name="logits")(x)
    return keras.Model(pixels, logits, name=name)
