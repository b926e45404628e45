"""The short-time Fourier transform and its exact inverse.

Frame `i` holds the samples from `i·step − before` on. The inverse adds the windowed
frames up and divides by the sum of the squared windows over each sample, edges
included: the least-squares inverse of Griffin and Lim, 1984.
"""

import numpy as np
from keras import ops

from cvzoo.ops.pairs import inverse_real_fourier, real_fourier

# Below this share of the largest weight a sample is lost: its rounding error would
# grow more than a hundredfold.
SMALLEST_WEIGHT = 1e-4


def window_values(window, length, periodic):
    """A window in float64.

    Args:
        window: `"hann"`, `"hamming"`, `None` for ones, or an array of `length` values.
        length: Number of values.
        periodic: Whether the period of a named window is `length`, not `length − 1`.
    """
    if window is None:
        return np.ones(length)
    if not isinstance(window, str):
        return np.asarray(window, np.float64)
    mean = {"hann": 0.5, "hamming": 0.54}[window]
    period = max(length if periodic else length - 1, 1)
    angle = 2 * np.pi * np.arange(length) / period
    return np.ones(1) if length == 1 else mean - (1 - mean) * np.cos(angle)


def frame_grid(length, frame_length, step, padding):
    """Number of frames, and zeros before and after, of a signal of `length` samples.

    As a convolution of stride `step` counts and pads; with `"valid"` the samples that
    fill no frame are left out, which gives a negative number after.
    """
    if padding == "same":
        frames = -(-length // step)
        total = max((frames - 1) * step + frame_length - length, 0)
        return frames, total // 2, total - total // 2
    frames = max((length - frame_length) // step + 1, 0)
    return frames, 0, (frames - 1) * step + frame_length - length


def squared_window_sum(window, length, step, padding):
    """`Σ window²` over each of `length` samples."""
    frames, before, _ = frame_grid(length, len(window), step, padding)
    blocks = -(-len(window) // step)
    squares = np.pad(window**2, (0, blocks * step - len(window)))
    # In row `i`, the first `i` blocks of a frame. Over a block of the signal lie those
    # of the frames that have begun, less those of the frames that have ended.
    sums = np.cumsum(squares.reshape(blocks, step), axis=0)
    sums = np.concatenate([np.zeros((1, step)), sums])
    ends = np.arange(1, -(-(before + length) // step) + 1)
    total = sums[np.minimum(ends, blocks)]
    total -= sums[np.clip(ends - frames, 0, blocks)]
    return total.ravel()[before : before + length]


def short_time_fourier(signal, window, step, fft_length, padding):
    """Fourier transform of windowed frames.

    Args:
        signal: Real float32 tensor `(..., samples)`.
        window: Array; its length is that of a frame.
        step: Samples from one frame to the next.
        fft_length: Frames are padded with zeros at their end to this length.
        padding: `"same"` or `"valid"`.

    Returns:
        Pair, each part `(..., frames, fft_length // 2 + 1)`.
    """
    length = signal.shape[-1]
    _, before, after = frame_grid(length, len(window), step, padding)
    if before or after > 0:
        widths = [(0, 0)] * (len(signal.shape) - 1) + [(before, after)]
        signal = ops.pad(signal, widths)
    frames = ops.extract_sequences(signal, len(window), step)
    return real_fourier(frames * ops.cast(window, "float32"), fft_length)


def inverse_short_time_fourier(pair, window, step, fft_length, padding, length):
    """The real signal `(..., length)` of the pair of `short_time_fourier`.

    Where the pair is no transform of a signal: the signal whose transform is nearest.
    """
    frames = inverse_real_fourier(pair, fft_length)[..., : len(window)]
    added = overlap_add(frames * ops.cast(window, "float32"), step)
    _, before, _ = frame_grid(length, len(window), step, padding)
    weight = squared_window_sum(window, length, step, padding)
    return added[..., before : before + length] / ops.cast(weight, "float32")


def overlap_add(frames, step):
    """Sum of frames `(..., frames, frame_length)`, each `step` after the one before.

    Returns:
        Tensor `(..., samples)`, padded with zeros to a multiple of `step`.
    """
    *batch, count, frame_length = frames.shape
    blocks = -(-frame_length // step)
    none = [(0, 0)] * len(batch)
    frames = ops.pad(frames, [*none, (0, 0), (0, blocks * step - frame_length)])
    total = 0
    for block in range(blocks):
        part = frames[..., block * step : (block + 1) * step]
        total = total + ops.pad(part, [*none, (block, blocks - 1 - block), (0, 0)])
    batch = ops.shape(total)[: len(batch)]
    return ops.reshape(total, (*batch, (count + blocks - 1) * step))
