"""Where windows of recordings start, and what is in them: sound and notes."""

import numpy as np
import tensorflow as tf

from training.data.recordings import NOTES

PROTOCOLS = ("nazarov", "trabelsi")
# Of Trabelsi's evaluation: windows of each recording, their stride, the first's start.
_TRABELSI_WINDOWS, _TRABELSI_STRIDE, _TRABELSI_FIRST = 7500, 128, 11_000
_READ_AT_ONCE = 256


def train_starts(recordings, window, which, share, protocol="nazarov"):
    """Where training windows start, from random numbers.

    Args:
        recordings: `Recordings`.
        window: Samples of a window.
        which: Recordings, an integer for each window.
        share: As many numbers in [0, 1).
        protocol: `"nazarov"`: any window that is inside. `"trabelsi"`: the window's
            middle is drawn from `window / 2` up to and without `length - window / 2`,
            which leaves out the last window.

    Returns:
        Samples of `recordings.audio`, int64.
    """
    places = recordings.lengths[which] - window + (protocol == "nazarov")
    return recordings.starts[which] + (share * places).astype(np.int64)


def evaluation_starts(recordings, window, stride=128, protocol="nazarov"):
    """Where the windows of an evaluation start.

    Args:
        recordings: `Recordings`.
        window: Samples of a window.
        stride: Samples from one window to the next.
        protocol: `"nazarov"`: all windows that are inside. `"trabelsi"`: 7 500 of each
            recording, one each 128 samples, from the sample 11 000 on.

    Returns:
        Samples of `recordings.audio`, int64.
    """
    if protocol == "trabelsi":
        steps = _TRABELSI_FIRST + _TRABELSI_STRIDE * np.arange(_TRABELSI_WINDOWS)
        needed = steps[-1] + window
        for name, length in zip(recordings.names, recordings.lengths, strict=True):
            if length < needed:
                raise ValueError(
                    f"Recording {name!r} has {length} samples, and Trabelsi's 7 500 "
                    f'windows need {needed}. Use the protocol "nazarov".'
                )
        return (recordings.starts[:-1, None] + steps).reshape(-1)
    ranges = zip(recordings.starts[:-1], recordings.starts[1:], strict=True)
    return np.concatenate(
        [np.arange(start, end - window + 1, stride) for start, end in ranges]
    )


def read(recordings, starts, window):
    """Windows from some samples on, and which notes sound at their middles.

    Returns:
        float32 `(len(starts), window)` and float32 `(len(starts), 84)`.
    """
    labels = recordings.labels(starts + window // 2)
    return recordings.windows(starts, window), labels.astype(np.float32)


def read_in_graph(recordings, starts, window):
    """The same inside a `tf.data` pipeline, from a tensor or a function of numpy.

    Args:
        recordings: `Recordings`.
        starts: int64 tensor; or `(function, tensor)`, whose value it is.
        window: Samples of a window.
    """
    function, numbers = starts if isinstance(starts, tuple) else (np.asarray, starts)
    windows, labels = tf.numpy_function(
        lambda numbers: read(recordings, function(numbers), window),
        [numbers],
        (tf.float32, tf.float32),
        stateful=False,
    )
    return (
        tf.ensure_shape(windows, [None, window]),
        tf.ensure_shape(labels, [None, NOTES]),
    )


def evaluation(recordings, window, stride=128, protocol="nazarov", batch_size=256):
    """The windows of an evaluation, in batches: a `tf.data.Dataset`."""
    starts = evaluation_starts(recordings, window, stride, protocol)
    batches = tf.data.Dataset.from_tensor_slices(starts).batch(batch_size)
    return batches.map(
        lambda starts: read_in_graph(recordings, starts, window), num_parallel_calls=2
    )
