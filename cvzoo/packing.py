"""Tensors ↔ small files: safetensors around streams of values and places.

A file holds named float32 tensors, real or complex (two parts of one shape). Packing is
exact, but for the sign of zeros: what makes a file smaller beyond that, such as
float16, is a change of the model, made by `cvzoo.round_weights`, and found here by
looking at the values. How each tensor is kept stands in `coding`. A complex value is
zero when both parts are, and has one place.

All streams are one entry of the safetensors file, whose metadata state, as JSON,
`format` and, for each tensor by name, `[shape, values, step, places, low bits, coder,
length, coder, length, …]`: the fields of `coding.Coded`, and the lengths of its
streams, which follow each other in the order of the names. Equal tensors give equal
bytes.
"""

import itertools
import json
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from cvzoo import coding, containers, first_format, strict_json
from cvzoo.coding import PackingError

FORMAT = 2
READS = (1, 2)
LARGEST = 2**31
LARGEST_HEADER = 2**21
# Numbers that a file may claim → how many of them for each of its bytes. A small file
# of zeros could otherwise claim gigabytes. At 99.99 % zeros a byte stands for some
# 5000 numbers, at 99 % for some 50.
NUMBERS_PER_BYTE = {2**26: math.inf, 2**29: 2**14, LARGEST: 2**7}
_STREAMS = "streams"
_NO_WEIGHTS_FILE = (
    "Not a packed weights file. Expected one that `cvzoo.save_preset` wrote, whole; "
    "get or save it again"
)
_WHAT_A_BAD_HEADER_RAISES = (AttributeError, LookupError, TypeError, ValueError)


class Spec(NamedTuple):
    """What a reader expects of a tensor: its shape, and 1 or 2 parts."""

    shape: tuple
    parts: int


class Kept(NamedTuple):
    """A `coding.Coded` whose streams are still in the file, and where they end there.

    The first of `ends` is where the first stream begins.
    """

    coded: coding.Coded
    ends: list


class Layout(NamedTuple):
    """How a file keeps a tensor: its shape, and the rest of its entry."""

    shape: tuple
    rest: object


def pack(tensors):
    """Bytes of a weights file.

    Args:
        tensors: Name → float array, or pair of float arrays of one shape.
    """
    entries, streams = {}, []
    for name in sorted(tensors):
        entries[name], coded = _encode(name, tensors[name])
        streams += coded.streams
    header = _header(entries, sum(map(len, streams)))
    data = b"".join([header, *streams])
    sizes = (np.size(part) for value in tensors.values() for part in _parts(value))
    _check_size(sum(sizes), len(data))
    return data


def measure(tensors):
    """Sizes that `pack` comes to, without the file.

    Args:
        tensors: As for `pack`.

    Returns:
        Bytes of the file, and name → bytes of each tensor, its part of the header
        included.
    """
    entries, sizes = {}, {}
    for name in sorted(tensors):
        entries[name], coded = _encode(name, tensors[name])
        sizes[name] = coded.size
    whole = len(_header(entries, sum(sizes.values()))) + sum(sizes.values())
    for name, entry in entries.items():
        # Inside the JSON of the header the entry is a quoted string.
        sizes[name] += len(json.dumps(_compact({name: entry}))) - len('"{}",')
    return whole, sizes


class Reader(Mapping):
    """Name → tensor of a weights file, read and decoded each time it is asked for.

    A tensor is a float32 array, or a pair of them where its spec has two parts.

    Args:
        data: The bytes of the file, or what gives slices of them.
        expected: Name → `Spec`. Shapes come from here, never from the file.

    Raises:
        PackingError: The names, shapes or values are not as expected. Values are looked
            at only when a tensor is asked for.
    """

    def __init__(self, data, expected):
        self._expected = expected
        self._arrays, form, entries = _read_header(data)
        layout = _checked_layout(form, entries, expected, len(data))
        self._codecs = self._coded = None
        if form == 1:
            self._codecs = {name: rest for name, (_, rest) in layout.items()}
            names = first_format.entry_names(self._codecs)
            check_names(names, self._arrays, "weights file")
        else:
            check_names([_STREAMS], self._arrays, "weights file")
            self._coded = _split(layout, self._arrays.entries[_STREAMS])
            self._data = data

    def __getitem__(self, name):
        spec = self._expected[name]
        try:
            values = self._decode(name, spec)
        except PackingError as error:
            message = f"Tensor '{name}' of the weights file: {error}"
            raise PackingError(message) from None
        return tuple(values) if spec.parts == 2 else values[0]

    def __iter__(self):
        return iter(self._expected)

    def __len__(self):
        return len(self._expected)

    def _decode(self, name, spec):
        if self._codecs:
            codec = self._codecs[name]
            return first_format.decode(name, spec, codec, self._arrays)
        coded, ends = self._coded[name]
        data = memoryview(self._data[ends[0] : ends[-1]])
        streams = tuple(
            data[start - ends[0] : end - ends[0]]
            for start, end in itertools.pairwise(ends)
        )
        coded = coded._replace(streams=streams)
        values = coding.decode(coded, spec.parts, math.prod(spec.shape))
        return values.reshape(spec.parts, *spec.shape)


def nonzero(parts):
    """Where any of some arrays of one shape is not zero: a boolean array."""
    first, *others = parts
    found = first != 0
    for part in others:
        found |= part != 0
    return found


def has_zeros(value):
    """Whether all parts of a tensor are zero somewhere."""
    return not nonzero(_parts(value)).all()


def unpack(data, expected):
    """All tensors of a `Reader` at once, as a dictionary."""
    return dict(Reader(data, expected))


def _checked_layout(form, entries, expected, size):
    """Name → `Layout`, of a file of `size` bytes that states what is expected."""
    layout = {name: _layout(name, form, entry) for name, entry in entries.items()}
    check_names(expected, layout, "weights file")
    for name, spec in expected.items():
        if layout[name].shape != tuple(spec.shape):
            raise PackingError(
                f"Tensor '{name}' of the weights file: expected shape "
                f"{tuple(spec.shape)}, found {layout[name].shape}"
            )
    sizes = (spec.parts * math.prod(spec.shape) for spec in expected.values())
    _check_size(sum(sizes), size)
    return layout


def _check_size(numbers, size):
    if numbers > LARGEST:
        raise PackingError(f"The weights are more than {LARGEST} numbers: {numbers}.")
    most = next(most for top, most in NUMBERS_PER_BYTE.items() if numbers <= top)
    if numbers > most * size:
        raise PackingError(
            f"The weights are {numbers} numbers in {size} bytes, so nearly all are "
            f"zero. Expected at most {most} for each byte. Save the result of "
            "`cvzoo.shrink`, which leaves out what is dead."
        )


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


def _encode(name, value):
    """Entry of the header, and `coding.Coded`, of a tensor."""
    parts = [np.asarray(part, np.float32) for part in _parts(value)]
    if not all(np.isfinite(part).all() for part in parts):
        raise PackingError(f"Tensor '{name}' has values that are NaN or infinite.")
    # Of one part no copy is made: large dense models would need it.
    stacked = np.stack(parts) if len(parts) > 1 else parts[0][None]
    coded = coding.encode(stacked.reshape(len(parts), -1))
    lengths = [len(stream) for stream in coded.streams]
    streams = [n for pair in zip(coded.coders, lengths, strict=True) for n in pair]
    return [list(stacked.shape[1:]), *coded[:4], *streams], coded


def _parts(value):
    return value if isinstance(value, tuple) else (value,)


def _compact(data):
    return json.dumps(data, separators=(",", ":"))


def _header(entries, size):
    """What comes before the streams in a safetensors file."""
    streams = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    metadata = {"cvzoo": _compact({"format": FORMAT, "tensors": entries})}
    header = _compact({"__metadata__": metadata, _STREAMS: streams}).encode()
    header += b" " * (-len(header) % 8)
    _check_header(len(header))
    return len(header).to_bytes(8, "little") + header


def _read_header(data):
    """Arrays of a file, its format, and its entry for each tensor, not checked yet."""
    _check_header(int.from_bytes(data[:8], "little"))
    try:
        arrays = containers.Entries(data)
        stated = strict_json.loads(arrays.metadata["cvzoo"])
        keys, form, entries = sorted(stated), stated["format"], stated["tensors"]
    except containers.ContainerError as error:
        raise PackingError(f"{_NO_WEIGHTS_FILE}: {error}") from error
    except _WHAT_A_BAD_HEADER_RAISES as error:
        raise PackingError(f"{_NO_WEIGHTS_FILE}: {error!r}") from error
    if (
        keys != ["format", "tensors"]
        or list(arrays.metadata) != ["cvzoo"]
        or type(entries) is not dict
    ):
        raise PackingError(
            f"{_NO_WEIGHTS_FILE}: its header has {keys!r:.200} and "
            f"{sorted(arrays.metadata)!r:.200}"
        )
    if type(form) is not int or form not in READS:
        raise PackingError(
            f"The weights file has format {form!r:.100}; this version reads "
            f"{' and '.join(map(str, READS))}."
        )
    return arrays, form, entries


def _check_header(length):
    if length > LARGEST_HEADER:
        raise PackingError(
            f"The header of the weights file has {length} bytes; at most "
            f"{LARGEST_HEADER} are read."
        )


def _layout(name, form, entry):
    kind = dict if form == 1 else list
    keys = entry.keys() if isinstance(entry, dict) else {"shape", "codec"}
    shape = None
    if isinstance(entry, kind) and entry and keys == {"shape", "codec"}:
        shape = entry["shape"] if form == 1 else entry[0]
    if not isinstance(shape, list) or any(type(size) is not int for size in shape):
        raise PackingError(
            f"Tensor '{name}' of the weights file has no shape: {entry!r:.200}"
        )
    return Layout(tuple(shape), entry["codec"] if form == 1 else entry[1:])


def _split(layout, streams):
    """Name → `Kept`, whose streams fill an entry of the file."""
    if streams.dtype != "|u1" or len(streams.shape) != 1:
        raise PackingError(f"Expected streams of bytes, found {streams.dtype}.")
    offset, found = streams.start, {}
    for name in sorted(layout):
        values, places, numbers = _checked_entry(name, layout[name].rest)
        step, low, *rest = numbers
        ends = list(itertools.accumulate(rest[1::2], initial=offset))
        coded = coding.Coded(values, step, places, low, tuple(rest[::2]), ())
        found[name] = Kept(coded, ends)
        offset = ends[-1]
    if offset != streams.end:
        raise PackingError(
            f"The streams have {streams.end - streams.start} bytes; the weights file "
            f"states {offset - streams.start}."
        )
    return found


def _checked_entry(name, rest):
    try:
        values, step, places, low, *streams = rest
    except ValueError:
        values, step, places, low, streams = None, 0, None, 0, [0]
    numbers = [step, low, *streams]
    if (
        not (isinstance(values, str) and isinstance(places, str))
        or any(type(number) is not int or abs(number) > 2**48 for number in numbers)
        or any(length < 0 for length in streams)
        or len(streams) % 2
        or len(streams) > 20
    ):
        raise PackingError(
            f"Tensor '{name}' of the weights file has a damaged entry: {rest!r:.200}"
        )
    return values, places, numbers
