"""JSON with other keys, other values, or more than anyone needs."""

import functools
import json

from cvzoo import preset_files, strict_json
from tests.hostile import bases
from tests.hostile.json_text import (
    at,
    changed,
    places,
    raw,
    twice,
    without,
)
from tests.hostile.mutant import (
    CODE,
    FREE,
    JSON_FILES,
    Mutant,
    generator_of,
    is_example_number,
    resealed,
    with_json,
)


def mutants(times):
    yield from _json_keys(times)
    yield from _json_values(times)
    yield from _json_bombs()
    yield from _json_depths()
    yield from _control_characters()


def _json_keys(times):
    for base, files in bases.presets().items():
        for name in JSON_FILES:
            generator = generator_of("keys", base, name)
            data = json.loads(files[name])
            keys = [path for path, _ in places(data) if path and path[-1] is not None]
            keys = [path for path in keys if isinstance(path[-1], str)]
            for path in generator.sample(keys, min(len(keys), 9 * times)):
                yield Mutant(
                    f"{base}, {name}: {path} is there twice",
                    *("duplicate key", base),
                    with_json(name, functools.partial(_duplicated, path=path)),
                )
            strict = [path for path in keys if _is_strict(name, path)]
            for path in generator.sample(strict, min(len(strict), 6 * times)):
                if path not in _OPTIONAL:
                    yield Mutant(
                        f"{base}, {name}: {path} is missing",
                        *("missing key", base),
                        with_json(name, functools.partial(without, path=path)),
                    )
            objects = {path[:-1] for path in strict} - {(), ("recipe",)} | {()}
            for path in generator.sample(
                sorted(objects, key=str), min(6, len(objects))
            ):
                for key in ("module", "registered_name")[: 1 + (times > 1)]:
                    yield Mutant(
                        f"{base}, {name}: {path} has {key}",
                        *("extra key", base),
                        with_json(
                            name,
                            lambda data, path=path, key=key: changed(
                                data, (*path, key), "os"
                            ),
                        ),
                    )


_OPTIONAL = {("examples",)}


def _duplicated(data, path):
    return changed(data, (*path[:-1], twice(path[-1])), at(data, path))


def _is_strict(name, path):
    """Whether what is at a path of a JSON file is looked at by the loader."""
    if name == preset_files.MANIFEST:
        return len(path) < 2 or (path[0] not in FREE and not is_example_number(path))
    return not (name == preset_files.CONFIG and path[:1] == ("recipe",))


# JSON: values of another kind

_NEVER = {
    "code": CODE,
    "NaN": raw("NaN"),
    "-Infinity": raw("-Infinity"),
    "1e400": raw("1e400"),
    "5000 digits": raw("9" * 5000),
    "half a pair": raw('"\\ud800"'),
    "lists": [[[]]],
    "2**63": 2**63,
}
_NUMBERS = {"text": "1", "truth": True, "1e39": 1e39, "negative": -(2**40)}
_BY_KIND = {
    bool: {"text": "true", "one": 1, "zero": 0.0, "none": None},
    int: {**_NUMBERS, "half": 0.5, "whole float": 1.0},
    float: {"text": "1", "truth": True, "1e39": 1e39},
    str: {"number": 1, "truth": True, "path": "../../etc\0passwd", "path 2": "/"},
    type(None): {"text": "x", "truth": True},
    dict: {"number": 3, "text": "x", "list": [1]},
    list: {"number": 3, "text": "x", "dictionary": {"a": 1}},
}


def _json_values(times):
    counts = {
        preset_files.MANIFEST: 24,
        preset_files.ARCHITECTURE: 36,
        preset_files.CONFIG: 12,
    }
    for base, files in bases.presets().items():
        for name, count in counts.items():
            generator = generator_of("values", base, name)
            data = json.loads(files[name])
            choices = [
                (path, what, value)
                for path, old in places(data)
                if _is_strict(name, path)
                for what, value in {**_NEVER, **_BY_KIND[type(old)]}.items()
                if not _may_be(name, path, old, what)
            ]
            drawn = generator.sample(choices, min(len(choices), count * times))
            for path, what, value in drawn:
                yield Mutant(
                    f"{base}, {name}: {path} is {what}",
                    *("value of another kind", base),
                    with_json(
                        name,
                        lambda data, path=path, value=value: changed(data, path, value),
                    ),
                )


def _may_be(name, path, old, what):
    """Whether such a value makes another preset, and no hostile one."""
    if name == preset_files.MANIFEST:
        if path in (("description",), ("licence",), ("command",)):
            return what.startswith("path")
        if path[:1] == ("classes",) and path[1:]:
            return what in ("number", "path", "path 2")
        if len(path) == 1 and isinstance(old, dict):
            return path[0] in FREE and what == "code"
        return False
    if name == preset_files.CONFIG and path == ("compile",):
        return what == "none"
    # A slope may be a whole number, and a leaf that is none another number.
    return isinstance(old, float) and what in ("2**63",)


# JSON: bombs


def _json_bombs():
    texts = {
        "nested lists": lambda data: b"[" * 10**5,
        "nested dictionaries": lambda data: b'{"a":' * 10**5,
        "whole nested lists": lambda data: b"[" * 10**5 + b"]" * 10**5,
        "many lists": lambda data: b"[" + b"[]," * 10**6 + b"[]]",
        "many dictionaries": lambda data: b"[" + b"{}," * 10**6 + b"{}]",
        "many texts": lambda data: b"[" + b'"ab",' * 3 * 10**5 + b"0]",
        "many numbers": lambda data: b"[" + b"1.5," * 10**4 + b"0]",
        "too long": lambda data: data + b" " * preset_files.LARGEST_TEXT,
        "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
        "UTF-16": lambda data: data.decode().encode("utf-16"),
        "UTF-32": lambda data: data.decode().encode("utf-32-be"),
        "Latin 1": lambda data: data.replace(b'"', b'"\xe9', 1),
        "an overlong code": lambda data: data.replace(b'"', b'"\xc0\x80', 1),
        "a raw surrogate": lambda data: data.replace(b'"', b'"\xed\xa0\x80', 1),
        "a control character": lambda data: data.replace(b'"', b'"\x01', 1),
        "a comment": lambda data: b"// no\n" + data,
        "a comma too many": lambda data: data.rstrip()[:-1] + b",}",
        "single quotes": lambda data: data.replace(b'"', b"'"),
        "two values": lambda data: data + b"{}",
        "nothing": lambda data: b"",
        "null": lambda data: b"null",
        "a number": lambda data: b"3",
        "a text": lambda data: b'"text"',
        "a list": lambda data: b"[]",
        "an empty dictionary": lambda data: b"{}",
        "Python": lambda data: b"__import__('os').getcwd()",
        "a pickle": lambda data: b"cos\ngetcwd\n(tR.",
        "YAML": lambda data: b"!!python/object/apply:os.getcwd []",
    }
    for base in ("sparse", "two_inputs"):
        for name in JSON_FILES:
            for text, change in texts.items():
                yield Mutant(
                    f"{base}, {name}: {text}",
                    *("bomb or no JSON", base, resealed(name, change)),
                )


def _json_depths():
    """Lists in a place that may hold anything, at depths at which functions give up."""
    place = {preset_files.MANIFEST: "data", preset_files.CONFIG: "recipe"}
    for name, key in place.items():
        for depth in (strict_json.DEEPEST, 500, *range(976, 1000, 4), 987, 989):
            value = raw("[" * depth + r'"\u00e9"' + "]" * depth)
            yield Mutant(
                f"{name}: nested {depth} deep",
                *("nested", "sparse"),
                with_json(
                    name, lambda data, key=key, value=value: {**data, key: value}
                ),
            )


def _control_characters():
    """What a terminal would obey, in texts that commands print."""
    places_of = {
        preset_files.MANIFEST: (
            *(("description",), ("licence",), ("command",), ("classes", 0)),
            *(("scores", "metric"), ("data", "name"), ("latency", "hardware")),
            *(("versions", "keras"), ("inputs", "signal", "meaning"), ("name",)),
        ),
        preset_files.CONFIG: (("recipe", "name"),),
        preset_files.ARCHITECTURE: (("name",),),
    }
    texts = {"an escape": "\x1b[2J", "C1": "\x9b2J", "backwards": "\u202e"}
    for name, paths in places_of.items():
        for path in paths:
            for what, text in texts.items():
                yield Mutant(
                    f"{name}: {path} has {what}",
                    *("control character", "sparse"),
                    with_json(name, functools.partial(changed, path=path, value=text)),
                )
    yield Mutant(
        "metadata.json: a key of data has an escape",
        *("control character", "sparse"),
        with_json(
            preset_files.MANIFEST, lambda data: {**data, "data": {"\x1b[2J": "digits"}}
        ),
    )
    for path in (("classes", 0), ("name",), ("versions", "keras")):
        yield Mutant(
            f"metadata.json: {path} has two lines",
            *("control character", "sparse"),
            with_json(
                preset_files.MANIFEST,
                functools.partial(changed, path=path, value="two\nlines"),
            ),
        )
