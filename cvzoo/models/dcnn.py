"""Diagonal-circulant networks of paper 1, and the networks they are compared with."""

import functools

import keras

from cvzoo import layers
from cvzoo.layers import structured
from cvzoo.layers.linear import check_choice, check_size
from cvzoo.layers.structured.base import BIAS_DEVIATION
from cvzoo.models.registry import register_model

OPERATORS = {
    "toeplitz_like": "shift",
    "ldr_subdiagonal": "subdiagonal",
    "ldr_tridiagonal": "tridiagonal",
}
SQUARE = {
    "toeplitz": structured.Toeplitz,
    "diagonal_toeplitz": structured.DiagonalToeplitz,
    "acdc": functools.partial(structured.ACDC, diagonal_at="outputs"),
}
RANKED = ("low_rank", *OPERATORS)
LAYERS = ("diagonal_circulant", "dense", "hashed", *SQUARE, *RANKED)
# Deviation of circulants, from their inputs and units.
DEVIATIONS = {
    "paper": lambda inputs, units: (2 / max(inputs, units)) ** 0.5,
    "cifar10": lambda inputs, units: 1.414 / (inputs + units) ** 0.5,
    "scattering": lambda inputs, units: (1.414 / inputs) ** 0.5,
    "youtube8m": lambda inputs, units: 1.5 / (inputs + units) ** 0.5,
    "mnist": lambda inputs, units: 1.414 / units**0.5,
}


@register_model(
    tiny={"input_shape": (6,), "depth": 2, "units": 16, "classes": 3}, size="units"
)
def dcnn(
    input_shape=(3072,),
    depth=5,
    layer="diagonal_circulant",
    rank=None,
    compression=None,
    units=None,
    negative_slope=0.5,
    activation_every=1,
    head="same",
    initialization="cifar10",
    regularization=0.0,
    pad_images=0,
    centred=False,
    classes=10,
    name="dcnn",
):
    """Flatten → structured layers with leaky ReLU → one layer to the classes.

    Args:
        input_shape: `(features,)`; or of several axes, for example `(height, width,
            channels)`, which are made flat.
        depth: Number of hidden layers; the output layer is not counted.
        layer: Kind of the hidden layers: `"diagonal_circulant"` (the paper's DCNN),
            `"dense"`, `"toeplitz"`, `"diagonal_toeplitz"` (DTNN), `"low_rank"`,
            `"acdc"` with the diagonal at the outputs, as in the code for CIFAR-10
            (which also scales inputs by 0.1), `"hashed"` (HashNet), or of low
            displacement rank: `"toeplitz_like"`, `"ldr_subdiagonal"` (LDR-SD),
            `"ldr_tridiagonal"` (LDR-TD).
        rank: Of the kinds that have one.
        compression: Of `"hashed"`: places of a matrix for each of its numbers.
        units: Units of a hidden layer. Defaults to the number of inputs, as published.
        negative_slope: Of the leaky ReLU. Published: 0.5, and 0 with low displacement
            rank.
        activation_every: k: the leaky ReLU follows every k-th hidden layer.
        head: The output layer: `"same"` kind as the hidden ones, or `"dense"`.
        initialization: Standard deviation of the circulants, from inputs n and units m:
            `"paper"` √(2/max(n, m)) as in §5, or as in the code that gave the published
            numbers: `"cifar10"` 1.414/√(n + m), `"scattering"` √(1.414/n),
            `"youtube8m"` 1.5/√(n + m), `"mnist"` 1.414/√m. Biases have deviation 0.01,
            and are 0.1 with `"scattering"`; `"youtube8m"` has dense kernels of
            deviation 1/√n, and 1/√m to the classes. The other kinds start as their
            layers do by default.
        regularization: Factor of the sum of squares of all weights of
            diagonal-circulant layers, added to the loss; 2e-4 in the published runs.
        pad_images: Zeros added on each side of an image: 2 makes 32×32 of MNIST's.
        centred: Whether x becomes 2x − 1, after padding, as in the code.
        classes: Number of classes.
        name: Name of the model.

    Returns:
        A `keras.Model` from `features`, or `pixels` in [0, 1], to `logits`.

    Reference:
        Paper 1, §6.1 to §6.3; Tables 1, 3 and 4, Figures 2 to 4.
    """
    check_size("depth", depth)
    check_size("activation_every", activation_every)
    check_choice("head", head, ("same", "dense"))
    if units is not None:
        units = check_size("units", units)
    start, x = prepared(input_shape, pad_images, centred)
    if len(input_shape) > 1:
        x = keras.layers.Flatten(name="flatten")(x)
    make = _Maker(layer, rank, initialization, regularization, compression)
    for number in range(1, depth + 1):
        x = make(x, units or x.shape[-1], f"hidden{number}")
        if number % activation_every == 0:
            relu = keras.layers.LeakyReLU(
                negative_slope=negative_slope, name=f"relu{number}"
            )
            x = relu(x)
    if head == "dense":
        make = _Maker("dense", None, initialization, regularization)
    return keras.Model(start, make(x, classes, "logits", is_last=True), name=name)


@register_model(
    tiny={"input_shape": (8, 8, 1), "scales": 1, "angles": 2, "depth": 1, "classes": 3},
    size="depth",
)
def scattering_dcnn(
    input_shape=(32, 32, 3),
    depth=3,
    layer="diagonal_circulant",
    rank=None,
    ensemble=1,
    scales=2,
    angles=8,
    initialization="scattering",
    regularization=0.0,
    classes=10,
    name="scattering_dcnn",
):
    """Scattering → batch norm → ReLU → structured layers with ReLU → the classes.

    The scattering transform of order 2 has no weights; 32×32 pixels of three channels
    become 15 552 features.

    Args:
        input_shape: `(height, width, channels)` of images.
        depth: Number of hidden layers. Of low displacement rank, one square layer whose
            first outputs are the logits, as in the published runs; depth must be 1.
        layer, rank, regularization: As of `dcnn`; not `"hashed"`.
        ensemble: Number of such networks on one scattering transform. Their logits are
            averaged, which is the geometric mean of their probabilities; the paper does
            not say which mean it took. `fit` trains them together.
        scales: J of the scattering transform.
        angles: L.
        initialization: As of `dcnn`.
        classes: Number of classes.
        name: Name of the model.

    Returns:
        A `keras.Model` from `pixels`, in [0, 1], to `logits`.

    Reference:
        Paper 1, §6.1 and Table 2.
    """
    check_choice("layer", layer, [kind for kind in LAYERS if kind != "hashed"])
    check_size("depth", depth)
    check_size("ensemble", ensemble)
    if layer in OPERATORS and depth != 1:
        raise ValueError(f"`depth` must be 1 for layer={layer!r}. Received: {depth}")
    pixels = keras.Input(input_shape, name="pixels")
    x = layers.Scattering2D(scales, angles, name="scattering")(pixels)
    features = keras.layers.Flatten(name="flatten")(x)
    make = _Maker(layer, rank, initialization, regularization)
    members = []
    for member in range(1, ensemble + 1):
        suffix = f"_{member}" if ensemble > 1 else ""
        norm = keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, name=f"norm{suffix}"
        )
        x = keras.layers.ReLU(name=f"relu{suffix}")(norm(features))
        for number in range(1, depth + 1):
            x = make(x, x.shape[-1], f"hidden{number}{suffix}")
            if layer not in OPERATORS:
                x = keras.layers.ReLU(name=f"relu{number}{suffix}")(x)
        if layer in OPERATORS:
            x = _first(classes, x, f"logits{suffix}")
        else:
            x = make(x, classes, f"logits{suffix}", is_last=True)
        members.append(x)
    logits = members[0]
    if ensemble > 1:
        logits = keras.layers.Average(name="logits")(members)
    return keras.Model(pixels, logits, name=name)


def _first(count, inputs, name):
    """The first of some features, by layers that presets can keep."""
    size = inputs.shape[-1]
    if count > size:
        raise ValueError(
            f"`classes` must be at most the number of features, {size}, since the "
            f"layer's first outputs are the logits. Received: classes={count}"
        )
    x = keras.layers.Reshape((size, 1), name=f"{name}_column")(inputs)
    x = keras.layers.Cropping1D((0, size - count), name=f"{name}_crop")(x)
    return keras.layers.Flatten(name=name)(x)


def prepared(input_shape, pad_images=0, centred=False):
    """The input of a network, and what its first layer takes: padded, then 2x − 1."""
    is_image = len(input_shape) == 3
    x = start = keras.Input(input_shape, name="pixels" if is_image else "features")
    if pad_images and not is_image:
        raise ValueError(
            "`pad_images` adds zeros around images, of input_shape (height, width, "
            f"channels). Received: pad_images={pad_images} for input_shape="
            f"{tuple(input_shape)}. Leave it 0."
        )
    if pad_images:
        x = keras.layers.ZeroPadding2D(pad_images, name="pad")(x)
    if centred:
        x = keras.layers.Rescaling(2.0, offset=-1.0, name="centre")(x)
    return start, x


class _Maker:
    """Makes and applies layers of one kind: `make(inputs, units, name)`."""

    def __init__(self, kind, rank, initialization, regularization, compression=None):
        check_choice("layer", kind, LAYERS)
        check_choice("initialization", initialization, tuple(DEVIATIONS))
        if (rank is None) == (kind in RANKED):
            raise ValueError(
                f"`rank` must be a whole number for layers {', '.join(RANKED)}, and "
                f"None for others. Received: rank={rank} for layer={kind!r}"
            )
        if (compression is None) == (kind == "hashed"):
            raise ValueError(
                "`compression` must be a number for layer='hashed', and None for "
                f"others. Received: compression={compression} for layer={kind!r}"
            )
        self.kind, self.rank, self.compression = kind, rank, compression
        self.initialization = initialization
        self.regularization = regularization

    def __call__(self, inputs, units, name, is_last=False):
        if self.kind == "diagonal_circulant":
            layer = self._circulant(inputs.shape[-1], units, name)
        elif self.kind == "dense":
            # In the code, outputs are scaled by the classes and not by their inputs.
            fan = units if is_last else inputs.shape[-1]
            layer = self._dense(units, fan, name)
        elif self.kind == "hashed":
            layer = structured.HashedDense(
                units, compression=self.compression, name=name
            )
        elif self.kind == "low_rank":
            # Paper 1's output layers have the rank of the others, even above classes.
            layer = structured.LowRank(
                units, self.rank, overcomplete=is_last, name=name
            )
        elif self.kind in OPERATORS:
            layer = structured.LowDisplacementRank(
                units, self.rank, operators=OPERATORS[self.kind], name=name
            )
        else:
            layer = SQUARE[self.kind](units, padding="left", name=name)
        return layer(inputs)

    def _circulant(self, inputs, units, name):
        deviation = DEVIATIONS[self.initialization](inputs, units)
        regularizer = bias_initializer = None
        if self.regularization:
            regularizer = keras.regularizers.L2(self.regularization)
        if self.initialization == "scattering":
            bias_initializer = keras.initializers.Constant(0.1)
        return layers.DiagonalCirculant(
            units,
            padding="left",
            circulant_initializer=keras.initializers.RandomNormal(stddev=deviation),
            bias_initializer=bias_initializer,
            regularizer=regularizer,
            name=name,
        )

    def _dense(self, units, fan, name):
        if self.initialization != "youtube8m":
            return keras.layers.Dense(units, name=name)
        normal = keras.initializers.RandomNormal
        return keras.layers.Dense(
            units,
            kernel_initializer=normal(stddev=fan**-0.5),
            bias_initializer=normal(stddev=BIAS_DEVIATION),
            name=name,
        )
