"""Reading safetensors files one entry at a time, so that no more is in memory."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from cvzoo import strict_json

# Those of them that numpy has.
_DTYPES = {
    **{"U8": "|u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "BOOL": "|b1"},
    **{"I8": "|i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"},
    **{"F16": "<f2", "F32": "<f4", "F64": "<f8"},
}
MOST_AXES = 16
_KEYS = {"dtype", "shape", "data_offsets"}
_WHAT_A_BAD_HEADER_RAISES = (AttributeError, LookupError, TypeError, ValueError)


class ContainerError(ValueError):
    """Bytes that are no safetensors file."""


class Entry(NamedTuple):
    """Where a file has an array: its numpy dtype, shape, first byte, and end."""

    dtype: str
    shape: tuple
    start: int
    end: int


class Entries(Mapping):
    """Name → array of a safetensors file, which is read when it is asked for.

    Args:
        data: The bytes of the file, or what gives slices of them.

    Attributes:
        metadata: What the file's `__metadata__` hold, not checked further.
        entries: Name → `Entry`.

    Raises:
        ContainerError: Entries do not fill the file one after another, or are not of
            the sizes that they state.
    """

    def __init__(self, data):
        self.data = data
        length = int.from_bytes(data[:8], "little")
        try:
            header = strict_json.loads(data[8 : 8 + length])
            self.metadata = header.pop("__metadata__", None)
            self.entries = {
                name: _entry(stated, 8 + length) for name, stated in header.items()
            }
        except _WHAT_A_BAD_HEADER_RAISES as error:
            raise ContainerError(f"its header is damaged: {error}") from error
        offset = 8 + length
        for entry in sorted(self.entries.values(), key=lambda entry: entry[2:]):
            if entry.start != offset:
                raise ContainerError(f"an entry begins at {entry.start}, not {offset}")
            offset = entry.end
        if offset != len(data):
            raise ContainerError(f"it has {len(data)} bytes; its header tells {offset}")

    def __getitem__(self, name):
        entry = self.entries[name]
        data = self.data[entry.start : entry.end]
        return np.frombuffer(data, entry.dtype).reshape(entry.shape)

    def __iter__(self):
        return iter(self.entries)

    def __len__(self):
        return len(self.entries)


def _entry(stated, start):
    shape, (begin, end) = stated["shape"], stated["data_offsets"]
    if (
        set(stated) != _KEYS
        # The product of a million sizes would take minutes.
        or len(shape) > MOST_AXES
        or any(type(one) is not int or one < 0 for one in (*shape, begin, end))
    ):
        raise ContainerError(f"not an entry: {stated!r:.200}")
    dtype = _DTYPES.get(stated["dtype"])
    if dtype is None:
        raise ContainerError(f"numpy has no dtype {stated['dtype']!r:.20}")
    if end - begin != np.dtype(dtype).itemsize * math.prod(shape):
        raise ContainerError(f"an entry is of another size: {stated!r:.200}")
    return Entry(dtype, tuple(shape), start + begin, start + end)
