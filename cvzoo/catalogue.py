"""Which presets there are, and their manifests. Reads JSON only, never Keras."""

import dataclasses
import difflib
import hashlib
import json
import os
import re
import stat
from pathlib import Path

from cvzoo import cards, manifests, recipes

SHIPPED = Path(__file__).parent / "zoo"
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


@dataclasses.dataclass(frozen=True)
class PresetRow:
    """A line of `list_presets`.

    Attributes:
        name: What `from_preset` takes.
        metric: What `score` is, and on which data.
        score: Score on test data.
        parameters: Numbers that are not zero, a complex weight counting as two.
        compression: Parameters of the uncompressed network over `parameters`.
        bytes: Size of the weights file.
        before: Score of the uncompressed network on the same data; `None` if there is
            none or it is not known.
        field: `"real"` or `"complex"`, of the weights.
        dataset: Name of the recipe's data set; empty without a recipe.
        data: What the data are called, for people.
    """

    name: str
    metric: str
    score: float
    parameters: int
    compression: float
    bytes: int
    before: float | None = None
    field: str = "real"
    dataset: str = ""
    data: str = ""


def list_presets():
    """The presets that the package ships, as a list of `PresetRow`."""
    return [_row(SHIPPED / name) for name in preset_names()]


def preset_names():
    """Names of the shipped presets."""
    if not SHIPPED.is_dir():
        return []
    return sorted(
        path.name for path in SHIPPED.iterdir() if (path / MANIFEST).is_file()
    )


def find(name):
    """The folder of a preset, by its name or path."""
    shipped = preset_names()
    if name in shipped:
        return SHIPPED / name
    if isinstance(name, (str, Path)) and (Path(name) / MANIFEST).is_file():
        return Path(name)
    if isinstance(name, Path) or os.sep in str(name):
        raise PresetError(
            f"No preset in folder {name}: it has no {MANIFEST}. Make one with "
            "`cvzoo.save_preset(model, folder)`."
        )
    if isinstance(name, str) and name in recipes.by_name():
        raise PresetError(
            f"No weights of {name!r} come with cvzoo: it is a recipe, not trained. "
            f"Train it, in a clone: `{recipes.by_name()[name].command}`. Its preset "
            f"will be the folder out/{name}/preset."
        )
    raise PresetError(f"No preset is called {name!r}. {nearest_names(name, shipped)}")


def _row(folder):
    manifest = read_manifest(folder)
    settings = parse_json(read_limited(folder / CONFIG), CONFIG)
    counts, scores = manifest["counts"], manifest["scores"]
    return PresetRow(
        name=manifest["name"],
        metric=scores.get("metric", ""),
        score=scores.get("test", float("nan")),
        parameters=counts["nonzero"],
        compression=round(counts["compression"], 1),
        bytes=manifest["files"][WEIGHTS]["bytes"],
        before=scores.get("test before compression"),
        field=cards.field(manifest),
        dataset=settings["recipe"].get("data", {}).get("name", ""),
        data=manifest["data"].get("name", ""),
    )


def read_manifest(folder):
    """The manifest of a preset folder, checked, in the current format."""
    path = Path(folder) / MANIFEST
    found = parse_json(read_limited(path), MANIFEST)
    try:
        manifest = manifests.checked(found)
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


def nearest_names(name, names):
    """The end of a message about an unknown name."""
    close = difflib.get_close_matches(str(name), names, n=3, cutoff=0.4)
    if close:
        return f"Did you mean {', '.join(close)}?"
    return f"Known: {', '.join(sorted(names)) or 'none'}."
