"""How much a recipe's accuracy depends on the seed, as shipped presets tell."""

import json
from pathlib import Path

from cvzoo import catalogue
from training import config as configs

MEAN, DEVIATION = "test, mean over seeds", "test, standard deviation over seeds"
SEEDS = "seeds"
DEVIATIONS = 3


def scores_of(path, recipe):
    """Scores of a recipe's repetitions, from the `points.json` of a trade-off."""
    points = [
        point
        for point in json.loads(Path(path).read_text())
        if (point["recipe"], point["strength"]) == (recipe, "")
    ]
    if not points or points[0]["runs"] < 2:
        raise ValueError(
            f"{path} must hold at least two runs of {recipe!r} at its own strength. "
            "Make it with `python -m training.tradeoff RECIPE --folds 0 --seeds 0,1,2`."
        )
    (point,) = points
    return {
        SEEDS: point["runs"],
        MEAN: round(point["after"][0] / 100, 4),
        DEVIATION: round(point["spread"]["after"] / 100, 4),
    }


def verdict(config, accuracy):
    """How a run compares with the shipped preset of its recipe, in words, or `None`."""
    name = config["name"]
    if name not in catalogue.preset_names():
        return None
    folder = catalogue.SHIPPED / name
    manifest = catalogue.read_manifest(folder)
    files = catalogue.read_files(folder, manifest)
    kept = catalogue.parse_json(files[catalogue.CONFIG], catalogue.CONFIG)["recipe"]
    scores = manifest["scores"]
    if MEAN not in scores or configs.differences(kept, config):
        return None
    far = abs(accuracy - scores[MEAN]) / max(scores[DEVIATION], 1e-12)
    is_within = "within" if far <= DEVIATIONS else "NOT within"
    return (
        f"The recipe gave {100 * scores[MEAN]:.1f} ± {100 * scores[DEVIATION]:.1f} % "
        f"(standard deviation over {scores[SEEDS]} seeds); this run is {is_within} "
        f"{DEVIATIONS} of them."
    )
