"""Tensors by name, from a file or a dictionary; nothing is ever unpickled."""

import os
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

RECIPE = """In torch, save the weights as plain arrays:
    import numpy
    state = {key: value.numpy() for key, value in net.state_dict().items()}
    numpy.savez("net.npz", **state)
and give "net.npz" here."""
# A file may hold more than a model needs, but not without bounds: a small one could
# claim, compressed, more than there is memory.
_BYTES_FOR_EACH = 16
_ALWAYS_ALLOWED = 2**26

_WHAT_A_BAD_FILE_RAISES = (
    *(OSError, EOFError, ValueError, KeyError, RuntimeError, MemoryError),
    *(SyntaxError, TypeError, OverflowError, tokenize.TokenError),
    *(SafetensorError, zipfile.BadZipFile, zlib.error),
)


def read(weights, size):
    """Tensors by name; `.real` and `.imag` of those that are complex.

    Args:
        weights: Path of a `.npz` or `.safetensors` file, or name → array.
        size: Bytes of the model that they are for.

    Returns:
        Name → array, and whether their order is that of the network: safetensors
        sorts them.
    """
    if isinstance(weights, (str, os.PathLike)):
        path = Path(weights)
        state = _read_file(path, _ALWAYS_ALLOWED + _BYTES_FOR_EACH * size)
        is_ordered = path.suffix.lower() == ".npz"
    elif hasattr(weights, "items"):
        state, is_ordered = _as_arrays(weights), True
    else:
        raise ValueError(
            "`weights` must be the path of a .npz or .safetensors file, or a "
            f"dictionary of arrays. Received: {type(weights).__name__}"
        )
    if not state:
        raise ValueError("`weights` holds no tensors; a state dict was expected.")
    return _in_parts(state), is_ordered


def _read_file(path, limit):
    kinds = {".npz": _read_npz, ".safetensors": _read_safetensors}
    reader = kinds.get(path.suffix.lower())
    if reader is None:
        raise ValueError(
            "`weights` must be a .npz or .safetensors file. Received: "
            f"'{path.name}'. A .pt or .pth file is a pickle, which can run any code, "
            f"and is never opened. {RECIPE}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"No such file: '{path}'.")
    try:
        return reader(path, limit)
    except _TooLarge:
        raise
    except _WHAT_A_BAD_FILE_RAISES as error:
        raise ValueError(
            f"'{path}' is no {path.suffix} file of arrays, or is damaged or cut off "
            f"({type(error).__name__}: {error}). Save it again. {RECIPE}"
        ) from error


class _TooLarge(ValueError):
    """The file claims more than any model of this size could need."""


def _read_npz(path, limit):
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names) or not all(n.endswith(".npy") for n in names):
        raise ValueError("it must hold arrays (.npy), each name once")
    claimed = sum(entry.file_size for entry in entries)
    if claimed > limit:
        raise _TooLarge(
            f"'{path}' unpacks to {claimed:,} bytes; at most {limit:,} are expected "
            "for a model of this size. Is it the right file? If so, load it with "
            "numpy and give the dictionary."
        )
    with zipfile.ZipFile(path) as archive:
        # numpy stops reading before zipfile compares checksums.
        damaged = archive.testzip()
    if damaged:
        raise ValueError(f"'{damaged}' has another checksum")
    with np.load(path, allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    # numpy gives the bytes of what does not begin as an array does.
    for name, value in found.items():
        if not isinstance(value, np.ndarray):
            raise ValueError(f"'{name}' is no array")
    return found


def _read_safetensors(path, limit):
    # Its tensors lie in the file as they are, which needs no limit.
    return safetensors.numpy.load_file(path)


def _as_arrays(weights):
    state = {}
    for name, value in weights.items():
        if not isinstance(name, str):
            raise ValueError(f"Names of tensors must be strings. Received: {name!r}")
        try:
            state[name] = np.asarray(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"'{name}' must be an array. Received: {type(value).__name__}, which "
                f"numpy cannot take ({error}). In torch, use "
                "`value.detach().cpu().float().numpy()`."
            ) from error
    return state


def _in_parts(state):
    """Complex arrays as cplxmodule has them, `<name>.real` and `<name>.imag`."""
    parts = {}
    for name, array in state.items():
        found = {name: array}
        if np.iscomplexobj(array):
            found = {f"{name}.real": array.real, f"{name}.imag": array.imag}
        for key, one in found.items():
            if key in parts:
                raise ValueError(f"'{key}' is there twice, once as part of '{name}'.")
            parts[key] = one
    return parts
