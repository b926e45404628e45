"""What a preset folder holds: its files, the manifest, their checks. Never Keras."""

import hashlib
import json
import re
import stat
from pathlib import Path

from cvzoo import manifests

MANIFEST = "metadata.json"
ARCHITECTURE = "architecture.json"
CONFIG = "config.json"
WEIGHTS = "weights.safetensors"
CARD = "README.md"
FILES = (ARCHITECTURE, CONFIG, WEIGHTS, CARD)
LARGEST_FILE = 2**32
LARGEST_TEXT = 2**24


class PresetError(ValueError):
    """A preset that does not exist, is damaged, or does not fit."""


def read_manifest(folder):
    """The manifest of a preset folder, checked, in the current format."""
    path = Path(folder) / MANIFEST
    return parse_manifest(read_limited(path), path)


def parse_manifest(data, path):
    """The manifest, checked, in the current format.

    Args:
        data: The bytes of the file.
        path: Where they are from, for messages.
    """
    try:
        manifest = manifests.checked(parse_json(data, path))
    except manifests.ManifestError as error:
        raise PresetError(f"{path}: {error}") from error
    if set(manifest["files"]) != set(FILES):
        raise PresetError(
            f"{path} must list the files {sorted(FILES)}. Found: "
            f"{sorted(manifest['files'])}."
        )
    return manifest


def read_files(folder, manifest):
    """File name → bytes, each of the size and sha256 that the manifest states."""
    folder = Path(folder)
    present = {path.name for path in folder.iterdir()} - {MANIFEST}
    if present != set(FILES):
        raise PresetError(
            f"Preset folder {folder} must hold {sorted(FILES)}. Missing: "
            f"{sorted(set(FILES) - present)}. Unknown: {sorted(present - set(FILES))}."
        )
    contents = {}
    for name in FILES:
        stated = manifest["files"][name]
        data = read_limited(folder / name)
        found = describe_bytes(data)
        if stated != found:
            raise PresetError(
                f"{folder / name} was altered or damaged. Expected {stated}, found "
                f"{found}. Get the preset again."
            )
        contents[name] = data
    return contents


def describe_bytes(data):
    """Size and sha256, as the manifest states them."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def read_limited(path):
    """The bytes of a file, unless it is missing, no plain file, or absurdly large."""
    limit = LARGEST_FILE if path.name == WEIGHTS else LARGEST_TEXT
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            raise PresetError(
                f"{path} must be a plain file of at most {limit} bytes. Found "
                f"{stat.filemode(status.st_mode)}, {status.st_size} bytes."
            )
        with path.open("rb") as file:
            # Not `limit`, of which Python would set the memory aside.
            return file.read(status.st_size)
    except OSError as error:
        raise PresetError(f"Preset file {path} cannot be read: {error}") from error


def parse_json(data, name):
    """JSON data; NaN and infinity are refused."""

    def refuse(constant):
        raise ValueError(f"{constant} is not allowed")

    try:
        return json.loads(data, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise PresetError(f"{name} is not valid JSON: {error}") from error


def to_json(data):
    """Readable JSON, lists of numbers on one line; the same bytes for the same data."""
    text = json.dumps(
        data, indent=1, ensure_ascii=False, allow_nan=False, default=_plain
    )
    numbers = re.compile(r"\[\s+(-?\d[^\[\]{}\"]*?)\s+\]")
    return numbers.sub(lambda m: "[" + " ".join(m[1].split()) + "]", text) + "\n"


def _plain(value):
    """numpy's numbers and arrays as Python's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{value!r} cannot be kept as JSON")
