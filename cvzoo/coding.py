"""Numbers ↔ few bytes, exactly: the values of a tensor, and where they are.

A tensor is a list of values and their places. Values are `float32`, `float16` where
that is exact, or `integers`: whole multiples of a power of two. Places are `all`, or
those of non-zero values only: a `bitmask`, or the `gaps` between them. Each is a few
streams of bytes, kept as they are or entropy coded, and everything is chosen by the
size that it comes to.

Streams are coded by Deflate, or by LZMA without context (`lc=0, pb=0`), whose range
coder then adapts to bytes that do not depend on each other. A reader knows the length
of each stream before it is expanded; nothing in a file decides how much memory is used.
"""

import lzma
import zlib
from typing import NamedTuple

import numpy as np

# Name of a kind of values → dtypes of its streams.
VALUES = {"float32": "<f4", "float16": "<f2", "integers": "|u1", "long integers": "<u2"}
PLACES = ("all", "bitmask", "gaps")
RAW, DEFLATE, LZMA = range(3)
_FILTERS = [
    {"id": lzma.FILTER_LZMA2, "lc": 0, "lp": 0, "pb": 0, "dict_size": 2**16},
]
_ESCAPE = 255
_MOST_LOW_BITS = 24
_BLOCK = 2**16
_STEPS = range(-149, 128)

# Of longer streams, the coder is chosen by a sample.
_LONG, _SAMPLE = 2**17, 2**15
# Of floats without zeros there is little to gain for the time that it takes.
_MOST_DENSE_FLOATS = 2**16
_HEAD = 256


class PackingError(ValueError):
    """A file that is damaged, or does not hold what was expected."""


class Coded(NamedTuple):
    """A tensor as bytes.

    Attributes:
        values: A key of `VALUES`.
        step: Exponent of the power of two that integers are multiples of.
        places: One of `PLACES`.
        low: Bits of each gap that are kept apart.
        coders: `RAW`, `DEFLATE` or `LZMA` of each stream.
        streams: Bytes-like objects; those of the places come first.
    """

    values: str
    step: int
    places: str
    low: int
    coders: tuple
    streams: tuple

    @property
    def size(self):
        return sum(len(stream) for stream in self.streams)


def encode(flat):
    """The smallest `Coded` of float32 values `(parts, size)`.

    A place holds zero if all parts do.
    """
    size = flat.shape[1]
    is_nonzero = (flat != 0).any(axis=0)
    count = int(np.count_nonzero(is_nonzero))
    # Elsewhere zeros among the values cost more than places do.
    with_zeros = size <= 2**10 or 4 * count >= size
    found = []
    if with_zeros:
        found.append(_coded(("all", 0, []), _smallest_values(flat, dense=True)))
    if count < size:
        values = _smallest_values(flat[:, is_nonzero], dense=False)
        found += [
            _coded(places, values) for places in _encode_places(is_nonzero, count)
        ]
    return min(found, key=lambda coded: coded.size)


def decode(coded, parts, size):
    """float32 `(parts, size)` from a `Coded` of a file.

    Raises:
        PackingError: The bytes are not those of such a tensor.
    """
    if coded.values not in VALUES or coded.places not in PLACES:
        raise PackingError(
            f"expected values of a kind of {tuple(VALUES)} and places of one of "
            f"{PLACES}, found {coded.values!r} and {coded.places!r}"
        )
    if coded.step not in _STEPS or coded.low not in range(_MOST_LOW_BITS + 1):
        raise PackingError(f"step {coded.step} or low bits {coded.low} out of range")
    if (coded.step and "integers" not in coded.values) or (
        coded.low and coded.places != "gaps"
    ):
        raise PackingError(
            f"{coded.values} at {coded.places} places have no step {coded.step} and "
            f"low bits {coded.low}"
        )
    streams = list(zip(coded.coders, coded.streams, strict=True))
    split = {"all": 0, "bitmask": 1, "gaps": 1 + (coded.low > 0)}[coded.places]
    is_place = _decode_places(coded, streams[:split], size)
    count = size if is_place is None else int(np.count_nonzero(is_place))
    values = _decode_values(coded, streams[split:], parts * count)
    values = values.reshape(parts, count)
    if not np.isfinite(values).all():
        raise PackingError("expected finite values, found NaN or infinity")
    if is_place is None:
        return values
    dense = np.zeros((parts, size), np.float32)
    for part, row in zip(dense, values, strict=True):
        part[is_place] = row
    return dense


def _coded(places, values):
    kind, low, place_streams = places
    name, step, value_streams = values
    coders, streams = zip(*place_streams, *value_streams, strict=True)
    return Coded(name, step, kind, low, coders, streams)


def _total(streams):
    return sum(len(stream) for _, stream in streams)


# Values


def as_stored(values):
    """The narrowest kind of `VALUES` that holds some float32 values exactly.

    Returns:
        Its name, the exponent of the power of two that integers are multiples of, and
        the values as stored, of the dtype that `VALUES` states.
    """
    values = np.asarray(values, np.float32).reshape(-1)
    integers, step = _as_integers(values)
    if integers is not None:
        return _name_of(integers), step, integers
    half = _as_halves(values)
    if half is not None:
        return "float16", 0, half
    return "float32", 0, values.astype("<f4", copy=False)


def _name_of(integers):
    return "integers" if integers.dtype == np.uint8 else "long integers"


def _smallest_values(values, dense):
    """`(kind, step, streams)` of some float32 values."""
    values = values.reshape(-1)
    choices = []
    integers, step = _as_integers(values)
    if integers is not None:
        choices.append((_name_of(integers), step, _smallest_streams(integers)))
    else:
        # Of many floats without zeros only the kind is chosen.
        is_long = dense and values.size > _MOST_DENSE_FLOATS
        encode_floats = _plain if is_long else _smallest_streams
        choices.append(("float32", 0, encode_floats(values.astype("<f4", copy=False))))
    half = _as_halves(values)
    if half is not None:
        choices.append(("float16", 0, _smallest_streams(half)))
    return min(choices, key=lambda choice: _total(choice[2]))


def _as_halves(values):
    def exactly(some):
        with np.errstate(over="ignore"):
            half = some.astype("<f2")
        return half if np.array_equal(half.astype(np.float32), some) else None

    return None if exactly(values[:_HEAD]) is None else exactly(values)


def _as_integers(values):
    """Multiples of the largest common power of two, and its exponent; or `None`s.

    Signs alternate: 0, -1, 1, -2, 2 … are 0, 1, 2, 3, 4 …
    """
    largest = np.abs(values).max(initial=0)
    if largest == 0:
        return np.zeros(values.size, np.uint8), 0
    for some in (values[:_HEAD], values):
        step = _common_exponent(some)
        if step is not None and largest >= np.ldexp(1.0, step + 15):
            return None, None
    whole = np.ldexp(values, -step).astype(np.int32)
    zigzag = np.where(whole >= 0, 2 * whole, -2 * whole - 1)
    is_short = zigzag.max() < 256
    return zigzag.astype("|u1" if is_short else "<u2"), step


def _common_exponent(values):
    values = values[values != 0]
    if not values.size:
        return None
    mantissa, exponent = np.frexp(values)
    whole = np.ldexp(mantissa, 24).astype(np.int32)
    _, above_lowest = np.frexp((whole & -whole).astype(np.float32))
    return int((exponent - 25 + above_lowest).min())


def _decode_values(coded, streams, count):
    dtype = np.dtype(VALUES[coded.values])
    if len(streams) not in (1, dtype.itemsize):
        raise PackingError(f"{len(streams)} streams of {coded.values} values")
    width = dtype.itemsize // len(streams)
    if len(streams) == 1:
        values = np.frombuffer(_expand_exactly(*streams[0], width * count), dtype)
    else:
        # Plane after plane: all of them at once would take the memory once more.
        table = np.empty((count, dtype.itemsize), np.uint8)
        for place, stream in enumerate(streams):
            plane = _expand_exactly(*stream, width * count)
            table[:, place] = np.frombuffer(plane, np.uint8)
        values = table.reshape(-1).view(dtype)
    if coded.values.startswith("float"):
        return values.astype(np.float32, copy=False)
    whole = (values >> 1).astype(np.float32)
    is_odd = values & 1 == 1
    np.negative(whole, out=whole, where=is_odd)
    np.subtract(whole, 1, out=whole, where=is_odd)
    with np.errstate(over="ignore"):
        return np.ldexp(whole, coded.step, out=whole)


# Places


def _encode_places(is_nonzero, count):
    """`(kind, low, streams)` of each way to keep the places."""
    yield "bitmask", 0, [_smallest(np.packbits(is_nonzero))]
    if 2 * count > is_nonzero.size:
        return
    gaps = np.diff(np.flatnonzero(is_nonzero), prepend=-1) - 1
    # Low bits of long gaps are as good as random; the rest is then below 64 or so.
    mean = is_nonzero.size / max(1, count)
    low = int(np.clip(np.log2(mean) - 5, 0, _MOST_LOW_BITS))
    for bits in {0, low}:
        yield "gaps", bits, _gap_streams(gaps, bits)


def _gap_streams(gaps, low):
    escapes, rest = np.divmod(gaps >> low, _ESCAPE)
    ends = np.cumsum(escapes + 1) - 1
    high = np.full(ends[-1] + 1 if len(ends) else 0, _ESCAPE, np.uint8)
    high[ends] = rest
    if not low:
        return [_smallest(high)]
    bits = [np.packbits((gaps >> bit & 1).astype(bool)) for bit in range(low)]
    return [_smallest(high), _smallest(np.concatenate(bits))]


def _decode_places(coded, streams, size):
    """Whether there is a value at each place, or `None`: there is one at all of them.

    Numbers of places would take eight times as many bytes.
    """
    if coded.places == "all":
        return None
    if len(streams) < 1 + (coded.places == "gaps" and coded.low > 0):
        raise PackingError("streams of the places are missing")
    if coded.places == "gaps":
        return _decode_gaps(streams, coded.low, size)
    bitmask = _expand_exactly(*streams[0], (size + 7) // 8)
    bits = np.unpackbits(np.frombuffer(bitmask, np.uint8)).view(bool)
    if bits[size:].any():
        raise PackingError(f"a place is beyond the {size} there are")
    return bits[:size]


def _decode_gaps(streams, low, size):
    # Each byte stands for at least one place.
    high = np.frombuffer(_expand(*streams[0], size), np.uint8)
    if len(high) and high[-1] == _ESCAPE:
        raise PackingError("the places end in the middle of a number")
    if int(np.sum(high, dtype=np.int64)) << low > size:
        raise PackingError(f"a place is beyond the {size} there are")
    row = (int(np.count_nonzero(high != _ESCAPE)) + 7) // 8
    data = _expand_exactly(*streams[1], low * row) if low else b""
    bits = np.frombuffer(data, np.uint8).reshape(low, row)
    is_place = np.zeros(size, bool)
    # In blocks: sums of 64 bits of all places would take many times the tensor.
    count, sum_high, sum_low = 0, 0, 0
    for start in range(0, len(high), _BLOCK):
        block = high[start : start + _BLOCK]
        highs = sum_high + np.cumsum(block, dtype=np.int64)
        places = highs[block != _ESCAPE] << low
        lows = sum_low + np.cumsum(_low_bits(bits, count, len(places)))
        places += lows + np.arange(count, count + len(places))
        if len(places) and places[-1] >= size:
            raise PackingError(f"a place is {places[-1]}, beyond the {size} there are")
        is_place[places] = True
        count, sum_high = count + len(places), highs[-1]
        sum_low = lows[-1] if len(lows) else sum_low
    return is_place


def _low_bits(bits, start, count):
    """Low bits of some gaps, from rows of packed bits, the lowest first."""
    found = np.zeros(count, np.int64)
    for bit, row in enumerate(bits):
        some = np.unpackbits(row[start // 8 : (start + count + 7) // 8])
        found += some[start % 8 :][:count].astype(np.int64) << bit
    return found


# Streams


def _plain(array):
    return [(RAW, memoryview(np.ascontiguousarray(array)).cast("B"))]


def _smallest_streams(array):
    """The bytes of an array as they are, or one stream for each byte of a number."""
    plain = _smallest(array) if array.dtype.itemsize == 1 else _plain(array)[0]
    if array.dtype.itemsize == 1 or not array.size:
        return [plain]
    table = np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)
    planes = [_smallest(np.ascontiguousarray(plane)) for plane in table.T]
    return planes if _total(planes) < len(plain[1]) else [plain]


def _smallest(array):
    """`(coder, bytes)` of a byte array."""
    ((_, data),) = _plain(array)
    if not _is_worth_coding(array):
        return RAW, data
    encoders = _ENCODERS
    if len(data) > _LONG:
        # One coder takes seconds for what they all would take a minute for.
        start = (len(data) - _SAMPLE) // 2
        sample = data[start : start + _SAMPLE]
        encoders = [min(encoders, key=lambda one: len(one[1](sample)))]
    found = [(RAW, data), *((coder, encode(data)) for coder, encode in encoders)]
    return min(found, key=lambda stream: len(stream[1]))


def _is_worth_coding(array):
    """Whether some bytes are more frequent; of few bytes that is not known."""
    if array.size < 2**14:
        return array.size > 0
    shares = np.bincount(array, minlength=256) / array.size
    shares = shares[shares > 0]
    return -np.sum(shares * np.log2(shares)) < 7.9


def _huffman(data):
    coder = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_HUFFMAN_ONLY)
    return coder.compress(data) + coder.flush()


def _deflate(data):
    coder = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
    return coder.compress(data) + coder.flush()


def _lzma(data):
    return lzma.compress(data, lzma.FORMAT_RAW, filters=_FILTERS)


_ENCODERS = [(DEFLATE, _huffman), (DEFLATE, _deflate), (LZMA, _lzma)]


def _expand_exactly(coder, data, length):
    expanded = _expand(coder, data, length)
    if len(expanded) != length:
        raise PackingError(f"a stream has {len(expanded)} bytes, {length} expected")
    return expanded


def _expand(coder, data, limit):
    """The bytes of a stream, at most `limit`."""
    if coder == RAW:
        expanded, is_whole = data, True
    else:
        expanded, is_whole = _decompress(coder, data, limit + 1)
    if len(expanded) > limit:
        raise PackingError(f"a stream has more than the {limit} bytes expected")
    if not is_whole:
        raise PackingError("a stream is cut off, or has bytes behind its end")
    return expanded


def _decompress(coder, data, limit):
    try:
        if coder == DEFLATE:
            decoder = zlib.decompressobj(-15)
        elif coder == LZMA:
            decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS)
        else:
            raise PackingError(f"expected a coder of {(RAW, DEFLATE, LZMA)}: {coder!r}")
        expanded = decoder.decompress(data, limit)
    except (zlib.error, lzma.LZMAError, EOFError) as error:
        raise PackingError(f"a stream is damaged: {error}") from error
    return expanded, decoder.eof and not decoder.unused_data
