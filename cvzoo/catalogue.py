"""Which presets there are, and their manifests. Reads JSON only, never Keras."""

import dataclasses
import difflib
import os
from pathlib import Path

from cvzoo import downloads

# Others find here, too, what a preset folder holds.
from cvzoo.preset_files import (  # noqa: F401
    ARCHITECTURE,
    CARD,
    CONFIG,
    FILES,
    MANIFEST,
    WEIGHTS,
    PresetError,
    describe_bytes,
    parse_json,
    read_files,
    read_manifest,
    to_json,
)

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
    """

    name: str
    metric: str
    score: float
    parameters: int
    compression: float
    bytes: int


def list_presets():
    """The presets that the package ships, as a list of `PresetRow`."""
    return [_row(read_manifest(SHIPPED / name)) for name in preset_names()]


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
    if isinstance(name, (str, Path)) and (Path(name) / MANIFEST).is_file():
        return Path(name)
    if isinstance(name, Path) or os.sep in str(name):
        raise PresetError(
            f"No preset in folder {name}: it has no {MANIFEST}. Make one with "
            "`cvzoo.save_preset(model, folder)`."
        )
    raise PresetError(f"No preset is called {name!r}. {nearest_names(name, shipped)}")


def _row(manifest):
    counts, scores = manifest["counts"], manifest["scores"]
    return PresetRow(
        name=manifest["name"],
        metric=scores.get("metric", ""),
        score=scores.get("test", float("nan")),
        parameters=counts["nonzero"],
        compression=round(counts["compression"], 1),
        bytes=manifest["files"][WEIGHTS]["bytes"],
    )


def nearest_names(name, names):
    """The end of a message about an unknown name."""
    close = difflib.get_close_matches(str(name), names, n=3, cutoff=0.4)
    if close:
        return f"Did you mean {', '.join(close)}?"
    return f"Known: {', '.join(sorted(names)) or 'none'}."
