"""What a preset's manifest says, its checks, and how older ones are read.

Formats:

1. the first.
2. says what scores are (`outputs`), what inputs mean, their range and sample rate
   (`inputs`, of which there was one text among `data`), which licence the preset has,
   the command that makes it, and how long one call takes.
"""

from cvzoo import manifest_checks
from cvzoo.manifest_checks import ManifestError, is_integer, is_number

FORMAT = 2

# What scores are, and so what `decode` makes of them.
OUTPUTS = {
    "one class": "the highest of the classes",
    "each class": "each class by itself",
    "values": "values as they are",
}


def checked(manifest):
    """A manifest of this format, from one of this or an earlier; anything odd raises.

    Args:
        manifest: What the JSON file holds.
    """
    if not isinstance(manifest, dict) or not is_integer(manifest.get("format")):
        raise ManifestError(
            f"The manifest must be a dictionary with a `format`, a number. Found: "
            f"{manifest!r:.200}"
        )
    form = manifest["format"]
    if form not in _KEYS:
        raise ManifestError(
            f"The manifest has format {form}; this version of cvzoo reads "
            f"{', '.join(map(str, _KEYS))}. Install a version that reads it."
        )
    _check("the manifest", manifest, _KEYS[form])
    while manifest["format"] < FORMAT:
        manifest = _TO_NEXT[manifest["format"]](manifest)
        _check("the manifest", manifest, _KEYS[manifest["format"]])
    _check("`outputs`", manifest["outputs"], _OUTPUTS)
    for name, told in manifest["inputs"].items():
        _check(f"input '{name}'", told, _INPUT)
    if manifest["latency"]:
        _check("`latency`", manifest["latency"], _LATENCY)
    manifest_checks.check(manifest)
    return manifest


def _from_first(manifest):
    """Format 2 from 1; what the first did not say stays empty."""
    data = dict(manifest["data"])
    meaning = data.pop("inputs", "")
    told = {"meaning": meaning, "range": None, "sample_rate": None}
    return {
        **manifest,
        "format": 2,
        "data": data,
        "inputs": {"": told} if meaning else {},
        "outputs": {"decode": "values", "logits": False},
        "licence": "",
        "command": "",
        "latency": {},
    }


_TO_NEXT = {1: _from_first}


def _check(what, found, checks):
    """Raises unless a dictionary has just these keys, and values that pass."""
    wrong = [
        key
        for key, check in checks.items()
        if not isinstance(found, dict) or key not in found or not check(found[key])
    ]
    if wrong or set(found) != set(checks):
        keys = sorted(map(str, found)) if isinstance(found, dict) else repr(found)[:200]
        raise ManifestError(
            f"In {what}, expected the keys {sorted(checks)}, found {keys}; missing or "
            f"of the wrong kind: {wrong}."
        )


def _is_text(value):
    return isinstance(value, str)


def _is_dictionary(value):
    return isinstance(value, dict)


def _is_range(value):
    return value is None or (
        isinstance(value, list)
        and len(value) == 2
        and all(map(is_number, value))
        and value[0] < value[1]
    )


def _is_positive(value):
    return is_number(value) and value > 0


def _is_rate(value):
    return value is None or _is_positive(value)


_FIRST = {
    "format": is_integer,
    "name": _is_text,
    "description": _is_text,
    "versions": _is_dictionary,
    "files": _is_dictionary,
    "tensors": _is_dictionary,
    "scores": _is_dictionary,
    "counts": _is_dictionary,
    "data": _is_dictionary,
    "classes": lambda value: isinstance(value, list),
    "examples": _is_dictionary,
}
# Format → keys → what each must be.
_KEYS = {
    1: _FIRST,
    2: {
        **_FIRST,
        "inputs": _is_dictionary,
        "outputs": _is_dictionary,
        "licence": _is_text,
        "command": _is_text,
        "latency": _is_dictionary,
    },
}
_INPUT = {"meaning": _is_text, "range": _is_range, "sample_rate": _is_rate}
_OUTPUTS = {
    "decode": lambda value: isinstance(value, str) and value in OUTPUTS,
    "logits": lambda value: isinstance(value, bool),
}
_LATENCY = {
    "milliseconds": _is_positive,
    "hardware": _is_text,
    "date": _is_text,
}
