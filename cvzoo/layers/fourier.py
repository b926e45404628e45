"""Fourier transforms inside a network."""

import keras
from keras import ops as kops

from cvzoo import ops


@keras.saving.register_keras_serializable("cvzoo")
class FourierFeatures(keras.layers.Layer):
    """Discrete Fourier transform over one or two axes, computed in float32.

    Args:
        axes: Axes to transform, batch being axis 0. Defaults to `(1, 2)`, an
            image's height and width.
        norm: `"ortho"`, or `"backward"` for the unnormalised transform of paper 2.
        shift: Whether zero frequency is moved to the middle, as
            `numpy.fft.fftshift` does.

    Call arguments:
        inputs: Real tensor, or a pair, `(batch, ..., channels)`.

    Returns:
        Pair, each part of the shape of the input.
    """

    def __init__(self, axes=(1, 2), norm="ortho", shift=True, **kwargs):
        super().__init__(**kwargs)
        axes = (axes,) if isinstance(axes, int) else tuple(axes)
        if len(axes) not in (1, 2) or 0 in axes or len(set(axes)) != len(axes):
            raise ValueError(
                "`axes` must be one or two different axes, without the batch axis 0. "
                f"Received: axes={axes}"
            )
        if norm not in ("ortho", "backward"):
            raise ValueError(
                f"`norm` must be 'ortho' or 'backward'. Received: norm={norm!r}"
            )
        self.axes, self.norm, self.shift = axes, norm, shift

    def build(self, input_shape):
        shape = input_shape[0] if _is_pair_shape(input_shape) else input_shape
        rank = len(shape)
        axes = {axis % rank for axis in self.axes if -rank <= axis < rank} - {0}
        if len(axes) != len(self.axes):
            raise ValueError(
                f"FourierFeatures '{self.name}' transforms axes {self.axes}, which "
                f"input of shape {tuple(shape)} does not have, or has as its batch or "
                "twice."
            )
        self.built = True

    def call(self, inputs):
        if isinstance(inputs, (tuple, list)):
            pair = ops.check_pair(inputs, f"FourierFeatures '{self.name}'")
        elif ops.is_complex(inputs):
            raise ValueError(
                f"FourierFeatures '{self.name}' takes a real tensor or a pair. "
                "Received a complex tensor: put `cvzoo.layers.ToComplex()` before it."
            )
        else:
            pair = inputs, None
        pair = tuple(
            part if part is None else kops.cast(part, "float32") for part in pair
        )
        try:
            pair = ops.fourier(pair, self.axes, self.norm)
        except ValueError as error:
            raise ValueError(f"FourierFeatures '{self.name}': {error}") from error
        if self.shift:
            pair = tuple(ops.shifted(part, self.axes) for part in pair)
        return tuple(kops.cast(part, self.compute_dtype) for part in pair)

    def compute_output_shape(self, input_shape):
        if _is_pair_shape(input_shape):
            return input_shape
        return tuple(input_shape), tuple(input_shape)

    def get_config(self):
        config = super().get_config()
        config.update(axes=list(self.axes), norm=self.norm, shift=self.shift)
        return config


def _is_pair_shape(shape):
    return bool(shape) and isinstance(shape[0], (tuple, list))
