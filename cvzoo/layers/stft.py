"""The short-time Fourier transform and its exact inverse."""

import keras
import numpy as np
from keras import ops as kops

from cvzoo.layers.complex import PairLayer
from cvzoo.layers.linear import check_size

WINDOWS = ("hann", "hamming", "rectangular")
# Squared windows sum to more than this where a sample can be told.
SMALLEST_WEIGHT = 1e-6


class ShortTime:
    """What the transform and its inverse have in common: frames, window, padding."""

    def set_frames(self, frame_length, frame_step, fft_length, window, center):
        self.frame_length = check_size("frame_length", frame_length)
        self.frame_step = check_size("frame_step", frame_step)
        self.fft_length = check_size("fft_length", fft_length or frame_length)
        if window not in WINDOWS:
            raise ValueError(f"`window` must be one of {WINDOWS}. Received: {window!r}")
        if not frame_step <= frame_length <= self.fft_length:
            raise ValueError(
                "frame_step ≤ frame_length ≤ fft_length is needed, or samples are "
                f"lost. Received: frame_step={frame_step}, frame_length={frame_length},"
                f" fft_length={self.fft_length}"
            )
        self.window, self.center = window, center

    @property
    def before(self):
        """Zeros before the signal, so that its first sample has full weight."""
        return self.frame_length - self.frame_step if self.center else 0

    def count(self, length):
        """Number of frames of a signal."""
        if not self.center:
            return max(0, 1 + (length - self.frame_length) // self.frame_step)
        # The last frame begins at or before the last sample's last full window.
        return -(-(self.before + length) // self.frame_step)

    def padded(self, frames):
        """Number of samples that some frames reach over."""
        return (frames - 1) * self.frame_step + self.frame_length

    def window_values(self):
        """The window, periodic, so that shifted ones add up evenly."""
        places = 2 * np.pi * np.arange(self.frame_length) / self.frame_length
        shapes = {
            "hann": 0.5 - 0.5 * np.cos(places),
            "hamming": 0.54 - 0.46 * np.cos(places),
            "rectangular": np.ones(self.frame_length),
        }
        return shapes[self.window].astype(np.float32)

    def frames_config(self):
        return {
            "frame_length": self.frame_length,
            "frame_step": self.frame_step,
            "fft_length": self.fft_length,
            "window": self.window,
            "center": self.center,
        }


@keras.saving.register_keras_serializable("cvzoo")
class STFT(ShortTime, keras.layers.Layer):
    """Short-time Fourier transform of a real signal, computed in float32.

    `keras.layers.STFTSpectrogram(mode="stft")` has frames inside the signal only, so
    that a window that is 0 at its ends loses the first and last samples. This layer
    adds zeros at both ends, and `InverseSTFT` gives every sample back.

    Args:
        frame_length: Samples of a frame.
        frame_step: Samples from one frame to the next.
        fft_length: Points of the transform. Defaults to `frame_length`.
        window: `"hann"`, `"hamming"` (both periodic) or `"rectangular"`.
        center: Whether zeros are added. Without them, frames start at sample 0 and
            what does not fill one is left out.

    Call arguments:
        inputs: Real tensor `(batch, length)`, with a known length.

    Returns:
        Pair, each part `(batch, frames, fft_length // 2 + 1)`.
    """

    def __init__(
        self,
        frame_length,
        frame_step,
        fft_length=None,
        window="hann",
        center=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.set_frames(frame_length, frame_step, fft_length, window, center)

    def build(self, input_shape):
        self.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs):
        length = inputs.shape[1]
        after = max(0, self.padded(self.count(length)) - self.before - length)
        signal = kops.cast(inputs, "float32")
        if self.center:
            signal = kops.pad(signal, [(0, 0), (self.before, after)])
        frames = kops.extract_sequences(signal, self.frame_length, self.frame_step)
        frames = kops.pad(
            frames * self.window_values(),
            [(0, 0), (0, 0), (0, self.fft_length - self.frame_length)],
        )
        pair = kops.rfft(frames, self.fft_length)
        return tuple(kops.cast(part, self.compute_dtype) for part in pair)

    def compute_output_shape(self, input_shape):
        if len(input_shape) != 2 or input_shape[1] is None:
            raise ValueError(
                f"STFT '{self.name}' needs a signal of shape (batch, length), of a "
                f"known length. Received shape {tuple(input_shape)}"
            )
        frames = self.count(input_shape[1])
        if frames < 1:
            raise ValueError(
                f"STFT '{self.name}' has frames of {self.frame_length} samples. "
                f"Received shape {tuple(input_shape)}; use center=True"
            )
        part = (input_shape[0], frames, self.fft_length // 2 + 1)
        return part, part

    def get_config(self):
        return {**super().get_config(), **self.frames_config()}


@keras.saving.register_keras_serializable("cvzoo")
class InverseSTFT(ShortTime, PairLayer):
    """The signal of a short-time Fourier transform, computed in float32.

    Frames are transformed back, windowed again, added where they overlap, and divided
    by the sum of the squared windows: the least-squares inverse, which is exact at
    every sample, the first and last too, for what `STFT` of equal arguments gave.

    Args:
        frame_length, frame_step, fft_length, window: As in `STFT`.
        length: Samples of the signal.
        center: `False` for frames that start at sample 0, such as those of
            `keras.layers.STFTSpectrogram(mode="stft", padding="valid",
            periodic=True)`. Samples where all windows are 0, the first one of a Hann
            window, are lost and come back as 0; amplitudes are those of the scaling
            that was chosen there.

    Call arguments:
        inputs: Pair, each part `(batch, frames, fft_length // 2 + 1)`.

    Returns:
        Real tensor `(batch, length)`.

    Reference:
        Griffin and Lim, 1984, Signal estimation from modified short-time Fourier
        transform.
    """

    def __init__(
        self,
        frame_length,
        frame_step,
        fft_length=None,
        length=None,
        window="hann",
        center=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.set_frames(frame_length, frame_step, fft_length, window, center)
        self.length = check_size("length", length)

    def build(self, input_shape):
        part, _ = input_shape
        bins = self.fft_length // 2 + 1
        frames = self.count(self.length)
        if len(part) != 3 or part[2] != bins or part[1] not in (None, frames):
            raise ValueError(
                f"InverseSTFT '{self.name}' needs parts of shape (batch, {frames}, "
                f"{bins}) for {self.length} samples. Received shape {tuple(part)}"
            )
        self.built = True

    def call(self, inputs):
        pair = tuple(kops.cast(part, "float32") for part in inputs)
        frames = kops.irfft(pair, self.fft_length)[..., : self.frame_length]
        signal = self._overlap(frames * self.window_values())
        signal = signal * self._inverse_weights()
        signal = signal[:, self.before : self.before + self.length]
        missing = self.length - signal.shape[1]
        signal = kops.pad(signal, [(0, 0), (0, missing)]) if missing > 0 else signal
        return kops.cast(signal, self.compute_dtype)

    def _overlap(self, frames):
        """Adds frames where they overlap, as a transposed convolution with 1."""
        kernel = np.eye(self.frame_length, dtype=np.float32)[:, None, :]
        added = kops.conv_transpose(
            frames, kernel, strides=self.frame_step, data_format="channels_last"
        )
        return added[..., 0]

    def _inverse_weights(self):
        frames = self.count(self.length)
        total = np.zeros(self.padded(frames))
        for frame in range(frames):
            start = frame * self.frame_step
            total[start : start + self.frame_length] += self.window_values() ** 2
        told = total > SMALLEST_WEIGHT
        return (told / np.where(told, total, 1)).astype(np.float32)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, input_shape):
        return input_shape[0][0], self.length

    def get_config(self):
        config = {**super().get_config(), **self.frames_config()}
        config["length"] = self.length
        return config
