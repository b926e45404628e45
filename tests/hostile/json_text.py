"""JSON that Python's writer would not write: keys twice, raw tokens; and its places."""

import copy
import json
import re

_RAW, _TWICE = "@raw:", "@twice:"


def raw(token):
    """A value that `dumps` writes as it is, for example `NaN`."""
    return f"{_RAW}{token.encode().hex()}@"


def twice(key):
    """A key that `dumps` writes as an equal of `key`."""
    return f"{_TWICE}{key.encode().hex()}@"


def dumps(data):
    """The bytes of JSON with such values and keys."""

    def token(match):
        return bytes.fromhex(match[1]).decode()

    text = json.dumps(data)
    text = re.sub(f'"{_RAW}([0-9a-f]*)@"', token, text)
    key = re.compile(f'"{_TWICE}([0-9a-f]*)@"')
    return key.sub(lambda match: json.dumps(token(match)), text).encode()


def places(data, path=()):
    """`(path, value)` of each value inside JSON data, itself included."""
    yield path, data
    if isinstance(data, dict | list):
        items = data.items() if isinstance(data, dict) else enumerate(data)
        for key, value in items:
            yield from places(value, (*path, key))


def at(data, path):
    for key in path:
        data = data[key]
    return data


def changed(data, path, value):
    """A copy with another value at a path."""
    if not path:
        return value
    data = copy.deepcopy(data)
    at(data, path[:-1])[path[-1]] = value
    return data


def without(data, path):
    """A copy without what is at a path."""
    data = copy.deepcopy(data)
    del at(data, path[:-1])[path[-1]]
    return data
