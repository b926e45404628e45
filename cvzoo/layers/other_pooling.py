"""Pooling of pairs over whole axes: global pooling, and low frequencies."""

import math

import keras
from keras import ops as kops

from cvzoo.layers.convolution import per_dimension
from cvzoo.layers.pooling import PairPooling, checked_order
from cvzoo.ops.pooling import global_modulus_max_pool, spectral_pool


class GlobalPooling(PairPooling):
    """Base of layers that pool all spatial axes; a subclass gives `call`."""

    def __init__(self, rank, keepdims=False, **kwargs):
        super().__init__(rank, **kwargs)
        self.keepdims = keepdims

    def compute_output_shape(self, input_shape):
        part, _ = input_shape
        part = tuple(
            1 if axis in self.axes else size
            for axis, size in enumerate(part)
            if self.keepdims or axis not in self.axes
        )
        return part, part

    def get_config(self):
        return {**super().get_config(), "keepdims": self.keepdims}


class ComplexGlobalAveragePooling(GlobalPooling):
    """Base of `ComplexGlobalAveragePooling1D`, `2D` and `3D`."""

    def call(self, inputs):
        return tuple(
            kops.mean(part, axis=self.axes, keepdims=self.keepdims) for part in inputs
        )


class ComplexGlobalMaxPooling(GlobalPooling):
    """Base of `ComplexGlobalMaxPooling1D`, `2D` and `3D`."""

    def __init__(self, rank, keepdims=False, by="parts", **kwargs):
        super().__init__(rank, keepdims, **kwargs)
        self.by = checked_order(by)

    def call(self, inputs):
        if self.by == "modulus":
            return global_modulus_max_pool(inputs, self.axes, self.keepdims)
        # Without `initial`, Keras refuses an empty batch.
        return tuple(
            kops.max(part, self.axes, keepdims=self.keepdims, initial=-math.inf)
            for part in inputs
        )

    def get_config(self):
        return {**super().get_config(), "by": self.by}


@keras.saving.register_keras_serializable("cvzoo")
class ComplexGlobalAveragePooling1D(ComplexGlobalAveragePooling):
    """Average over all steps, or over those that a mask leaves.

    Args:
        keepdims: Whether the pooled axis stays, with size 1.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to the setting
            of Keras.

    Call arguments:
        inputs: Pair, each part `(batch, length, channels)`.
        mask: Boolean `(batch, length)`, or one for each part. Where it leaves no step
            the average is 0.

    Returns:
        Pair, each part `(batch, channels)`.
    """

    def __init__(self, keepdims=False, **kwargs):
        super().__init__(1, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        mask = mask[0] if isinstance(mask, (tuple, list)) else mask
        if mask is None:
            return super().call(inputs)
        channel_axis = 2 if self.data_format == "channels_last" else 1
        mask = kops.expand_dims(kops.cast(mask, "bool"), channel_axis)
        steps = kops.sum(kops.cast(mask, "float32"), self.axes, self.keepdims)
        steps = kops.cast(kops.maximum(steps, 1), self.compute_dtype)
        return tuple(
            # Not a product with the mask: what is masked may be NaN.
            kops.sum(kops.where(mask, part, 0), self.axes, keepdims=self.keepdims)
            / steps
            for part in inputs
        )


@keras.saving.register_keras_serializable("cvzoo")
class ComplexGlobalAveragePooling2D(ComplexGlobalAveragePooling):
    """Average of each channel of an image.

    Args:
        keepdims: Whether the pooled axes stay, with size 1.
        **kwargs: As in `ComplexGlobalAveragePooling1D`.

    Call arguments:
        inputs: Pair, each part `(batch, height, width, channels)`.

    Returns:
        Pair, each part `(batch, channels)`.
    """

    def __init__(self, keepdims=False, **kwargs):
        super().__init__(2, keepdims, **kwargs)


@keras.saving.register_keras_serializable("cvzoo")
class ComplexGlobalAveragePooling3D(ComplexGlobalAveragePooling):
    """Average of each channel of a volume.

    Args:
        keepdims: Whether the pooled axes stay, with size 1.
        **kwargs: As in `ComplexGlobalAveragePooling1D`.

    Call arguments:
        inputs: Pair, each part `(batch, depth, height, width, channels)`.

    Returns:
        Pair, each part `(batch, channels)`.
    """

    def __init__(self, keepdims=False, **kwargs):
        super().__init__(3, keepdims, **kwargs)


@keras.saving.register_keras_serializable("cvzoo")
class ComplexGlobalMaxPooling1D(ComplexGlobalMaxPooling):
    """Largest value over all steps.

    Args:
        keepdims: Whether the pooled axis stays, with size 1.
        by: `"parts"` or `"modulus"`, as in `ComplexMaxPooling1D`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to the setting
            of Keras.

    Call arguments:
        inputs: Pair, each part `(batch, length, channels)`.

    Returns:
        Pair, each part `(batch, channels)`.
    """

    def __init__(self, keepdims=False, by="parts", **kwargs):
        super().__init__(1, keepdims, by, **kwargs)


@keras.saving.register_keras_serializable("cvzoo")
class ComplexGlobalMaxPooling2D(ComplexGlobalMaxPooling):
    """Largest value of each channel of an image.

    Args:
        keepdims: Whether the pooled axes stay, with size 1.
        **kwargs: As in `ComplexGlobalMaxPooling1D`.

    Call arguments:
        inputs: Pair, each part `(batch, height, width, channels)`.

    Returns:
        Pair, each part `(batch, channels)`.
    """

    def __init__(self, keepdims=False, by="parts", **kwargs):
        super().__init__(2, keepdims, by, **kwargs)


@keras.saving.register_keras_serializable("cvzoo")
class ComplexGlobalMaxPooling3D(ComplexGlobalMaxPooling):
    """Largest value of each channel of a volume.

    Args:
        keepdims: Whether the pooled axes stay, with size 1.
        **kwargs: As in `ComplexGlobalMaxPooling1D`.

    Call arguments:
        inputs: Pair, each part `(batch, depth, height, width, channels)`.

    Returns:
        Pair, each part `(batch, channels)`.
    """

    def __init__(self, keepdims=False, by="parts", **kwargs):
        super().__init__(3, keepdims, by, **kwargs)


class SpectralPooling(PairPooling):
    """Base of `SpectralPooling1D` and `SpectralPooling2D`."""

    def __init__(self, rank, output_size, **kwargs):
        super().__init__(rank, **kwargs)
        self.output_size = per_dimension("output_size", output_size, rank)

    def call(self, inputs):
        pair = tuple(kops.cast(part, "float32") for part in inputs)
        pair = spectral_pool(pair, self.output_size, self.first_axis)
        return tuple(kops.cast(part, self.compute_dtype) for part in pair)

    def compute_output_shape(self, input_shape):
        part = list(input_shape[0])
        for axis, size in zip(self.axes, self.output_size, strict=True):
            if part[axis] is None or part[axis] < size:
                raise ValueError(
                    f"{type(self).__name__} '{self.name}' needs spatial axes of known "
                    f"sizes, of at least output_size={self.output_size}. Received "
                    f"shape {tuple(input_shape[0])}, {self.data_format}."
                )
            part[axis] = size
        return tuple(part), tuple(part)

    def get_config(self):
        return {**super().get_config(), "output_size": self.output_size}


@keras.saving.register_keras_serializable("cvzoo")
class SpectralPooling1D(SpectralPooling):
    """Shortens a signal by keeping its low frequencies, computed in float32.

    Of the n frequencies of the discrete Fourier transform the m = `output_size`
    lowest stay, −⌊m/2⌋ … ⌈m/2⌉ − 1, and are transformed back. A constant keeps its
    value. A real signal stays real where m is odd, or m = n.

    Args:
        output_size: Length of the output, at most that of the input.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to the setting
            of Keras.

    Call arguments:
        inputs: Pair, each part `(batch, length, channels)`.

    Returns:
        Pair, each part `(batch, output_size, channels)`.

    Reference:
        [Rippel et al., 2015](https://arxiv.org/abs/1506.03767); Trabelsi et al., 2018.
    """

    def __init__(self, output_size, **kwargs):
        super().__init__(1, output_size, **kwargs)


@keras.saving.register_keras_serializable("cvzoo")
class SpectralPooling2D(SpectralPooling):
    """Makes an image smaller by keeping its low frequencies.

    Args:
        output_size: Height and width of the output, or one number for both.
        **kwargs: As in `SpectralPooling1D`.

    Call arguments:
        inputs: Pair, each part `(batch, height, width, channels)`.

    Returns:
        Pair, each part `(batch, *output_size, channels)`.

    Reference:
        [Rippel et al., 2015](https://arxiv.org/abs/1506.03767); Trabelsi et al., 2018.
    """

    def __init__(self, output_size, **kwargs):
        super().__init__(2, output_size, **kwargs)
