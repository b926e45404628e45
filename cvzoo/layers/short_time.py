"""The short-time Fourier transform of a signal, and its inverse."""

import keras
import numpy as np
from keras import ops as kops

from cvzoo.layers.complex import PairLayer
from cvzoo.layers.linear import check_size
from cvzoo.ops import short_time
from cvzoo.ops.pairs import is_complex

WINDOWS = ("hann", "hamming", None)


class _ShortTime:
    """Mixin: the arguments that `STFT` and `InverseSTFT` share."""

    def _set_frames(self, frame_length, frame_step, fft_length, window, periodic):
        self.frame_length = check_size("frame_length", frame_length)
        if frame_step is None:
            frame_step = max(frame_length // 2, 1)
        if fft_length is None:
            fft_length = 2 ** (frame_length - 1).bit_length()
        self.frame_step = check_size("frame_step", frame_step)
        self.fft_length = check_size("fft_length", fft_length)
        if not self.frame_step <= self.frame_length <= self.fft_length:
            raise ValueError(
                "`frame_step` must be at most `frame_length`, and that at most "
                f"`fft_length`. Received: frame_step={self.frame_step}, "
                f"frame_length={frame_length}, fft_length={self.fft_length}"
            )
        if not isinstance(window, (str, type(None))):
            window = [float(value) for value in window]
            if len(window) != frame_length:
                raise ValueError(
                    "An array given as `window` must have `frame_length` values. "
                    f"Received: {len(window)} with frame_length={frame_length}"
                )
        elif window not in WINDOWS:
            raise ValueError(
                f"`window` must be one of {WINDOWS} or an array. "
                f"Received: window={window!r}"
            )
        self.window, self.periodic = window, periodic

    def _set_convention(self, scaling, padding):
        if scaling not in (None, "density", "spectrum"):
            raise ValueError(
                "`scaling` must be None, 'density' or 'spectrum'. "
                f"Received: scaling={scaling!r}"
            )
        if padding not in ("same", "valid"):
            raise ValueError(
                f"`padding` must be 'same' or 'valid'. Received: padding={padding!r}"
            )
        self.scaling, self.padding = scaling, padding

    @property
    def bins(self):
        return self.fft_length // 2 + 1

    def _scaled_window(self):
        values = short_time.window_values(self.window, self.frame_length, self.periodic)
        if self.scaling == "density":
            return values / np.sqrt(np.sum(values**2))
        return values / np.sum(np.abs(values)) if self.scaling else values

    def _count_frames(self, length):
        return short_time.frame_grid(
            length, self.frame_length, self.frame_step, self.padding
        )[0]

    def get_config(self):
        config = super().get_config()
        config.update(
            frame_length=self.frame_length,
            frame_step=self.frame_step,
            fft_length=self.fft_length,
            window=self.window,
            periodic=self.periodic,
            scaling=self.scaling,
            padding=self.padding,
        )
        return config


@keras.saving.register_keras_serializable("cvzoo")
class STFT(_ShortTime, keras.layers.Layer):
    """Short-time Fourier transform of a real signal, computed in float32.

    The numbers of `keras.layers.STFTSpectrogram(mode="stft")` with the same arguments,
    as a pair. That layer convolves with weights, which train unless told not to and
    are rounded in half precision, is no Fourier transform for an odd `fft_length`, and
    gives several channels in an order that `ToComplex` cannot read.

    Args:
        frame_length: Samples in a frame.
        frame_step: Samples from one frame to the next. Defaults to half a frame, with
            which `InverseSTFT` brings every sample back.
        fft_length: Frames are padded with zeros at their end to this length. Defaults
            to the next power of two.
        window: `"hann"`, `"hamming"`, `None` or `frame_length` values.
        periodic: Whether a named window is the periodic one.
        scaling: `None`, or what the window is divided by: `"density"`, its Euclidean
            norm, or `"spectrum"`, the sum of its moduli.
        padding: `"same"`: zeros on both sides, and a frame for each step. `"valid"`:
            no zeros, so the edges have little or no weight.

    Call arguments:
        inputs: Real tensor `(batch, samples)` or `(batch, samples, channels)`.

    Returns:
        Pair, each part `(batch, frames, bins)` or `(batch, frames, bins, channels)`,
        with `bins = fft_length // 2 + 1`.
    """

    def __init__(
        self,
        frame_length=256,
        frame_step=None,
        fft_length=None,
        window="hann",
        periodic=True,
        scaling=None,
        padding="same",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._set_frames(frame_length, frame_step, fft_length, window, periodic)
        self._set_convention(scaling, padding)

    def __call__(self, inputs, *args, **kwargs):
        if isinstance(inputs, (tuple, list)) or is_complex(inputs):
            raise ValueError(
                f"STFT '{self.name}' takes one real tensor (batch, samples) or "
                "(batch, samples, channels). Received a complex one or several. Put "
                "`cvzoo.layers.FromComplex('real')` before it, or give the parts as "
                "two channels with `FromComplex('trailing')`."
            )
        return super().__call__(inputs, *args, **kwargs)

    def build(self, input_shape):
        if len(input_shape) not in (2, 3) or input_shape[1] is None:
            raise ValueError(
                f"STFT '{self.name}' needs input of shape (batch, samples) or (batch, "
                "samples, channels) with a known number of samples. Received shape "
                f"{tuple(input_shape)}"
            )
        if self._count_frames(input_shape[1]) == 0:
            raise ValueError(
                f"STFT '{self.name}' with padding='valid' needs at least one frame of "
                f"{self.frame_length} samples. Received shape {tuple(input_shape)}; "
                "use padding='same'."
            )
        self.built = True

    def call(self, inputs):
        signal = kops.cast(inputs, "float32")
        if len(signal.shape) == 3:
            signal = kops.transpose(signal, (0, 2, 1))
        pair = short_time.short_time_fourier(
            signal,
            self._scaled_window(),
            self.frame_step,
            self.fft_length,
            self.padding,
        )
        if len(signal.shape) == 3:
            pair = [kops.transpose(part, (0, 2, 3, 1)) for part in pair]
        return tuple(kops.cast(part, self.compute_dtype) for part in pair)

    def compute_output_shape(self, input_shape):
        batch, length, *channels = input_shape
        part = (batch, self._count_frames(length), self.bins, *channels)
        return part, part


@keras.saving.register_keras_serializable("cvzoo")
class InverseSTFT(_ShortTime, PairLayer):
    """Exact inverse of `STFT` and of `keras.layers.STFTSpectrogram(mode="stft")`.

    Every sample comes back, the first and the last too: sums are divided by the
    weight that the windows gave each sample. A length whose edges have no weight is
    refused. Exact are `padding="same"` with a step of at most half a frame of four or
    more samples, and any window without zeros where the frames end with the signal.

    After Keras' layer and `ToComplex("concatenated")`: for one channel and an even
    `fft_length`, with the arguments of that layer, whose defaults are
    `periodic=False`, `scaling="density"` and the `padding="valid"` that loses the
    edges.

    Args:
        length: Samples of the signal.
        frame_length: As in the transform to invert, like all that follow.
        frame_step: Defaults to half a frame.
        fft_length: Defaults to the next power of two.
        window: `"hann"`, `"hamming"`, `None` or `frame_length` values.
        periodic: Whether a named window is the periodic one.
        scaling: `None`, `"density"` or `"spectrum"`.
        padding: `"same"` or `"valid"`.

    Call arguments:
        inputs: Pair, each part `(batch, frames, bins)` or `(batch, frames, bins,
            channels)`.

    Returns:
        Real tensor `(batch, length)` or `(batch, length, channels)`: of all signals,
        the one whose transform is nearest to the input.

    Reference:
        [Griffin and Lim, 1984](https://doi.org/10.1109/TASSP.1984.1164317), eq. 6
    """

    def __init__(
        self,
        length,
        frame_length=256,
        frame_step=None,
        fft_length=None,
        window="hann",
        periodic=True,
        scaling=None,
        padding="same",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.length = check_size("length", length)
        self._set_frames(frame_length, frame_step, fft_length, window, periodic)
        self._set_convention(scaling, padding)

    def _check_weight(self):
        weight = short_time.squared_window_sum(
            self._scaled_window(), self.length, self.frame_step, self.padding
        )
        lost = np.flatnonzero(weight <= short_time.SMALLEST_WEIGHT * weight.max())
        if lost.size:
            raise ValueError(
                f"The frames hold too little of {lost.size} of the {self.length} "
                f"samples, the first of them sample {lost[0]}. Use padding='same' and "
                "a `frame_step` of at most half of `frame_length`. Received: "
                f"padding={self.padding!r}, frame_step={self.frame_step}, "
                f"frame_length={self.frame_length}"
            )

    def build(self, input_shape):
        shape, _ = input_shape
        expected = (self._count_frames(self.length), self.bins)
        if len(shape) not in (3, 4) or tuple(shape[1:3]) != expected:
            raise ValueError(
                f"InverseSTFT '{self.name}' needs parts of shape (batch, frames, bins) "
                "or (batch, frames, bins, channels), with (frames, bins) = "
                f"{expected} for {self.length} samples. Received shape {tuple(shape)}"
            )
        # Only now: to sum up the windows of a long signal takes memory.
        self._check_weight()
        self.built = True

    def call(self, inputs):
        pair = tuple(kops.cast(part, "float32") for part in inputs)
        has_channels = len(pair[0].shape) == 4
        if has_channels:
            pair = tuple(kops.transpose(part, (0, 3, 1, 2)) for part in pair)
        signal = short_time.inverse_short_time_fourier(
            pair,
            self._scaled_window(),
            self.frame_step,
            self.fft_length,
            self.padding,
            self.length,
        )
        if has_channels:
            signal = kops.transpose(signal, (0, 2, 1))
        return kops.cast(signal, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        batch, _, _, *channels = input_shape[0]
        return (batch, self.length, *channels)

    def get_config(self):
        return {**super().get_config(), "length": self.length}
