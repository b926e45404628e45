"""Networks of paper 2 for images of digits, letters and clothes (§5.2)."""

import keras

from cvzoo.layers import ComplexDense, FourierFeatures, FromComplex, PerPart, ToComplex
from cvzoo.layers.linear import check_choice
from cvzoo.models.registry import register_model


@register_model(tiny={"units": 8, "input_shape": (4, 4, 1), "classes": 3}, size="units")
def two_layer_dense(
    field="complex",
    features="fft",
    width=1,
    units=4096,
    input_shape=(28, 28, 1),
    classes=10,
    fourier_norm="ortho",
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
        fourier_norm: `"ortho"`, or `"backward"` for the paper's unnormalised one.
        name: Name of the model.

    Returns:
        A `keras.Model` from `pixels`, in [0, 1], to `logits`.
    """
    check_choice("field", field, ("real", "complex"))
    check_choice("features", features, ("raw", "fft"))
    hidden = round(units * width)
    x = pixels = keras.Input(input_shape, name="pixels")
    if features == "fft":
        x = FourierFeatures(norm=fourier_norm, name="fourier")(x)
    if field == "complex":
        if features == "raw":
            x = ToComplex("real", name="to_complex")(x)
        x = PerPart(keras.layers.Flatten(), name="flatten")(x)
        x = ComplexDense(hidden, name="hidden")(x)
        x = PerPart(keras.layers.ReLU(), name="relu")(x)
        x = ComplexDense(classes, name="output")(x)
        logits = FromComplex("real", name="logits")(x)
    else:
        if features == "fft":
            x = FromComplex("concatenated", name="concatenate")(x)
        x = keras.layers.Flatten(name="flatten")(x)
        inputs = x.shape[-1]
        x = _real_dense(inputs, hidden, "hidden")(x)
        x = keras.layers.ReLU(name="relu")(x)
        logits = _real_dense(hidden, classes, "logits")(x)
    return keras.Model(pixels, logits, name=name)


def _real_dense(inputs, units, name):
    """Dense with PyTorch's defaults, as in the paper's real networks: ±1/√inputs."""
    limit = inputs**-0.5
    return keras.layers.Dense(
        units,
        kernel_initializer=keras.initializers.RandomUniform(-limit, limit),
        bias_initializer=keras.initializers.RandomUniform(-limit, limit),
        name=name,
    )
