"""Weights files whose headers or streams were made by hand."""

import json
import lzma
import zlib

import numpy as np

from cvzoo import catalogue, coding
from tests.hostile import bases
from tests.hostile.json_text import changed, dumps, raw, twice, without

_BOMB = bytes(2**20)


def changes():
    """`(name, kind, base, function of the file's bytes)` of each."""
    yield from _lengths()
    yield from _headers()
    yield from _stated()
    yield from _entries()
    yield from _streams()
    yield from _first_format()


def split(data):
    """The header as JSON data, and what comes after it."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def joined(header, body):
    header = header if isinstance(header, bytes) else dumps(header)
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + body


def with_header(change):
    def apply(data):
        header, body = split(data)
        return joined(change(header), body)

    return apply


def with_stated(change):
    """Of what our own metadata state, which is JSON inside the header."""

    def apply(header):
        stated = change(json.loads(header["__metadata__"]["cvzoo"]))
        text = stated if isinstance(stated, str) else dumps(stated).decode()
        return {**header, "__metadata__": {"cvzoo": text}}

    return with_header(apply)


def with_entry(name, change):
    return with_stated(
        lambda stated: changed(
            stated, ("tensors", name), change(stated["tensors"][name])
        )
    )


def _lengths():
    def stated(length):
        return lambda data: length.to_bytes(8, "little") + data[8:]

    for length in (0, 1, 2, 7, 10**4, 2**20, 2**21 + 8, 2**32, 2**63, 2**64 - 1):
        yield f"header of {length} bytes", "header length", "sparse", stated(length)
    for what, change in {
        "no bytes": lambda data: b"",
        "seven bytes": lambda data: data[:7],
        "only the length": lambda data: data[:8],
        "only the header": lambda data: joined(split(data)[0], b""),
        "only streams": lambda data: split(data)[1],
        "a byte after the streams": lambda data: data + b"\0",
        "a byte less": lambda data: data[:-1],
        "the file twice": lambda data: data * 2,
        "a ZIP file": lambda data: b"PK\3\4" + data,
        "an HDF5 file": lambda data: b"\x89HDF\r\n\x1a\n" + data,
        "a pickle": lambda data: b"\x80\x04cos\nsystem\n." + data,
        "a header of 2 MiB of lists": lambda data: joined(
            b"[" + b"[]," * 6 * 10**5 + b"0]", split(data)[1]
        ),
        "nested lists": lambda data: joined(b"[" * 10**5, split(data)[1]),
        "a header that is a list": lambda data: joined([], split(data)[1]),
        "a header that is a text": lambda data: joined(b'"streams"', split(data)[1]),
        "a byte order mark": lambda data: joined(
            b"\xef\xbb\xbf" + dumps(split(data)[0]), split(data)[1]
        ),
        "UTF-16": lambda data: joined(
            dumps(split(data)[0]).decode().encode("utf-16"), split(data)[1]
        ),
        "NaN": lambda data: joined({**split(data)[0], "x": raw("NaN")}, b""),
        "1e400": lambda data: joined({**split(data)[0], "x": raw("1e400")}, b""),
    }.items():
        yield what, "header", "sparse", change


def _headers():
    streams = ("streams",)
    sizes = ("streams", "data_offsets")

    def put(path, value):
        return with_header(lambda header: changed(header, path, value))

    def moved(start, end):
        def apply(header):
            _, size = header["streams"]["data_offsets"]
            return changed(header, sizes, [start, size + end])

        return with_header(apply)

    def other_size(change):
        def apply(header):
            (size,) = header["streams"]["shape"]
            return changed(header, ("streams", "shape"), change(size))

        return with_header(apply)

    def half(first, second):
        """Two entries of the file, from and to these shares of the bytes."""

        def apply(header):
            _, size = header["streams"]["data_offsets"]
            ends = [[int(share * size) for share in one] for one in (first, second)]
            entries = {
                name: {
                    "dtype": "U8",
                    "shape": [end - start],
                    "data_offsets": [start, end],
                }
                for name, (start, end) in zip(("streams", "x"), ends, strict=True)
            }
            return {**header, **entries}

        return with_header(apply)

    found = {
        "streams that begin later": moved(1, 0),
        "streams that end earlier": moved(0, -1),
        "streams that end later": moved(0, 1),
        "streams that end far away": moved(0, 2**40),
        "streams of negative offset": moved(-1, 0),
        "streams that end before they begin": put(sizes, [10, 0]),
        "offsets of text": put(sizes, ["0", "10"]),
        "offsets that are true": put(sizes, [False, True]),
        "one offset": put(sizes, [0]),
        "float offsets": put(sizes, [0.0, 10.0]),
        "no offsets": with_header(lambda h: without(h, sizes)),
        "a size more": other_size(lambda size: [size + 1]),
        "a negative size": other_size(lambda size: [-size]),
        "two axes": other_size(lambda size: [1, size]),
        "no axes": other_size(lambda size: []),
        "huge axes": other_size(lambda size: [2**40, 2**40]),
        "axes that overflow": other_size(lambda size: [2**32, 2**32, size]),
        "another key of streams": put(("streams", "codec"), "raw"),
        "no streams": with_header(lambda h: without(h, streams)),
        "streams stated twice": with_header(
            lambda h: {**h, twice("streams"): h["streams"]}
        ),
        "metadata twice": with_header(
            lambda h: {twice("__metadata__"): {"cvzoo": "{}"}, **h}
        ),
        "our metadata twice": with_header(
            lambda h: {
                **h,
                "__metadata__": {**h["__metadata__"], twice("cvzoo"): "{}"},
            }
        ),
        "offsets twice": with_header(
            lambda h: changed(h, ("streams", twice("data_offsets")), [0, 1])
        ),
        "no metadata": with_header(lambda h: without(h, ("__metadata__",))),
        "other metadata": put(("__metadata__", "format"), "pt"),
        "metadata of a number": put(("__metadata__", "cvzoo"), 3),
        "metadata of data": put(("__metadata__", "cvzoo"), {"format": 2}),
        "metadata of a list": put(("__metadata__",), ["cvzoo"]),
        "half a pair of surrogates": put(("__metadata__", "cvzoo"), raw('"\\ud800"')),
        "entries that overlap": half((0, 1), (0.5, 1)),
        "entries that are equal": half((0, 1), (0, 1)),
        "entries with a hole between": half((0, 0.4), (0.6, 1)),
        "an entry more": half((0, 0.5), (0.5, 1)),
        "an empty entry more": half((0, 1), (1, 1)),
    }
    for what, change in found.items():
        for base in ("sparse", "gaps"):
            yield f"{base}, {what}", "entries of the file", base, change
    for dtype in ("I8", "BOOL", "F32", "BF16", "F8_E4M3", "X", "U16", "", 3, None):
        change = put(("streams", "dtype"), dtype)
        yield f"streams of {dtype!r}", "entries of the file", "sparse", change


def _stated():
    """What our metadata state, but for the entries of tensors."""

    def put(*path_and_value):
        *path, value = path_and_value
        return with_stated(lambda stated: changed(stated, tuple(path), value))

    found = {
        **{
            f"format {form!r}": put("format", form)
            for form in (0, 1, 3, -1, "2", True, 2.0, None, [2], {"2": 2})
        },
        "no format": with_stated(lambda s: without(s, ("format",))),
        "no tensors": with_stated(lambda s: without(s, ("tensors",))),
        "a key more": put("code", "import os"),
        "tensors as pairs": with_stated(
            lambda s: {**s, "tensors": [list(item) for item in s["tensors"].items()]}
        ),
        "tensors as text": put("tensors", "x"),
        "no tensor": put("tensors", {}),
        "a tensor less": with_stated(lambda s: without(s, ("tensors", "hidden/bias"))),
        "a tensor more": put("tensors", "x", [[1], "float32", 0, "all", 0, 0, 4]),
        "a tensor twice": with_stated(
            lambda s: changed(s, ("tensors", twice("hidden/bias")), [[1]])
        ),
        "tensors twice": with_stated(lambda s: {**s, twice("tensors"): {}}),
        "a tensor of another name": with_stated(
            lambda s: changed(
                without(s, ("tensors", "hidden/bias")),
                ("tensors", "hidden/../hidden/bias"),
                s["tensors"]["hidden/bias"],
            )
        ),
        "nested lists": with_stated(lambda s: "[" * 10**5),
        "many lists": with_stated(lambda s: "[" + "[]," * 3 * 10**5 + "0]"),
        "no JSON": with_stated(lambda s: "format: 2"),
        "a list": with_stated(lambda s: [2]),
        "a number": with_stated(lambda s: 2),
        "1e400": put("format", raw("1e400")),
        "5000 digits": put("format", raw("9" * 5000)),
        "NaN": put("format", raw("NaN")),
    }
    for what, change in found.items():
        yield f"stated: {what}", "stated in the header", "sparse", change


def _entries():
    """Fields of the entry of one tensor, in each base of format 2."""
    for base in ("sparse", "gaps", "integers", "convolution"):
        files = bases.presets()[base]
        stated = json.loads(
            split(files[catalogue.WEIGHTS])[0]["__metadata__"]["cvzoo"]
        )["tensors"]
        for name, entry in sorted(stated.items())[:2]:
            size, values, _, places, _, *streams = entry
            width = coding.VALUES[values][2]
            fields = {
                0: (
                    *([], [*size, 1], size[::-1] * 2, [2**31] * 2, [-1], "ab", 3, None),
                    *([float(one) for one in size], [[1]], {"0": 1}, [2**62] * 17),
                ),
                1: (
                    *("zip", "", None, 3, ["float32"], "float64", "FLOAT32"),
                    *(k for k, dtype in coding.VALUES.items() if dtype[2] != width),
                ),
                2: (
                    *([1, -3] if "float" in values else []),
                    -150,
                    128,
                    10**6,
                    0.5,
                    "0",
                    None,
                    True,
                    [0],
                    2**50,
                ),
                3: ("some", "", None, 3, ["all"], "ALL"),
                4: (
                    *([1, 24] if places != "gaps" else []),
                    -1,
                    25,
                    64,
                    0.5,
                    "0",
                    None,
                    False,
                    2**50,
                ),
                5: (3, -1, 2**20, "0", None, 0.0, True),
                6: (streams[1] + 1, -1, 2**40, 2**60, "9", None, 1.0, streams[1] - 1),
            }
            for at, given in fields.items():
                for value in given:
                    yield (
                        f"{base}, {name}: field {at} is {value!r:.40}",
                        *("entry of a tensor", base),
                        with_entry(name, _put(at, value)),
                    )
            wholes = {
                "cut": lambda e: e[:3],
                "empty": lambda e: [],
                "a text": lambda e: "entry",
                "a dictionary": lambda e: {"shape": e[0], "codec": e[1]},
                "with a number more": lambda e: [*e, 0],
                "with a stream more": lambda e: [*e, 0, 0],
                "with many streams": lambda e: [*e, *[0, 0] * 20],
                "without its last stream": lambda e: e[:-2],
                "with a stream of more, then of less": lambda e: [
                    *e[:5],
                    *(0, e[6] + 8),
                    *e[7:],
                    *(0, -8),
                ],
            }
            for what, change in wholes.items():
                yield (
                    f"{base}, {name}: {what}",
                    *("entry of a tensor", base),
                    with_entry(name, change),
                )


def _put(at, value):
    return lambda entry: [*entry[:at], value, *entry[at + 1 :]]


def with_tensor(name, settings, streams):
    """Function of a file that keeps one tensor otherwise: coders and their bytes."""

    def change(data):
        header, body = split(data)
        stated = json.loads(header["__metadata__"]["cvzoo"])
        parts, offset = [], 0
        for other, entry in sorted(stated["tensors"].items()):
            size = sum(entry[6::2])
            parts.append(body[offset : offset + size])
            if other == name:
                parts[-1] = b"".join(stream for _, stream in streams)
                numbers = [n for coder, one in streams for n in (coder, len(one))]
                stated["tensors"][name] = [entry[0], *settings, *numbers]
            offset += size
        body = b"".join(parts)
        whole = {"dtype": "U8", "shape": [len(body)], "data_offsets": [0, len(body)]}
        metadata = {"cvzoo": json.dumps(stated)}
        return joined({"__metadata__": metadata, "streams": whole}, body)

    return change


def deflated(data):
    coder = zlib.compressobj(9, zlib.DEFLATED, -15)
    return coder.compress(data) + coder.flush()


def as_lzma(data):
    return lzma.compress(data, lzma.FORMAT_RAW, filters=coding._FILTERS)


def _streams():
    """Streams of a real kernel of (40, 60) and one of 3 biases."""
    raw_, deflate, coder = coding.RAW, coding.DEFLATE, coding.LZMA
    size = 40 * 60
    ones = np.ones(size, np.float32)
    bits = bytes(size // 8)

    def floats(dtype, value):
        some = ones.astype(dtype)
        some[7] = value
        return some.tobytes()

    every, mask, gaps = (["integers", 0, kind, 0] for kind in coding.PLACES)
    whole = ["float32", 0, "all", 0]
    half = ["float16", 0, "all", 0]
    long = ["long integers", 0, "all", 0]
    found = {
        "too few bytes": (every, [(raw_, bytes(size - 1))]),
        "too many bytes": (every, [(raw_, bytes(size + 1))]),
        "a bomb": (every, [(deflate, deflated(_BOMB))]),
        "a bomb of LZMA": (every, [(coder, as_lzma(_BOMB))]),
        "a bomb in a bomb": (every, [(deflate, deflated(deflated(_BOMB)))]),
        "too few bytes, deflated": (every, [(deflate, deflated(bytes(9)))]),
        "cut": (every, [(deflate, deflated(bytes(size))[:-1])]),
        "cut LZMA": (every, [(coder, as_lzma(bytes(size))[:-1])]),
        "bytes behind": (every, [(deflate, deflated(bytes(size)) + b"1")]),
        "bytes behind LZMA": (every, [(coder, as_lzma(bytes(size)) + b"1")]),
        "noise": (every, [(deflate, b"\xff" * 99)]),
        "noise for LZMA": (every, [(coder, b"\xff" * 99)]),
        "a zlib header": (every, [(deflate, zlib.compress(bytes(size)))]),
        "an XZ file": (every, [(coder, lzma.compress(bytes(size)))]),
        "another coder": (every, [(3, bytes(size))]),
        "a negative coder": (every, [(-1, bytes(size))]),
        "two streams of bytes": (every, [(raw_, bytes(size))] * 2),
        "no streams": (every, []),
        "three streams of halves": (half, [(raw_, bytes(size))] * 3),
        "three streams of floats": (whole, [(raw_, bytes(size))] * 3),
        "one stream of four": (whole, [(raw_, bytes(size))]),
        "a short plane": (half, [(raw_, bytes(size)), (raw_, bytes(size - 1))]),
        "a long plane": (half, [(raw_, bytes(size)), (deflate, deflated(_BOMB))]),
        "NaN": (whole, [(raw_, floats("<f4", np.nan))]),
        "infinity": (whole, [(raw_, floats("<f4", np.inf))]),
        "minus infinity": (whole, [(raw_, floats("<f4", -np.inf))]),
        "NaN as half": (half, [(raw_, floats("<f2", np.nan))]),
        "infinity as half": (half, [(raw_, floats("<f2", np.inf))]),
        "all bits set": (whole, [(raw_, b"\xff" * 4 * size)]),
        "integers too large": (
            ["integers", 127, "all", 0],
            [(raw_, bytes([255]) * size)],
        ),
        "long integers too large": (
            ["long integers", 115, "all", 0],
            [(raw_, b"\xff\xff" * size)],
        ),
        "long integers of one byte": (long, [(raw_, bytes(size))]),
        "a bitmask too short": (mask, [(raw_, bits[:-1]), (raw_, b"")]),
        "a bitmask too long": (mask, [(raw_, bits + b"\0"), (raw_, b"")]),
        "a bitmask of a bomb": (mask, [(deflate, deflated(_BOMB)), (raw_, b"")]),
        "more bits than values": (
            mask,
            [(raw_, b"\xff" * (size // 8)), (raw_, bytes(size - 1))],
        ),
        "fewer bits than values": (mask, [(raw_, bits), (raw_, b"1")]),
        "no bitmask": (mask, []),
        "no values": (mask, [(raw_, b"\xff" * (size // 8))]),
        "a gap beyond": (gaps, [(raw_, b"\xfe" * 10), (raw_, bytes(10))]),
        "a gap far beyond": (gaps, [(raw_, b"\xff" * 99 + b"\0"), (raw_, b"1")]),
        "gaps that end in the middle": (gaps, [(raw_, b"\xff"), (raw_, b"")]),
        "gaps of a bomb": (gaps, [(deflate, deflated(_BOMB)), (raw_, b"")]),
        "gaps past the end by one": (
            gaps,
            [(raw_, b"\xff" * 9 + bytes([size - 9 * 255, 0])), (raw_, b"12")],
        ),
        "more gaps than values": (gaps, [(raw_, bytes(9)), (raw_, bytes(8))]),
        "fewer gaps than values": (gaps, [(raw_, bytes(8)), (raw_, bytes(9))]),
        "no gaps": (gaps, []),
        "low bits that are missing": (
            ["integers", 0, "gaps", 2],
            [(raw_, b"\0")],
        ),
        "low bits too short": (
            ["integers", 0, "gaps", 2],
            [(raw_, b"\0"), (raw_, b"1"), (raw_, b"1")],
        ),
        "low bits too long": (
            ["integers", 0, "gaps", 2],
            [(raw_, b"\0"), (raw_, b"123"), (raw_, b"1")],
        ),
        "low bits of a bomb": (
            ["integers", 0, "gaps", 2],
            [(raw_, b"\0"), (deflate, deflated(_BOMB)), (raw_, b"1")],
        ),
        "low bits beyond": (
            ["integers", 0, "gaps", 24],
            [(raw_, b"\0"), (raw_, b"\xff" * 24), (raw_, b"1")],
        ),
        "high bits beyond": (
            ["integers", 0, "gaps", 24],
            [(raw_, b"\1"), (raw_, bytes(24)), (raw_, b"1")],
        ),
        "low bits of a bitmask": (
            ["integers", 0, "bitmask", 3],
            [(raw_, bits), (raw_, b"1"), (raw_, b"")],
        ),
    }
    for what, (settings, streams) in found.items():
        yield (
            f"streams: {what}",
            *("streams", "gaps"),
            with_tensor("wide/kernel", settings, streams),
        )
    one = np.float32([1]).tobytes()
    small = {
        "a bit past the last": (mask, [(raw_, b"\x08"), (raw_, b"1")]),
        "all bits of a byte": (mask, [(raw_, b"\xff"), (raw_, bytes(8))]),
        "a gap past the last": (gaps, [(raw_, b"\3"), (raw_, b"1")]),
        "places of all": (whole, [(raw_, b"\0"), (raw_, one * 3)]),
    }
    for what, (settings, streams) in small.items():
        yield (
            f"streams of biases: {what}",
            *("streams", "gaps"),
            with_tensor("logits/bias", settings, streams),
        )


def _first_format():
    base = "sparse_in_first_format"
    kernel, bias, places = "hidden/kernel", "hidden/bias", "hidden/kernel#places"

    def array(name, change):
        """Another array in place of one, the others following each other as before."""

        def apply(data):
            header, body = split(data)
            parts = {}
            for key, one in header.items():
                if key != "__metadata__":
                    start, end = one["data_offsets"]
                    parts[key] = (one["dtype"], one["shape"], body[start:end])
            parts[name] = change(*parts[name])
            entries, offset, whole = {}, 0, b""
            for key, (dtype, shape, bytes_) in parts.items():
                ends = [offset, offset + len(bytes_)]
                entries[key] = {"dtype": dtype, "shape": shape, "data_offsets": ends}
                offset, whole = ends[1], whole + bytes_
            entries["__metadata__"] = header["__metadata__"]
            return joined(entries, whole)

        return apply

    def forged(dtype, shape, data):
        return lambda *_: (dtype, shape, data)

    def put(*path_and_value):
        *path, value = path_and_value
        return with_stated(lambda stated: changed(stated, tuple(path), value))

    def offsets(name, first, second):
        def apply(header):
            start, end = header[name]["data_offsets"]
            ends = [start + first, end + second]
            return changed(header, (name, "data_offsets"), ends)

        return with_header(apply)

    def same_range(header):
        entries = {k: v for k, v in header.items() if k != "__metadata__"}
        alike = [k for k in entries if entries[k]["dtype"] == "U8"]
        return changed(
            header, (alike[0], "data_offsets"), entries[alike[1]]["data_offsets"]
        )

    nan = np.full((2, 12), np.nan, np.float32).tobytes()
    infinite = np.full((2, 12), np.inf, np.float32).tobytes()
    found = {
        **{
            f"codec {codec!r}": put("tensors", kernel, "codec", codec)
            for codec in (
                *("zip", "dense", "bitmask", "", None, 3, ["gaps"], {"gaps": 1}, True),
            )
        },
        **{
            f"shape {shape!r}": put("tensors", kernel, "shape", shape)
            for shape in ([12, 6], [72], [6.0, 12], [6, True], "ab", None, 3, [-6, -12])
        },
        "an entry with a key more": put("tensors", kernel, "module", "os"),
        "an entry without a codec": with_stated(
            lambda s: without(s, ("tensors", kernel, "codec"))
        ),
        "an entry without a shape": with_stated(
            lambda s: without(s, ("tensors", kernel, "shape"))
        ),
        "an entry of format 2": put(
            "tensors", kernel, [[6, 12], "float32", 0, "all", 0, 0, 9]
        ),
        "format 2": put("format", 2),
        "a codec twice": with_stated(
            lambda s: changed(s, ("tensors", kernel, twice("codec")), "dense")
        ),
        "an array less": with_header(lambda h: without(h, (places,))),
        "an array twice": with_header(lambda h: {**h, twice(bias): h[bias]}),
        "NaN": array(bias, forged("F32", [2, 12], nan)),
        "infinity": array(bias, forged("F32", [2, 12], infinite)),
        "doubles": array(bias, forged("F64", [2, 12], bytes(192))),
        "halves": array(bias, forged("F16", [2, 12], bytes(48))),
        "BF16": array(bias, forged("BF16", [2, 12], bytes(48))),
        "integers": array(bias, forged("I32", [2, 12], bytes(96))),
        "another shape": array(bias, forged("F32", [12, 2], bytes(96))),
        "one axis": array(bias, forged("F32", [24], bytes(96))),
        "one part": array(bias, forged("F32", [1, 12], bytes(48))),
        "fewer values": array(kernel, lambda d, s, b: (d, [2, 1], b[:8])),
        "places as floats": array(places, forged("F32", [1], bytes(4))),
        "places in two axes": array(places, lambda d, s, b: (d, [1, len(b)], b)),
        "no places": array(places, forged("U8", [0], b"")),
        "places cut": array(places, lambda d, s, b: (d, [len(b)], b[:-1] + b"\xff")),
        "a place beyond": array(
            places, lambda d, s, b: (d, [len(b)], b[:-1] + b"\x7f")
        ),
        "a place of many bytes": array(
            places, forged("U8", [10], b"\x80" * 9 + b"\x01")
        ),
        "places that overflow": array(
            places, forged("U8", [8 * 600], (b"\xff" * 7 + b"\x7f") * 600)
        ),
        "a bitmask too long": array(
            "output/kernel#places", lambda d, s, b: (d, [len(b) + 1], b + b"\0")
        ),
        "a bit beyond": array(
            "output/kernel#places", lambda d, s, b: (d, [len(b)], b[:-1] + b"\x0f")
        ),
        "arrays that overlap": offsets(kernel, -4, -4),
        "an array that begins later": offsets(bias, 4, 0),
        "an array that ends later": offsets(bias, 0, 4),
        "arrays of one range": with_header(same_range),
    }
    for what, change in found.items():
        yield f"format 1: {what}", "first format", base, change
