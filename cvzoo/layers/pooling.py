"""Pooling of pairs over windows: average, and largest part or modulus.

Arguments mean what they do in Keras' layers of the same name.
"""

import functools
import math

import keras
from keras import ops as kops

from cvzoo.layers.complex import PairLayer
from cvzoo.layers.convolution import compute_conv_output_shape, per_dimension
from cvzoo.ops import targets
from cvzoo.ops.pooling import modulus_max_pool

ORDERS = ("parts", "modulus")


class PairPooling(PairLayer):
    """Base of layers that pool `rank` spatial axes.

    Args:
        rank: Number of spatial axes.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to the setting
            of Keras.
    """

    def __init__(self, rank, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.rank = rank
        self.data_format = data_format or keras.config.image_data_format()
        if self.data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                "`data_format` must be 'channels_last' or 'channels_first'. Received: "
                f"{data_format!r}"
            )
        # As in Keras, which warns when a mask ends here.
        self.supports_masking = False

    @property
    def first_axis(self):
        return 1 if self.data_format == "channels_last" else 2

    @property
    def axes(self):
        return tuple(range(self.first_axis, self.first_axis + self.rank))

    def build(self, input_shape):
        part, _ = input_shape
        if len(part) != self.rank + 2:
            raise ValueError(
                f"{type(self).__name__} '{self.name}' needs parts of {self.rank + 2} "
                f"axes, {self.data_format}. Received shape {tuple(part)}"
            )
        self.compute_output_shape(input_shape)
        self.built = True

    def compute_mask(self, inputs, previous_mask):
        return None

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}


class WindowPooling(PairPooling):
    """Base of layers that pool windows; a subclass gives `call`."""

    def __init__(self, rank, pool_size=2, strides=None, padding="valid", **kwargs):
        super().__init__(rank, **kwargs)
        self.pool_size = per_dimension("pool_size", pool_size, rank)
        strides = self.pool_size if strides is None else strides
        self.strides = per_dimension("strides", strides, rank)
        if padding not in ("valid", "same"):
            raise ValueError(
                f"`padding` must be 'valid' or 'same'. Received: {padding!r}"
            )
        self.padding = padding

    def pool_parts(self, pool, inputs):
        """Applies a pooling function of `keras.ops` to both parts."""
        # TensorFlow pools volumes of float16 on a GPU only.
        dtype = "float32" if self.rank == 3 else self.compute_dtype
        if self.rank == 3 and targets.is_litert():
            pool = functools.partial(_pool_volumes, pool)
        parts = [
            pool(
                kops.cast(part, dtype),
                self.pool_size,
                strides=self.strides,
                padding=self.padding,
                data_format=self.data_format,
            )
            for part in inputs
        ]
        return tuple(kops.cast(part, self.compute_dtype) for part in parts)

    def compute_output_shape(self, input_shape):
        part, _ = input_shape
        part = compute_conv_output_shape(
            part,
            part[-1] if self.data_format == "channels_last" else part[1],
            self.pool_size,
            self.strides,
            self.padding,
            self.data_format,
            (1,) * self.rank,
        )
        return part, part

    def get_config(self):
        config = super().get_config()
        config.update(
            pool_size=self.pool_size, strides=self.strides, padding=self.padding
        )
        return config


def _pool_volumes(pool, volumes, pool_size, strides, padding, data_format):
    """Of volumes as of images: LiteRT has no pooling of three axes.

    Height and width first, then depth: a maximum of maxima, and a mean of means, of
    which each stands for as many numbers as the others.
    """
    if data_format == "channels_first":
        volumes = kops.transpose(volumes, (0, 2, 3, 4, 1))
    how = {"padding": padding, "data_format": "channels_last"}
    _, depth, *space, channels = kops.shape(volumes)
    images = kops.reshape(volumes, (-1, *space, channels))
    images = pool(images, pool_size[1:], strides=strides[1:], **how)
    _, *space, _ = kops.shape(images)
    images = kops.reshape(images, (-1, depth, math.prod(space), channels))
    images = pool(images, (pool_size[0], 1), strides=(strides[0], 1), **how)
    volumes = kops.reshape(images, (-1, kops.shape(images)[1], *space, channels))
    if data_format == "channels_first":
        volumes = kops.transpose(volumes, (0, 4, 1, 2, 3))
    return volumes


class ComplexAveragePooling(WindowPooling):
    """Base of `ComplexAveragePooling1D`, `2D` and `3D`."""

    def call(self, inputs):
        return self.pool_parts(kops.average_pool, inputs)


def checked_order(by):
    """The value of an argument `by`."""
    if by not in ORDERS:
        raise ValueError(f"`by` must be one of {ORDERS}. Received: {by!r}")
    return by


class ComplexMaxPooling(WindowPooling):
    """Base of `ComplexMaxPooling1D`, `2D` and `3D`."""

    def __init__(
        self, rank, pool_size=2, strides=None, padding="valid", by="parts", **kwargs
    ):
        super().__init__(rank, pool_size, strides, padding, **kwargs)
        self.by = checked_order(by)

    def call(self, inputs):
        if self.by == "parts":
            return self.pool_parts(kops.max_pool, inputs)
        return modulus_max_pool(
            inputs, self.pool_size, self.strides, self.padding, self.first_axis
        )

    def get_config(self):
        return {**super().get_config(), "by": self.by}


@keras.saving.register_keras_serializable("cvzoo")
class ComplexAveragePooling1D(ComplexAveragePooling):
    """Average of each window along one axis.

    Args:
        pool_size: Length of the window.
        strides: Step of the window. Defaults to `pool_size`.
        padding: `"valid"`, or `"same"`, whose zeros do not count.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to the setting
            of Keras.

    Call arguments:
        inputs: Pair, each part `(batch, length, channels)`.

    Returns:
        Pair, each part `(batch, new length, channels)`.

    Reference:
        Trabelsi et al., 2018; the networks of paper 2.
    """

    def __init__(self, pool_size=2, strides=None, padding="valid", **kwargs):
        super().__init__(1, pool_size, strides, padding, **kwargs)


@keras.saving.register_keras_serializable("cvzoo")
class ComplexAveragePooling2D(ComplexAveragePooling):
    """Average of each window of an image.

    Args:
        pool_size: Height and width of the window, or one number for both.
        **kwargs: As in `ComplexAveragePooling1D`.

    Call arguments:
        inputs: Pair, each part `(batch, height, width, channels)`.

    Returns:
        Pair, each part `(batch, new height, new width, channels)`.
    """

    def __init__(self, pool_size=2, strides=None, padding="valid", **kwargs):
        super().__init__(2, pool_size, strides, padding, **kwargs)


@keras.saving.register_keras_serializable("cvzoo")
class ComplexAveragePooling3D(ComplexAveragePooling):
    """Average of each window of a volume.

    Args:
        pool_size: Sizes of the window, or one number for all.
        **kwargs: As in `ComplexAveragePooling1D`.

    Call arguments:
        inputs: Pair, each part `(batch, depth, height, width, channels)`.

    Returns:
        Pair, each part `(batch, new depth, new height, new width, channels)`.
    """

    def __init__(self, pool_size=2, strides=None, padding="valid", **kwargs):
        super().__init__(3, pool_size, strides, padding, **kwargs)


@keras.saving.register_keras_serializable("cvzoo")
class ComplexMaxPooling1D(ComplexMaxPooling):
    """Largest value of each window along one axis.

    Args:
        pool_size: Length of the window.
        strides: Step of the window. Defaults to `pool_size`.
        padding: `"valid"`, or `"same"`, whose padding is never chosen.
        by: `"parts"`: the largest real and the largest imaginary part, as in paper 2's
            networks; `"modulus"`: the complex value of largest modulus, of equals the
            first.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to the setting
            of Keras.

    Call arguments:
        inputs: Pair, each part `(batch, length, channels)`.

    Returns:
        Pair, each part `(batch, new length, channels)`.

    Reference:
        cplxmodule, `CplxMaxPool1d`, for the form by modulus.
    """

    def __init__(
        self, pool_size=2, strides=None, padding="valid", by="parts", **kwargs
    ):
        super().__init__(1, pool_size, strides, padding, by, **kwargs)


@keras.saving.register_keras_serializable("cvzoo")
class ComplexMaxPooling2D(ComplexMaxPooling):
    """Largest value of each window of an image.

    Args:
        pool_size: Height and width of the window, or one number for both.
        **kwargs: As in `ComplexMaxPooling1D`.

    Call arguments:
        inputs: Pair, each part `(batch, height, width, channels)`.

    Returns:
        Pair, each part `(batch, new height, new width, channels)`.

    Reference:
        Paper 2's complex VGG, by parts; cplxmodule, `CplxMaxPool2d`, by modulus.
    """

    def __init__(
        self, pool_size=2, strides=None, padding="valid", by="parts", **kwargs
    ):
        super().__init__(2, pool_size, strides, padding, by, **kwargs)


@keras.saving.register_keras_serializable("cvzoo")
class ComplexMaxPooling3D(ComplexMaxPooling):
    """Largest value of each window of a volume.

    Args:
        pool_size: Sizes of the window, or one number for all.
        **kwargs: As in `ComplexMaxPooling1D`.

    Call arguments:
        inputs: Pair, each part `(batch, depth, height, width, channels)`.

    Returns:
        Pair, each part `(batch, new depth, new height, new width, channels)`.

    Reference:
        cplxmodule, `CplxMaxPool3d`, for the form by modulus.
    """

    def __init__(
        self, pool_size=2, strides=None, padding="valid", by="parts", **kwargs
    ):
        super().__init__(3, pool_size, strides, padding, by, **kwargs)
