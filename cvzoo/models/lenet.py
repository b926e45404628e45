"""LeNet, which paper 1 compares its networks for MNIST with."""

import keras

from cvzoo.models.dcnn import prepared
from cvzoo.models.registry import register_model


@register_model(tiny={"input_shape": (8, 8, 1), "units": 4, "classes": 3}, size="units")
def lenet(
    input_shape=(32, 32, 1),
    units=1024,
    pad_images=0,
    centred=False,
    classes=10,
    name="lenet",
):
    """Convolution 5×5 → max pooling, of 32 and 64 filters → dense → dense; ReLU.

    Args:
        input_shape: `(height, width, channels)`.
        units: Units of the hidden dense layer.
        pad_images, centred: As of `dcnn`.
        classes: Number of classes.
        name: Name of the model.

    Returns:
        A `keras.Model` from `pixels`, in [0, 1], to `logits`.

    Reference:
        LeCun et al., 1998, of which this is a wider form; paper 1, Table 3.
    """
    pixels, x = prepared(input_shape, pad_images, centred)
    for number, filters in enumerate((32, 64), 1):
        x = keras.layers.Conv2D(
            filters, 5, padding="same", activation="relu", name=f"convolution{number}"
        )(x)
        x = keras.layers.MaxPooling2D(name=f"pool{number}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(units, activation="relu", name="hidden")(x)
    return keras.Model(pixels, keras.layers.Dense(classes, name="logits")(x), name=name)
