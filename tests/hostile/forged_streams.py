"""Weights files whose streams were made by hand, of both formats."""

import lzma
import zlib

import numpy as np

from cvzoo import coding
from tests.hostile.json_text import changed, twice, without
from tests.hostile.weights_bytes import (
    as_lzma,
    deflated,
    joined,
    split,
    with_header,
    with_stated,
    with_tensor,
)

_BOMB = bytes(2**20)


def changes():
    """`(name, kind, base, function of the file's bytes)` of each."""
    yield from _streams()
    yield from _first_format()


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
