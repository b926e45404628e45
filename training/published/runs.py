"""Finished runs, as cells of the published tables."""

import dataclasses
import json
import math
from pathlib import Path
from typing import NamedTuple

from training.published import cells, protocol
from training.run_folder import CONFIG, SCORES, read_config

METHODS = {"VariationalDropout": "vd", "ARD": "ard"}
# What the paper had where a sparsifier has more than a strength; also the defaults.
OPTIONS = {
    "complex": {"kl": "exact", "group": "weight"},
    "real": {"kl": "approximate", "group": "weight"},
}
# Of a network whose recipe does not say.
FEATURES = {cells.DENSE: "fft"}
# A strength written with three digits is as near to its k.
NEAR_WHOLE = 0.02
SCORED = ("pretrain", "pruned", "finetune")


class Run(NamedTuple):
    """A run's folder, its recipe, and its scores, `None` before it has ended."""

    path: Path
    recipe: dict
    scores: dict | None


class Measured(NamedTuple):
    """What a run gave for a cell: quantity → value."""

    cell: cells.Cell
    run: Run
    values: dict


def find(folders):
    """Runs in some folders, or anywhere below them, each of them once.

    Raises:
        ValueError: A folder is missing, holds no run, or one that cannot be read.
        CheckpointError: A recipe is damaged.
    """
    places = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise ValueError(
                f"There is no folder {folder}. Give folders of runs, or folders that "
                "runs are in."
            )
        for path in sorted(folder.rglob(CONFIG)):
            places.setdefault(path.resolve(), path.parent)
    runs = [run for run in map(_read, places.values()) if run is not None]
    if not runs:
        raise ValueError(
            f"There is no run in {', '.join(map(str, folders))}, nor below: a run's "
            f"folder has a {CONFIG} with its recipe. Make one with `python -m "
            "training.train NAME --workdir DIR`."
        )
    return runs


def _read(path):
    """The `Run` of a folder; `None` where its file is no recipe, such as a preset's."""
    scores = path / SCORES
    try:
        recipe = read_config(path)
        if not _is_recipe(recipe):
            return None
        found = json.loads(scores.read_text()) if scores.exists() else None
    except (ValueError, OSError) as error:
        raise ValueError(
            f"The run in {path} cannot be read: {error}. {_again(SCORES)}"
        ) from error
    return Run(path, recipe, found)


def _is_recipe(found):
    keys = ("model", "data", "optimizer", "stages")
    return isinstance(found, dict) and all(isinstance(found.get(k), dict) for k in keys)


def _again(what):
    return f"Start its command again, which writes {what} anew, and trains nothing."


def measure(run):
    """What a run gave: a list of `Measured`, and why more is not known, or `None`."""
    if run.scores is None:
        return [], f"no {SCORES}: not finished. Start its command again, to go on."
    cell = network(run.recipe)
    if cell not in cells.UNCOMPRESSED:
        return [], f"{cell} was not published"
    deviating = protocol.deviations(run.recipe, cell)
    if deviating:
        return [], f"other than the paper's runs: {'; '.join(deviating)}"
    before, pruned, after = _accuracies(run)
    measured = [Measured(cell, run, {"uncompressed": before})]
    compressed, reason = compressed_cell(run.recipe, cell)
    if reason is None and "counts" not in run.scores:
        reason = f"{SCORES} has no `counts`, of an earlier version. {_again('them')}"
    if reason is not None:
        return measured, f"only its uncompressed network is compared: {reason}"
    values = {"compression": _compression(run), "before": pruned, "after": after}
    return [*measured, Measured(compressed, run, values)], None


def network(recipe):
    """The `Cell` of a recipe's uncompressed network, published or not."""
    model = recipe["model"]
    name = model.get("name")
    return cells.Cell(
        model=name,
        field=model.get("field", "complex"),
        width=model.get("width", 1),
        features=model.get("features", FEATURES.get(name, "raw")),
        dataset=recipe["data"].get("name"),
    )


def compressed_cell(recipe, cell):
    """`(published cell, None)` of a recipe's compressed network, or `(None, reason)`.

    Args:
        recipe: One of the paper's protocol.
        cell: That of its uncompressed network.
    """
    terms = recipe["stages"]["sparsify"]["sparsifiers"]
    names = " + ".join(term["name"] for term in terms)
    if names not in METHODS:
        return None, f"sparsified by {names}; published: {' and '.join(METHODS)}, alone"
    (term,) = terms
    for option, paper in OPTIONS[cell.field].items():
        if term.get(option) not in (None, paper):
            return None, f"{names} has {option}={term[option]!r}; published: {paper!r}"
    strength = term.get("strength", 1.0)
    k = k_of(strength, cell.dataset)
    if abs(k - round(k)) > NEAR_WHOLE:
        return None, (
            f"strength {strength:g} is C = 1.5·2^(−k/2) with k = {k:.2f}; published: "
            "whole k"
        )
    found = dataclasses.replace(cell, method=METHODS[names], k=round(k))
    if found not in cells.COMPRESSED:
        return None, f"{found} was not published"
    return found, None


def k_of(strength, dataset):
    """The number of a strength, which need not be whole.

    The penalty of a weight is strength / n_train here and C·κ in the paper, whose κ was
    1e-4: one over the images of the sets like MNIST, and five over those of CIFAR-10.
    """
    factor = 5 if dataset == "cifar10" else 1
    return 2 * math.log2(1.5 * factor / strength)


def _accuracies(run):
    test = run.scores.get("test") if isinstance(run.scores, dict) else None
    found = [test.get(stage) for stage in SCORED] if isinstance(test, dict) else []
    if not found or not all(_is_number(one) and 0 <= one <= 1 for one in found):
        raise ValueError(
            f"{run.path / SCORES} must hold `test` accuracies, 0 to 1, of the stages "
            f"{', '.join(SCORED)}. Found: {test!r}. {_again(SCORES)}"
        )
    return found


def _compression(run):
    counts = run.scores["counts"]
    keys = ("parameters", "zeros")
    found = [counts.get(key) for key in keys] if isinstance(counts, dict) else []
    if not found or not all(map(_is_number, found)) or not 0 <= found[1] < found[0]:
        raise ValueError(
            f"{run.path / SCORES} must hold `counts` of `parameters`, and of fewer "
            f"`zeros`. Found: {counts!r}. {_again(SCORES)}"
        )
    parameters, zeros = found
    return parameters / (parameters - zeros)


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)
