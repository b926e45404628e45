"""Weights files taken apart, and put together with another part."""

import json
import lzma
import zlib

from cvzoo import coding
from tests.hostile.json_text import changed, dumps


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
