"""Recipes over strengths and folds: what score each factor of compression costs.

    python -m training.tradeoff CONFIG [CONFIG …] [--strengths 2,6,10] [--out DIR]

All stages for each recipe, strength and fold, in DIR/RECIPE/STRENGTH/FOLD, and a table
and a picture of all of them. Strengths are called as in the recipe's file (paper 2's
by k); choose one by the validation column. Runs that differ only in how they sparsify
share the pre-trained network. Runs that are there are kept, so that the command goes on
where it was stopped.
"""

import argparse
import dataclasses
import itertools
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

import cvzoo
from training import (
    checkpoints,
    datasets,
    latency,
    pictures,
    recipe_parts,
    results,
    run_folder,
    stages,
    workers,
)
from training import config as configs
from training.callbacks import DivergenceError
from training.checkpoints import CheckpointError
from training.compare import parse_folds
from training.workers import console


@dataclasses.dataclass(frozen=True)
class Point:
    """One recipe at one strength, over folds or seeds.

    Attributes:
        recipe: Its name.
        strength: What the strength is called, `""` for the recipe's own.
        folds, seeds: Of its runs, in order; folds of `None` where data have none.
        validation: Validation score after fine-tuning, in percent: a mean and its
            standard error, as others are; `None` where there is no such split.
        before, after: Test score before compression and after fine-tuning.
        difference: Of the two, paired.
        compression: Parameters of the network by those left, as paper 2 counts.
        numbers: Stored numbers that are not zero, after `shrink`.
        bytes: Size of the weights file.
        spread: Name → standard deviation over the runs, of `after` and `numbers`.
        config: The recipe of its first run.
        milliseconds: Of one call for one example, before and after `shrink`; `None`
            where it was not measured.
        more: Other test splits, for example `"unseen"` → score after fine-tuning.
    """

    recipe: str
    strength: str
    folds: list
    seeds: list
    validation: tuple | None
    before: tuple
    after: tuple
    difference: tuple
    compression: tuple
    numbers: tuple
    bytes: tuple
    spread: dict
    config: dict
    milliseconds: tuple | None = None
    more: dict = dataclasses.field(default_factory=dict)


def grid(recipes, strengths, repetitions, out):
    """`(config, folder)` of all runs.

    Args:
        recipes: Their names.
        strengths: Names of strengths; `None` for each recipe's own.
        repetitions: `(fold, seed)` of each; a seed of `None` is the recipe's.
        out: Folder of all of them.
    """
    labels = strengths or [""]
    for option, values in (("CONFIG", recipes), ("--strengths", labels)):
        if len(set(values)) < len(values):
            raise ValueError(f"{option} must differ. Received: {', '.join(values)}")
    runs = []
    for name, label in itertools.product(recipes, labels):
        config = configs.get(name)
        if "sparsify" not in config["stages"]:
            raise ValueError(f"Recipe {name} has no stage 'sparsify' to trade off.")
        if label:
            known = {str(key): value for key, value in configs.strengths(name).items()}
            if label not in known:
                raise ValueError(
                    f"`--strengths` of {name!r} must be of {', '.join(known)}. "
                    f"Received: {label!r}"
                )
            config = configs.with_strength(config, known[label])
        for fold, seed in repetitions:
            repeated = configs.repetition(config, fold, seed)
            folder = f"{fold}" if seed is None else f"{fold}_seed{seed}"
            runs.append((repeated, out / name / (label or "recipe") / folder))
    return runs


def train_all(runs):
    """Trains what is not there yet; runs with the same first stage share it."""
    groups = {}
    for config, folder in runs:
        groups.setdefault(_first_stage(config), []).append((config, folder))
    first, jobs = [], []
    for group in groups.values():
        folders = [folder for _, folder in group]
        waiting = [run for run in group if not run_folder.is_done(*run)]
        jobs += [(*run, folders) for run in waiting]
        is_there = any(_has_first_stage(group[0][0], folder) for folder in folders)
        if len(waiting) > 1 and not is_there:
            first.append(waiting[0])
    with workers.pool() as pool:
        for function, waiting, words in (
            (_pretrain, first, f"pre-training {len(first)} networks"),
            (_train, jobs, f"training {len(jobs)} runs"),
        ):
            if waiting:
                futures = [pool.submit(function, *job) for job in waiting]
                workers.wait(futures, words)


def _first_stage(config):
    """What the pre-trained network depends on, as text."""
    alike = {key: config[key] for key in ("seed", "model", "data", "optimizer", "loss")}
    return json.dumps([alike, config["stages"]["pretrain"]], sort_keys=True)


def _pretrain(config, folder):
    """The first stage of a run, in a worker process."""
    data = datasets.open_data(config)
    kept = run_folder.RunFolder(folder, config, data.strategy)
    stages.pretrain(config, data, kept, quiet=True)


def _train(config, folder, others):
    """One run, in a worker process; `others` may hold its pre-trained network."""
    from training import train

    _share_first_stage(config, folder, others)
    train.run(config, folder, quiet=True)


def _share_first_stage(config, folder, others):
    """Copies the pre-trained network of a run that begins alike, if there is one."""
    # Refuses a folder of another recipe.
    there = run_folder.RunFolder(folder, config, tf.distribute.get_strategy())
    if there.has("pretrain"):
        return
    for other in others:
        if _has_first_stage(config, other):
            model, log = other / "pretrain.keras", other / "pretrain.csv"
            checkpoints.replace(there.log("pretrain"), log.read_bytes())
            checkpoints.replace(folder / model.name, model.read_bytes())
            return


def _has_first_stage(config, folder):
    """Whether a folder keeps the pre-trained network of a run that begins alike."""
    kept = run_folder.read_config(folder)
    model, log = folder / "pretrain.keras", folder / "pretrain.csv"
    # It may be of a recipe that has been changed since.
    is_alike = kept is not None and _first_stage(kept) == _first_stage(config)
    return is_alike and model.exists() and log.exists()


def collect(runs, out, with_latency=False):
    """One `Point` for each recipe and strength."""
    grouped = {}
    for run in runs:
        recipe, strength, _ = run[1].relative_to(out).parts
        grouped.setdefault((recipe, strength), []).append(run)
    return [
        _point(recipe, "" if strength == "recipe" else strength, group, with_latency)
        for (recipe, strength), group in grouped.items()
    ]


def _point(recipe, strength, runs, with_latency):
    rows = [_measures(folder) for _, folder in runs]
    values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    others = [_other_tests(folder) for _, folder in runs]
    return Point(
        recipe,
        strength,
        [config["data"].get("fold") for config, _ in runs],
        [config["seed"] for config, _ in runs],
        **{"validation": None}
        | {name: results.mean_and_error(each) for name, each in values.items()},
        spread={
            name: float(np.std(values[name], ddof=1)) if len(rows) > 1 else None
            for name in ("after", "numbers")
        },
        config=runs[0][0],
        milliseconds=_milliseconds(runs[0][1]) if with_latency else None,
        more={
            name: results.mean_and_error([other[name] for other in others])
            for name in others[0]
        },
    )


def _measures(folder):
    scores, counts = run_folder.read_scores(folder)
    manifest = json.loads((folder / run_folder.PRESET / "metadata.json").read_text())
    before, after = (100 * scores["test"][key] for key in ("pretrain", "finetune"))
    held_out = {}
    if "validation" in scores:
        held_out["validation"] = 100 * scores["validation"]["finetune"]
    return {
        **held_out,
        "before": before,
        "after": after,
        "difference": after - before,
        "compression": counts["parameters"] / (counts["parameters"] - counts["zeros"]),
        "numbers": manifest["counts"]["nonzero"],
        "bytes": manifest["files"]["weights.safetensors"]["bytes"],
    }


def _other_tests(folder):
    """Name of each other test score → the score after fine-tuning, in percent."""
    scores, _ = run_folder.read_scores(folder)
    found = stages.other_tests(scores, "finetune")
    return {name: 100 * score for name, score in found.items()}


def _milliseconds(folder):
    """Of one call for one example, of the network before and after."""
    config = run_folder.read_config(folder)
    before = run_folder.load_model(folder / "pretrain.keras")
    after = cvzoo.from_preset(folder / run_folder.PRESET, compile=False, masked=False)
    return tuple(latency.one_example([before, after], seed=config["seed"]))


def cells(point):
    """Heading → text of a row of the table."""
    before, after = point.milliseconds or (None, None)
    return {
        "recipe": point.recipe,
        "strength": point.strength,
        "validation %": _text(point.validation),
        "test before %": _text(point.before),
        "test after %": _text(point.after),
        "difference": _text(point.difference, sign="+"),
        **{f"{name} %": _text(score) for name, score in point.more.items()},
        "compression": f"×{_text(point.compression, digits=0)}",
        "numbers": f"{point.numbers[0]:,.0f}",
        "bytes": f"{point.bytes[0]:,.0f}",
        "ms before": "" if before is None else f"{before:.2f}",
        "ms after": "" if after is None else f"{after:.2f}",
    }


def _text(mean_and_error, **style):
    if mean_and_error is None:
        return ""
    return results.plus_minus(*mean_and_error, **style)


def _rows(points):
    """Headings, and a row of texts for each point."""
    found = list(map(cells, points))
    # Of the point with the most: those of other data may have no other test splits.
    headings = max(found, key=len)
    return tuple(headings), [[row.get(key, "") for key in headings] for row in found]


def _narrow(points):
    """Headings and rows that fit a terminal of 80 columns."""
    headings = ("recipe", "test after %", "difference", "compression", "bytes")
    rows = []
    for point in points:
        row = cells(point)
        recipe = f"{point.recipe} {point.strength}".strip()
        rows.append([recipe, *(row[heading] for heading in headings[1:])])
    return headings, rows


def write(points, out):
    """Writes `points.json`, `table.md` and `tradeoff.png`."""
    rows = [dataclasses.asdict(point) for point in points]
    (out / "points.json").write_text(json.dumps(rows, indent=1) + "\n")
    table = results.markdown(*_rows(points), words=2)
    (out / "table.md").write_text(table, encoding="utf-8")
    curves = {}
    for point in points:
        curves.setdefault(point.recipe, []).append(point)
    metrics = {recipe_parts.metric_words(point.config) for point in points}
    pictures.score_by_compression(
        curves, out / "tradeoff.png", " or ".join(sorted(metrics))
    )


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.tradeoff",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("configs", nargs="+", help="recipes")
    parser.add_argument(
        "--strengths",
        help="names with commas, or `all` that the recipes' file has; without it, each "
        "recipe's own",
    )
    parser.add_argument(
        "--folds", default="0,1,2,3,4", help="numbers; seeds where data have no folds"
    )
    parser.add_argument("--seeds", help="numbers; the recipe's if left out")
    parser.add_argument("--out", type=Path, default=Path("out/tradeoff"))
    parser.add_argument(
        "--latency",
        action="store_true",
        help="measure it too, for the first fold, with nothing else running",
    )
    parser.add_argument("--quicktest", action="store_true", help="see training.train")
    options = parser.parse_args(arguments)
    try:
        runs = grid(*_plan(options), options.out)
        if options.quicktest:
            from training import train

            runs = [(train.quick(config), folder) for config, folder in runs]
        _check_data(config for config, _ in runs)
        train_all(runs)
    except (ValueError, CheckpointError, DivergenceError) as error:
        print(f"training.tradeoff: {error}", file=sys.stderr)
        return 2
    points = collect(runs, options.out, options.latency)
    write(points, options.out)
    console.print(results.rich_table(*_narrow(points)))
    console.print(f"Table and picture: {options.out}")
    return 0


def _check_data(recipes):
    """Raises where data are missing, before any worker starts."""
    for config in {config["data"]["name"]: config for config in recipes}.values():
        datasets.open_data(config)


def _plan(options):
    """Recipes, names of strengths, and `(fold, seed)` pairs, from the options."""
    strengths = None
    if options.strengths == "all":
        strengths = [str(key) for key in configs.strengths(options.configs[0])]
    elif options.strengths:
        strengths = [word.strip() for word in options.strengths.split(",")]
    folds = parse_folds(options.folds)
    seeds = [None]
    if options.seeds:
        seeds = parse_folds(options.seeds, option="--seeds")
    return options.configs, strengths, list(itertools.product(folds, seeds))


if __name__ == "__main__":
    sys.exit(main())
