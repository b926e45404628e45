"""Reading weights files of format 1, which early presets are kept in.

Each tensor is an entry of the safetensors file, in one of three forms:

- `dense`: all values, float32;
- `gaps`: the non-zero values, and the distance from each to the one before, in bytes
  of seven bits, the eighth saying that more follow;
- `bitmask`: the non-zero values, and one bit for each place.
"""

import numpy as np

from cvzoo.coding import PackingError

CODECS = ("dense", "gaps", "bitmask")
_PLACES = "#places"


def entry_names(codecs):
    """Names of the safetensors entries that tensors are kept in.

    Args:
        codecs: Name → codec of each tensor.
    """
    return set(codecs) | {
        name + _PLACES for name, codec in codecs.items() if codec != "dense"
    }


def decode(name, spec, codec, arrays):
    """float32 `(parts, *shape)` of a tensor.

    Args:
        name: Its name.
        spec: Its `packing.Spec`.
        codec: One of `CODECS`.
        arrays: The entries of the file.
    """
    if codec not in CODECS:
        raise PackingError(f"expected a codec of {CODECS}, found {codec!r}")
    values = arrays[name]
    if values.dtype != np.float32:
        raise PackingError(f"expected float32 values, found {values.dtype}")
    if not np.isfinite(values).all():
        raise PackingError("expected finite values, found NaN or infinity")
    if codec == "dense":
        return _with_shape(values, (spec.parts, *spec.shape))
    size = int(np.prod(spec.shape, dtype=np.int64))
    places = _decode_places(codec, arrays[name + _PLACES], size)
    dense = np.zeros((spec.parts, size), np.float32)
    dense[:, places] = _with_shape(values, (spec.parts, len(places)))
    return dense.reshape(spec.parts, *spec.shape)


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
