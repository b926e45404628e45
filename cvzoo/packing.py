"""Tensors ↔ small files: safetensors, sparse tensors as values and places.

A file holds named float32 tensors, real or complex (two parts of one shape). Each is
kept in whichever of three forms is smallest:

- `dense`: all values;
- `gaps`: the non-zero values, and the distance from each to the one before, in bytes
  of seven bits, the eighth saying that more follow;
- `bitmask`: the non-zero values, and one bit for each place.

A complex value is zero when both parts are, and has one place. The form of each tensor
stands in the file's metadata. Equal tensors give equal bytes.
"""

import json
import math
from typing import NamedTuple

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

FORMAT = 1
LARGEST = 2**31
CODECS = ("dense", "gaps", "bitmask")
_PLACES = "#places"


class Spec(NamedTuple):
    """What a reader expects of a tensor: its shape, and 1 or 2 parts."""

    shape: tuple
    parts: int


class PackingError(ValueError):
    """A file that is damaged, or does not hold what was expected."""


def pack(tensors):
    """Bytes of a safetensors file.

    Args:
        tensors: Name → float array, or pair of float arrays of one shape.
    """
    arrays, layout = {}, {}
    for name in sorted(tensors):
        value = tensors[name]
        parts = value if isinstance(value, tuple) else (value,)
        stacked = np.stack([np.asarray(part, np.float32) for part in parts])
        if not np.isfinite(stacked).all():
            raise PackingError(f"Tensor '{name}' has values that are NaN or infinite.")
        flat = stacked.reshape(len(parts), -1)
        places = np.flatnonzero((flat != 0).any(axis=0))
        codec, encoded = _smallest(places, flat.shape[1], len(parts))
        if codec == "dense":
            arrays[name] = stacked
        else:
            arrays[name] = np.ascontiguousarray(flat[:, places])
            arrays[name + _PLACES] = encoded
        layout[name] = {"codec": codec, "shape": list(stacked.shape[1:])}
    # One key only: safetensors writes several in no fixed order.
    metadata = {"cvzoo": json.dumps({"format": FORMAT, "tensors": layout})}
    return safetensors.numpy.save(arrays, metadata)


def unpack(data, expected):
    """Tensors from the bytes of a file.

    Args:
        data: bytes.
        expected: Name → `Spec`. Shapes come from here, never from the file.

    Returns:
        Name → float32 array, or pair of them where the spec has two parts.

    Raises:
        PackingError: The names, shapes or values are not as expected.
    """
    try:
        arrays = safetensors.numpy.load(data)
    except SafetensorError as error:
        raise PackingError(f"Not a packed weights file: {error}") from error
    layout = check_layout(data, expected)
    stored = set(layout) | {
        name + _PLACES for name, (codec, _) in layout.items() if codec != "dense"
    }
    check_names(stored, arrays, "weights file")
    return {
        name: _decode(name, spec, layout[name][0], arrays)
        for name, spec in expected.items()
    }


def check_layout(data, expected):
    """Raises unless the header of a file states the expected names and shapes.

    Returns:
        Name → `(codec, shape)`.
    """
    try:
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]["cvzoo"]
        metadata = json.loads(metadata)
        form = metadata["format"]
        layout = {
            name: (entry["codec"], tuple(entry["shape"]))
            for name, entry in metadata["tensors"].items()
        }
    except (
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise PackingError(f"Not a packed weights file: {error!r}") from error
    if form != FORMAT:
        raise PackingError(
            f"The weights file has format {form!r}; this version reads {FORMAT}."
        )
    check_names(expected, layout, "weights file")
    for name, spec in expected.items():
        if layout[name][1] != tuple(spec.shape):
            raise PackingError(
                f"Tensor '{name}' of the weights file: expected shape "
                f"{tuple(spec.shape)}, found {layout[name][1]}"
            )
    if sum(spec.parts * math.prod(spec.shape) for spec in expected.values()) > LARGEST:
        raise PackingError(f"The weights are more than {LARGEST} numbers.")
    return layout


def check_names(expected, found, where):
    """Raises with both lists unless the two hold the same names."""
    missing, unknown = (
        sorted(set(expected) - set(found)),
        sorted(set(found) - set(expected)),
    )
    if missing or unknown:
        raise PackingError(
            f"The names in the {where} do not match. Expected: {sorted(expected)}. "
            f"Found: {sorted(found)}. Missing: {missing}. Unknown: {unknown}."
        )


def _smallest(places, size, parts):
    gaps = _encode_gaps(places)
    bitmask = np.zeros(size, np.uint8)
    bitmask[places] = 1
    bitmask = np.packbits(bitmask)
    # A second entry in the header costs about as much as 80 bytes.
    sparse = 4 * parts * len(places) + 80
    sizes = {
        "dense": 4 * parts * size,
        "gaps": sparse + len(gaps),
        "bitmask": sparse + len(bitmask),
    }
    codec = min(sizes, key=sizes.get)
    return codec, {"dense": None, "gaps": gaps, "bitmask": bitmask}[codec]


def _encode_gaps(places):
    gaps = np.diff(places, prepend=-1) - 1
    groups, rest = [gaps & 127], gaps >> 7
    while rest.any():
        groups.append(rest & 127)
        rest >>= 7
    table = np.stack(groups, axis=1) if len(gaps) else np.zeros((0, 1), int)
    more_after = np.cumsum(table[:, ::-1], axis=1)[:, ::-1] > 0
    used = more_after.copy()
    used[:, 0] = True
    continued = np.zeros_like(used)
    continued[:, :-1] = used[:, 1:]
    return (table + 128 * continued)[used].astype(np.uint8)


def _decode_gaps(data):
    if not data.size:
        return np.zeros(0, np.int64)
    ends = data < 128
    if not ends[-1]:
        raise PackingError("the places end in the middle of a number")
    starts = np.flatnonzero(np.concatenate([[True], ends[:-1]]))
    lengths = np.diff(np.append(starts, data.size))
    if np.any(lengths > 8):
        raise PackingError("a place does not fit 56 bits")
    within = np.arange(data.size) - np.repeat(starts, lengths)
    digits = (data & 127).astype(np.int64) << (7 * within)
    gaps = np.add.reduceat(digits, starts)
    # float64 sees an overflow of the running sum that int64 would wrap around.
    if np.sum(gaps, dtype=np.float64) > 2**62:
        raise PackingError("the places are out of range")
    return np.cumsum(gaps + 1) - 1


def _decode(name, spec, codec, arrays):
    try:
        return _decode_checked(name, spec, codec, arrays)
    except PackingError as error:
        raise PackingError(f"Tensor '{name}' of the weights file: {error}") from None


def _decode_checked(name, spec, codec, arrays):
    if codec not in CODECS:
        raise PackingError(f"expected a codec of {CODECS}, found {codec!r}")
    values = arrays[name]
    if values.dtype != np.float32 or not np.isfinite(values).all():
        raise PackingError(f"expected finite float32 values, found {values.dtype}")
    if codec == "dense":
        dense = _with_shape(values, (spec.parts, *spec.shape))
    else:
        size = int(np.prod(spec.shape, dtype=np.int64))
        places = _decode_places(codec, arrays[name + _PLACES], size)
        dense = np.zeros((spec.parts, size), np.float32)
        dense[:, places] = _with_shape(values, (spec.parts, len(places)))
    dense = dense.reshape(spec.parts, *spec.shape)
    return tuple(dense) if spec.parts == 2 else dense[0]


def _decode_places(codec, data, size):
    if data.dtype != np.uint8 or data.ndim != 1:
        raise PackingError(f"expected places as bytes, found {data.dtype}")
    if codec == "bitmask":
        bits = np.unpackbits(_with_shape(data, ((size + 7) // 8,)))
        places = np.flatnonzero(bits)
    else:
        places = _decode_gaps(data)
    if len(places) and places[-1] >= size:
        raise PackingError(f"a place is {places[-1]}, beyond the {size} there are")
    return places


def _with_shape(array, shape):
    if array.shape != tuple(shape):
        raise PackingError(f"expected values of shape {shape}, found {array.shape}")
    return array
