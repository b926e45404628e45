"""How much a recipe's score depends on the seed, as shipped presets tell."""

import json
from pathlib import Path

from cvzoo import catalogue, preset_files
from training import config as configs

MEAN, DEVIATION = "test, mean over seeds", "test, standard deviation over seeds"
SEEDS = "seeds"
DEVIATIONS = 3


def scores_of(path, config):
    """Scores of a recipe's repetitions, from the `points.json` of a trade-off.

    Args:
        path: The file.
        config: The recipe of a run, which the repetitions must differ from in their
            seeds only.
    """
    points = [
        point
        for point in json.loads(Path(path).read_text())
        if (point["recipe"], point["strength"]) == (config["name"], "")
        and not _differ(point["config"], config)
        and len(set(point["folds"])) == 1
        and len(point["seeds"]) > 1
    ]
    if not points:
        raise ValueError(
            f"{path} must hold runs of {config['name']!r} as the run's own, of one "
            "fold and several seeds. Make it with `python -m training.tradeoff "
            f"{config['name']} --folds 0 --seeds 0,1,2,3,4`, or of data without folds "
            "with `--folds 0,1,2,3,4`."
        )
    (point,) = points
    return {
        SEEDS: len(point["seeds"]),
        MEAN: round(point["after"][0] / 100, 4),
        DEVIATION: round(point["spread"]["after"] / 100, 4),
    }


def _differ(left, right):
    """Whether recipes differ in more than their seed."""
    return any(key != "seed" for key, *_ in configs.differences(left, right))


def verdict(config, score, n_test):
    """How a run compares with the shipped preset of its recipe, in words, or `None`.

    Args:
        config: The run's recipe; its seed may be another one.
        score: Its score on the test split.
        n_test: Examples of that split, of which deviations are one at least.
    """
    name = config["name"]
    if name not in catalogue.preset_names():
        return None
    folder = catalogue.SHIPPED / name
    manifest = preset_files.read_manifest(folder)
    files = preset_files.read_files(folder, manifest)
    kept = preset_files.parse_json(files[preset_files.CONFIG], preset_files.CONFIG)[
        "recipe"
    ]
    scores = manifest["scores"]
    if MEAN not in scores or _differ(kept, config):
        return None
    far = abs(score - scores[MEAN]) / max(scores[DEVIATION], 1 / n_test)
    is_within = "within" if far <= DEVIATIONS else "NOT within"
    return (
        f"The recipe gave {100 * scores[MEAN]:.1f} ± {100 * scores[DEVIATION]:.1f} % "
        f"(standard deviation over {scores[SEEDS]} seeds); this run is {is_within} "
        f"{DEVIATIONS} of them."
    )
