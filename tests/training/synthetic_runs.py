"""Synthetic result files of paper 2's networks: no network was trained for them."""

import dataclasses
import json

from training.published import cells, report, runs
from training.published.cells import COMPRESSED, UNCOMPRESSED, Cell

C_CONV = Cell("simple_conv", "complex", 1, "raw", "mnist")
R_DENSE = Cell("two_layer_dense", "real", 1, "raw", "mnist")
C_VGG = Cell("vgg16", "complex", 1, "raw", "cifar10")
SPARSIFIERS = {"vd": "VariationalDropout", "ard": "ARD"}


def compressed(cell, k, method="vd"):
    """The cell of a network after a method with the k-th strength."""
    return dataclasses.replace(cell, method=method, k=k)


def synthetic_recipe(cell, seed=0, **changes):
    """The paper's recipe of a cell; `changes` are of dotted keys, written with `__`."""
    is_cifar10 = cell.dataset == "cifar10"
    epochs = (20, 40, 20) if is_cifar10 else (40, 75, 40)
    data = {"name": cell.dataset, "batch_size": 128, "n_train": 10_000}
    if is_cifar10:
        data |= {"n_train": 50_000, "crop_padding": 4, "flips": 1}
    model = {"name": cell.model, "field": cell.field, "width": cell.width}
    model["classes"] = 26 if cell.dataset == "emnist_letters" else 10
    if cell.model != "vgg16":
        model["features"] = cell.features
    strength = 1.5 * 2 ** (-(cell.k or 0) / 2) * (5 if is_cifar10 else 1)
    name = SPARSIFIERS[cell.method or "vd"]
    recipe = {
        "name": "synthetic",
        "seed": seed,
        "model": model,
        "data": data,
        "optimizer": {
            "learning_rate": 1e-3,
            "drop_factor": 0.1,
            "drop_at": 10,
            "global_clipnorm": 0.5,
        },
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
        "stages": {
            "pretrain": {"epochs": epochs[0]},
            "sparsify": {
                "epochs": epochs[1],
                "sparsifiers": [{"name": name, "strength": strength}],
                "carry_moments": True,
            },
            "finetune": {"epochs": epochs[2], "threshold": -0.5},
        },
    }
    for dotted, value in changes.items():
        *parents, last = dotted.split("__")
        target = recipe
        for key in parents:
            target = target[key]
        target[last] = value
    return recipe


def synthetic_scores(cell, values=()):
    """Scores as published, but for `values`, a dictionary by quantity."""
    plain = UNCOMPRESSED[dataclasses.replace(cell, method=None, k=None)]
    published = COMPRESSED.get(cell, cells.Compressed(10))
    found = {
        "uncompressed": plain.medians[0],
        "compression": published.compression,
        "before": published.before or 0.5,
        "after": published.after or 0.5,
        **dict(values),
    }
    parameters = 1_000_000
    kept = round(parameters / found["compression"])
    return {
        "test": {
            "pretrain": found["uncompressed"],
            "pruned": found["before"],
            "finetune": found["after"],
        },
        "counts": {"parameters": parameters, "zeros": parameters - kept},
    }


def write(folder, recipe, scores):
    """The folder of a run; of one that has not ended, for scores of `None`."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(recipe))
    if scores is not None:
        (folder / "scores.json").write_text(json.dumps(scores))
    return folder


def write_run(folder, cell, seed=0, values=(), **changes):
    """The folder of a finished run of a cell."""
    scores = synthetic_scores(cell, values)
    return write(folder, synthetic_recipe(cell, seed, **changes), scores)


def compare(*folders):
    """Rows, and what is not compared, of all runs in some folders."""
    return report.compare(runs.find(folders))


def row_of(rows, cell, quantity):
    """The one row of a quantity of a cell."""
    (row,) = [row for row in rows if (row.cell, row.quantity) == (cell, quantity)]
    return row
