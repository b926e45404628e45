"""The networks that `cvzoo bench` runs side by side."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from cvzoo import catalogue, models, presets
from cvzoo.exporting import rivals, writing

UNCOMPRESSED = "uncompressed"


@dataclasses.dataclass(frozen=True)
class Contender:
    """A network that is exported.

    Attributes:
        name: What it is.
        make: Function that makes it, when its turn comes, as some are large.
        test: Score on test data, in percent; `None` if it is not known.
        error: Its standard error, or `None`.
        labels: Arguments of `export` on its classes, none for the preset.
        preset: The preset's folder; `None` for the others, whose weights are random.
        has_int8: Whether it is exported with weights of 8 bits, too.
        test_of_int8: The score with those.
    """

    name: str
    make: Callable
    test: float | None
    error: float | None
    labels: dict
    preset: Path | None = None
    has_int8: bool = False
    test_of_int8: float | None = None


def of_preset(folder, manifest, found):
    """A preset, and what it is compared with: a list of `Contender`.

    Args:
        folder: The preset's.
        manifest: Its manifest.
        found: `rivals.Rivals`, or `None`.
    """
    labels = writing.told_of_classes(manifest)
    test, error = _percent(manifest["scores"].get("test")), None
    if found is not None and found.ours is not None:
        test, error = found.ours.test, found.ours.error
    preset = Contender(
        name=manifest["name"],
        make=lambda: presets.from_preset(folder, compile=False, masked=False),
        **{"test": test, "error": error, "labels": {}},
        preset=folder,
        has_int8=True,
    )
    if found is not None:
        return [preset, *_of_rivals(found, labels)]
    recipe = catalogue.recipe_of(folder)
    if "model" not in recipe or "sparsify" not in recipe.get("stages", ()):
        return [preset]
    uncompressed = Contender(
        name=UNCOMPRESSED,
        make=lambda: models.create_model(**recipe["model"]),
        test=_percent(manifest["scores"].get("test before compression")),
        **{"error": None, "labels": labels},
        has_int8=True,
    )
    return [preset, uncompressed]


def _of_rivals(found, labels):
    for rival in found.rows:
        if rival.network is None or rival.is_ours:
            continue
        is_plain = rival.name == UNCOMPRESSED
        int8 = found.named(f"{UNCOMPRESSED}, int8") if is_plain else None
        yield Contender(
            name=rival.name,
            make=lambda network=rival.network: rivals.build(network),
            **{"test": rival.test, "error": rival.error, "labels": labels},
            has_int8=is_plain,
            test_of_int8=int8 and int8.test,
        )


def _percent(share):
    return None if share is None else round(100 * share, 2)
