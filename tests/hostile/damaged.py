"""Bytes that were damaged, and folders that hold other things."""

import json
import os
import socket

from cvzoo import preset_files
from tests.hostile import bases
from tests.hostile.json_text import places
from tests.hostile.mutant import (
    FREE,
    JSON_FILES,
    Mutant,
    flip,
    generator_of,
    is_example_number,
    resealed,
)


def mutants(times):
    yield from _flipped(times)
    yield from _cut(times)
    yield from _flipped_manifests(times)
    yield from _places()


def _flipped(times):
    for base, files in bases.presets().items():
        for name in preset_files.FILES:
            generator = generator_of("flipped", base, name)
            for number in range(9 * times):
                at_bit = generator.randrange(8 * len(files[name]))

                def make(files, name=name, at_bit=at_bit):
                    return {**files, name: flip(files[name], at_bit)}

                yield Mutant(
                    f"{base}, {name}: bit {at_bit} flipped, {number}",
                    *("flipped bit", base, make),
                )


def _cut(times):
    for base, files in bases.presets().items():
        for name, data in files.items():
            generator = generator_of("cut", base, name)
            # The last byte of JSON may be white space.
            lengths = {0, 1, *generator.choices(range(len(data) - 2), k=3 * times)}
            for length in sorted(lengths):
                yield Mutant(
                    f"{base}, {name}: cut to {length} bytes",
                    *("truncation", base),
                    lambda files, name=name, length=length: {
                        **files,
                        name: files[name][:length],
                    },
                )
            yield Mutant(
                f"{base}, {name}: a byte more",
                *("trailing bytes", base),
                lambda files, name=name: {**files, name: files[name] + b"x"},
            )
            if name in (*JSON_FILES, preset_files.WEIGHTS):
                for number in range(2 * times):
                    length = generator.randrange(len(data) - 2)
                    yield Mutant(
                        f"{base}, {name}: resealed, cut to {length} bytes, {number}",
                        *("truncation", base),
                        resealed(name, lambda data, length=length: data[:length]),
                    )
                yield Mutant(
                    f"{base}, {name}: resealed, a byte more",
                    *("trailing bytes", base),
                    resealed(name, lambda data: data + b"x"),
                )


def _flipped_manifests(times):
    for base, files in bases.presets().items():
        data = files[preset_files.MANIFEST]
        generator = generator_of("flipped manifest", base)
        for number in range(20 * times):
            at_bit = generator.randrange(8 * len(data))
            if _is_as_good(data, flip(data, at_bit)):
                continue
            yield Mutant(
                f"{base}, manifest: bit {at_bit} flipped, {number}",
                *("flipped bit", base),
                lambda files, at_bit=at_bit: {
                    **files,
                    preset_files.MANIFEST: flip(files[preset_files.MANIFEST], at_bit),
                },
            )


def _is_as_good(data, changed_data):
    """Whether only what is for people, or a number of an example, has changed."""
    try:
        before, after = json.loads(data), json.loads(changed_data)
    except ValueError:
        return False
    return isinstance(after, dict) and _strict_part(before) == _strict_part(after)


def _strict_part(manifest):
    """Text of a manifest less what may be anything."""
    kept = {key: one for key, one in manifest.items() if key not in FREE}
    return json.dumps(
        [
            (path, type(one).__name__ if isinstance(one, dict | list) else repr(one))
            for path, one in places(kept)
            if not is_example_number(path) and path[:1] != ("classes",)
        ]
    )


# What lies in the folder in place of files, or beside them.


def _places():
    def removed(name):
        def place(folder):
            (folder / name).unlink()

        return place

    def replaced(name, make):
        def place(folder):
            (folder / name).rename(folder.parent / "elsewhere")
            make(folder / name)

        return place

    def listening(path):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))

    ways = {
        "a link to the file": lambda path: path.symlink_to(
            path.parents[1] / "elsewhere"
        ),
        "a link to a device": lambda path: path.symlink_to("/dev/zero"),
        "a link to itself": lambda path: path.symlink_to(path),
        "a pipe": os.mkfifo,
        "a socket": listening,
        "a folder": lambda path: path.mkdir(),
        "a large hole": lambda path: _truncate(path, 2**33),
        "nothing in it": lambda path: path.touch(),
    }
    for base in ("sparse", "sparse_in_first_format"):
        for name in (*preset_files.FILES, preset_files.MANIFEST):
            for way, make in ways.items():
                yield Mutant(
                    f"{base}, {name} is {way}",
                    *("no plain file", base, dict),
                    place=replaced(name, make),
                )
            yield Mutant(
                f"{base}, {name} is missing",
                *("missing file", base, dict),
                place=removed(name),
            )
        for extra in ("extra.py", ".hidden", "weights.safetensors.part", "__init__.py"):
            yield Mutant(
                f"{base}, with {extra}",
                *("extra file", base),
                lambda files, extra=extra: {**files, extra: b"print()"},
            )
        yield Mutant(
            f"{base}, with a folder",
            *("extra file", base, dict),
            place=lambda folder: (folder / "folder").mkdir(),
        )


def _truncate(path, size):
    path.touch()
    os.truncate(path, size)
