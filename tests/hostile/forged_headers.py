"""Weights files whose headers were made by hand."""

import json

from cvzoo import coding, preset_files
from tests.hostile import bases
from tests.hostile.json_text import changed, dumps, raw, twice, without
from tests.hostile.weights_bytes import (
    joined,
    split,
    with_entry,
    with_header,
    with_stated,
)


def changes():
    """`(name, kind, base, function of the file's bytes)` of each."""
    yield from _lengths()
    yield from _headers()
    yield from _stated()
    yield from _entries()


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
        "seventeen axes": other_size(lambda size: [size, *[1] * 16]),
        "100 000 axes": other_size(lambda size: [2**62 - 1] * 10**5),
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
            split(files[preset_files.WEIGHTS])[0]["__metadata__"]["cvzoo"]
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
