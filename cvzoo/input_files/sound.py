"""Sound from wav files."""

import os
import wave

import numpy as np

from cvzoo.input_files import InputFileError

_REWRITE = "Write it anew as PCM, for example: ffmpeg -i FILE -c:a pcm_s16le NEW.wav"


def read_wav(path):
    """The sound of a PCM wav file of 8, 16, 24 or 32 bits, its channels averaged.

    Args:
        path: Of the file.

    Returns:
        float32 `(samples,)` from -1 to 1, and samples a second.

    Raises:
        InputFileError: It is missing, no such file, empty, or ends too soon.
    """
    try:
        with wave.open(str(path), "rb") as file:
            stated = file.getparams()
            size = stated.nchannels * stated.sampwidth
            # Not more than there is, of which Python would set the memory aside.
            data = file.readframes(min(stated.nframes, os.stat(path).st_size // size))
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror}.") from error
    # `wave` raises a bare RuntimeError where a part states a length beyond the end.
    except (wave.Error, EOFError, RuntimeError) as error:
        raise InputFileError(
            f"{path} is no PCM wav file that Python's `wave` reads: "
            f"{str(error) or 'it ends too soon'}. {_REWRITE}"
        ) from error
    if not stated.nframes or not stated.framerate:
        raise InputFileError(f"{path} holds no sound: {_told(stated)}.")
    if len(data) != stated.nframes * size:
        raise InputFileError(
            f"{path} is cut off: {_told(stated)} are stated, {len(data) // size:,} are "
            "there. Copy it again."
        )
    if stated.sampwidth not in (1, 2, 3, 4):
        raise InputFileError(f"{path} has {8 * stated.sampwidth} bits. {_REWRITE}")
    values = _values(data, stated.sampwidth).reshape(-1, stated.nchannels)
    mean = values.mean(axis=1, dtype=np.float32)
    if values.any() and not mean.any():
        raise InputFileError(
            f"{path} is silent once its {stated.nchannels} channels are averaged: they "
            "cancel out. Keep one of them: ffmpeg -i FILE -af pan=mono|c0=c0 NEW.wav"
        )
    return mean, stated.framerate


def _told(stated):
    return f"{stated.nframes:,} samples of {stated.framerate:,} a second"


def _values(data, width):
    """float32 from -1 to 1, from the bytes of samples of some width."""
    if width == 1:  # These alone have no sign.
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    if width == 3:
        # As the upper bytes of 32 bits, which keep the sign.
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        data, width = wide.tobytes(), 4
    full = np.float32(2 ** (8 * width - 1))
    return np.frombuffer(data, f"<i{width}").astype(np.float32) / full


def at_rate(samples, source, target):
    """Sound at another sampling rate.

    Args:
        samples: float32 `(samples,)`.
        source, target: Samples a second.

    Raises:
        InputFileError: The rates differ, and soxr is not installed.
    """
    if source == target:
        return samples
    try:
        import soxr
    except ImportError as error:
        raise InputFileError(
            f"The sound has {source:,} samples a second, the network hears "
            f'{target:,}. To resample it: pip install "cvzoo[sound]"'
        ) from error
    return soxr.resample(samples, source, target, "HQ")


def scaled(samples, limits):
    """Sound whose loudest sample is at the end of a range, as training sounds are.

    Args:
        samples: float32 `(samples,)`.
        limits: Lowest and highest value; nothing is scaled for `None`.

    Raises:
        InputFileError: There is nothing but silence.
    """
    loudest = np.abs(samples).max()
    if not loudest > 0:
        raise InputFileError("The sound is silent from its beginning to its end.")
    if limits is None:
        return samples
    return samples * np.float32(max(map(abs, limits)) / loudest)


def windows(samples, size, stride):
    """Windows whose middles are `stride` samples apart from the first sample on.

    Args:
        samples: `(samples,)`, at least `size`.
        size: Samples of a window. Silence is added at both ends.
        stride: From one window to the next.

    Returns:
        A view `(windows, size)`.
    """
    if len(samples) < size:
        raise InputFileError(
            f"The sound is too short: the network hears {size:,} samples at a time. "
            f"Received: {len(samples):,}"
        )
    padded = np.pad(samples, (size // 2, size - size // 2))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[
        : len(samples) : stride
    ]
