"""Which presets there are, and their manifests. Reads JSON only, never Keras."""

import dataclasses
import difflib
import os
from pathlib import Path

from cvzoo import cards, downloads, preset_files, recipes
from cvzoo.preset_files import CONFIG, MANIFEST, WEIGHTS, PresetError

SHIPPED = Path(__file__).parent / "zoo"


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
    """The folder of a preset, by its name, path or address.

    What an address leads to is downloaded where the cache does not have it.
    """
    if downloads.is_reference(name):
        return downloads.folder_of(name)
    shipped = preset_names()
    if name in shipped:
        return SHIPPED / name
    # Of `os.path`, as `Path.is_file` raises where a name is too long for a file.
    if isinstance(name, (str, Path)) and os.path.isfile(Path(name) / MANIFEST):
        return Path(name)
    is_folder = isinstance(name, (str, Path)) and os.path.isdir(name)
    if isinstance(name, Path) or os.sep in str(name) or is_folder:
        advice = "Make one with `cvzoo.save_preset(model, folder)`."
        if is_folder and os.path.isfile(Path(name, "preset", MANIFEST)):
            advice = f"There is one in {Path(name, 'preset')}."
        raise PresetError(
            f"No preset in folder {name!s:.300}: it has no {MANIFEST}. {advice}"
        )
    if isinstance(name, str) and name in recipes.by_name():
        raise PresetError(
            f"No weights of {name!r} come with cvzoo: it is a recipe, not trained. "
            f"Train it, in a clone: `{recipes.by_name()[name].command}`. Its preset "
            f"will be the folder out/{name}/preset."
        )
    raise PresetError(
        f"No preset is called {name!r:.100}. {nearest_names(name, shipped)}"
    )


def recipe_of(folder):
    """The recipe that a preset keeps, a dictionary that is empty if there is none."""
    manifest = preset_files.read_manifest(folder)
    files = preset_files.read_files(folder, manifest, apart=(WEIGHTS,))
    return preset_files.parse_json(files[CONFIG], CONFIG).get("recipe") or {}


def _row(folder):
    manifest = preset_files.read_manifest(folder)
    settings = preset_files.parse_json(
        preset_files.read_limited(folder / CONFIG), CONFIG
    )
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


def nearest_names(name, names):
    """The end of a message about an unknown name."""
    close = difflib.get_close_matches(str(name), names, n=3, cutoff=0.4)
    if close:
        return f"Did you mean {', '.join(close)}?"
    return f"Known: {', '.join(sorted(names)) or 'none'}."
