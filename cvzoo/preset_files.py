"""What a preset folder holds: its files, the manifest, their checks. Never Keras."""

import contextlib
import hashlib
import json
import os
import re
import stat
from pathlib import Path

from cvzoo import manifest_checks, manifests, strict_json
from cvzoo.file_bytes import FileBytes

MANIFEST = "metadata.json"
ARCHITECTURE = "architecture.json"
CONFIG = "config.json"
WEIGHTS = "weights.safetensors"
CARD = "README.md"
FILES = (ARCHITECTURE, CONFIG, WEIGHTS, CARD)
# What `git clone` and `hf download` put beside the files of a repository. Never read.
BESIDE = (".gitattributes", ".git", ".cache")
LARGEST_FILE = 2**32
LARGEST_TEXT = 2**22


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
    except manifest_checks.ManifestError as error:
        raise PresetError(f"{path}: {error}") from error
    if set(manifest["files"]) != set(FILES):
        raise PresetError(
            f"{path} must list the files {sorted(FILES)}. Found: "
            f"{sorted(manifest['files'])!r:.500}."
        )
    most = manifest_checks.largest_weights_file(manifest["tensors"])
    if manifest["files"][WEIGHTS]["bytes"] > most:
        raise PresetError(
            f"{path}: {WEIGHTS} must have at most {most} bytes, for the tensors that "
            f"the manifest states. It states {manifest['files'][WEIGHTS]['bytes']}."
        )
    return manifest


def read_files(folder, manifest, apart=()):
    """File name → bytes, each of the size and sha256 that the manifest states.

    Args:
        folder: Of the preset.
        manifest: Its manifest.
        apart: Names of files that are not read.
    """
    folder = Path(folder)
    try:
        present = {path.name for path in folder.iterdir()} - {MANIFEST, *BESIDE}
    except OSError as error:
        raise PresetError(f"Folder {folder} cannot be read: {error}") from error
    if present != set(FILES):
        raise PresetError(
            f"Preset folder {folder} must hold {sorted(FILES)}. Missing: "
            f"{sorted(set(FILES) - present)}. Unknown: {sorted(present - set(FILES))}."
        )
    contents = {}
    for name in FILES:
        if name not in apart:
            stated = manifest["files"][name]
            data = contents[name] = read_limited(folder / name, stated["bytes"])
            _check_found(folder / name, stated, describe_bytes(data))
    return contents


@contextlib.contextmanager
def opened_weights(folder, manifest):
    """The weights file of a preset, as `FileBytes` of the stated size and sha256.

    Unlike the result of `read_files`, it does not take the memory of the file.
    """
    path, stated = Path(folder) / WEIGHTS, manifest["files"][WEIGHTS]
    try:
        with _opened(path) as file:
            data = FileBytes(file)
            found = {"bytes": len(data), "sha256": None}
            # A file of another size, perhaps a huge one, is not read.
            if len(data) == stated["bytes"]:
                found["sha256"] = data.sha256()
            _check_found(path, stated, found)
            yield data
    except OSError as error:
        raise PresetError(f"Preset file {path} cannot be read: {error}") from error


def _check_found(path, stated, found):
    if stated != found:
        more = " or more bytes" if found["bytes"] > stated["bytes"] else ""
        raise PresetError(
            f"{path} was altered or damaged. Expected {stated}, found {found}{more}. "
            "Get the preset again."
        )


def describe_bytes(data):
    """Size and sha256, as the manifest states them."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def read_limited(path, stated=LARGEST_FILE):
    """The bytes of a file, unless it is missing, no plain file, or absurdly large.

    Of a file that is larger than stated, one byte too many is read.
    """
    try:
        with _opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            # Not the limit, of which Python would set the memory aside.
            return file.read(min(size, stated + 1))
    except OSError as error:
        raise PresetError(f"Preset file {path} cannot be read: {error}") from error


@contextlib.contextmanager
def _opened(path):
    """A plain file that is not absurdly large, open for reading."""
    _check_plain(path, path.lstat())
    # What was put in its place since is no link that is followed, nor waited for.
    with open(path, "rb", opener=_open) as file:
        _check_plain(path, os.fstat(file.fileno()))
        yield file


def _check_plain(path, status):
    if not stat.S_ISREG(status.st_mode):
        raise PresetError(
            f"{path} must be a plain file. Found {stat.filemode(status.st_mode)}."
        )
    check_length(path, status.st_size)


def check_length(path, size):
    """Raises unless a file of a preset may have so many bytes."""
    limit = LARGEST_FILE if Path(path).name == WEIGHTS else LARGEST_TEXT
    if size > limit:
        raise PresetError(f"{path} must have at most {limit} bytes. Found {size}.")


def _open(path, flags):
    # Windows has neither.
    no_link, no_wait = (getattr(os, f"O_{n}", 0) for n in ("NOFOLLOW", "NONBLOCK"))
    return os.open(path, flags | no_link | no_wait)


def parse_json(data, name):
    """JSON data, as `strict_json` reads it."""
    try:
        return strict_json.loads(data)
    except ValueError as error:
        raise PresetError(f"{name} is not valid JSON: {error}") from error


def to_json(data):
    """Readable JSON, lists of numbers on one line; the same bytes for the same data."""
    text = json.dumps(
        data, indent=1, ensure_ascii=False, allow_nan=False, default=_plain
    )
    numbers = re.compile(r"\[\n\s*(-?\d[^\[\]{}\"]*?)\s+\]")
    return numbers.sub(lambda m: "[" + " ".join(m[1].split()) + "]", text) + "\n"


def _plain(value):
    """numpy's numbers and arrays as Python's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{value!r} cannot be kept as JSON")
