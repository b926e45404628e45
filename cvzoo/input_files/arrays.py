"""Signals and images from .npy files."""

import tokenize

import numpy as np

from cvzoo.input_files import InputFileError

_DAMAGED = (ValueError, EOFError, TypeError, OverflowError, tokenize.TokenError)


def read_npy(path):
    """The numbers of a .npy file; nothing in it is run.

    Args:
        path: Of the file.

    Raises:
        InputFileError: It is missing, no such file, empty, cut off, or holds anything
            but finite numbers.
    """
    try:
        # Mapped, so that a header that states too much takes no memory.
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror}.") from error
    # Headers are literals of Python, so damaged ones raise what its parsers do.
    except _DAMAGED as error:
        raise InputFileError(
            f"{path} cannot be read as a .npy file of numbers: it is damaged, or holds "
            "Python objects. Write one with `numpy.save(path, array)`."
        ) from error
    if not isinstance(found, np.ndarray):
        raise InputFileError(f"{path} holds several arrays; `cvzoo run` reads one.")
    if found.dtype.kind not in "biufc" or not found.size:
        raise InputFileError(
            f"{path} must hold numbers. Received: {found.dtype} of {found.shape}"
        )
    if wrong := int(np.sum(~np.isfinite(found))):
        raise InputFileError(
            f"{path} has {wrong:,} of {found.size:,} values that are NaN or infinite."
        )
    return np.array(found)


def signals(array, samples):
    """IQ signals, cut into windows of unit mean power, as the networks' data have.

    Args:
        array: Complex `(n,)` or `(signals, n)`; or real with a last axis of I and Q.
        samples: Of a window. What is left over at the end is not used.

    Returns:
        float32 `(signals, windows, samples, 2)`.

    Raises:
        InputFileError: The shape is another, a signal is too short or silent.
    """
    if array.dtype.kind != "c":
        if array.ndim not in (2, 3) or array.shape[-1] != 2:
            raise InputFileError(
                "Real IQ samples must be (samples, 2) or (signals, samples, 2), "
                "complex ones (samples,) or (signals, samples). Received: "
                f"{array.dtype} of {array.shape}"
            )
        parts = array.astype(np.float64)
        array = parts[..., 0] + 1j * parts[..., 1]
    if array.ndim not in (1, 2):
        raise InputFileError(
            "Complex IQ samples must be (samples,) or (signals, samples). Received: "
            f"shape {array.shape}"
        )
    count = array.shape[-1] // samples
    if not count:
        raise InputFileError(
            f"The signal is too short: the network takes {samples} samples at a time. "
            f"Received: {array.shape[-1]}"
        )
    cut = np.atleast_2d(array)[:, : count * samples].astype(np.complex128)
    cut = cut.reshape(-1, count, samples)
    with np.errstate(over="ignore"):
        power = np.mean(np.abs(cut) ** 2, axis=-1, keepdims=True)
    if wrong := int(np.sum(~((power > 0) & np.isfinite(power)))):
        raise InputFileError(
            f"{wrong} of {power.size} windows of {samples} samples "
            "have no power, or more than numbers can hold. Leave them out."
        )
    cut = cut / np.sqrt(power)
    return np.stack([cut.real, cut.imag], axis=-1).astype(np.float32)


def images(array, shape, limits):
    """Images as a network takes them.

    Args:
        array: One image or several of `shape`, whose channel may be left out where
            there is one. uint8 stands for a share of 255.
        shape: `(height, width, channels)`.
        limits: Lowest and highest value of the network's inputs; `None` if they are
            not known.

    Returns:
        float32 `(images, height, width, channels)`.

    Raises:
        InputFileError: The shape is another, or values are out of the range.
    """
    forms = [shape] + ([shape[:2]] if shape[2] == 1 else [])
    if array.dtype.kind == "c" or not any(
        array.shape[-len(form) :] == form and array.ndim - len(form) in (0, 1)
        for form in forms
    ):
        raise InputFileError(
            f"Images must be {' or '.join(map(str, forms))}, or several of these. "
            f"Received: {array.dtype} of {array.shape}"
        )
    given = array.astype(np.float64).reshape(-1, *shape)
    if limits is None:
        if array.dtype == np.uint8:
            raise InputFileError(
                "The preset does not say the range of its inputs, which uint8 would "
                "stand for. Give floats as in training, or `save_preset` an `inputs` "
                "with `range`."
            )
        return given.astype(np.float32)
    low, high = limits
    if array.dtype == np.uint8:
        given = low + (high - low) * given / 255
    if given.min() < low or given.max() > high:
        raise InputFileError(
            f"Images must be from {low:g} to {high:g}, or uint8 from 0 to 255. "
            f"Received: {array.dtype} from {given.min():g} to {given.max():g}"
        )
    return given.astype(np.float32)
