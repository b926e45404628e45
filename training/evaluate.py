"""Scores of a preset on the data of its recipe; or runs beside published values.

    python -m training.evaluate NAME|FOLDER [--split test]

Prints one line of JSON.

    python -m training.evaluate --against-published FOLDER [FOLDER …]

Compares finished runs of paper 2's networks for images, in these folders or below, with
what the paper published: a table, and exit status 1 where something does not agree.
"""

import argparse
import json
import sys

import cvzoo
from cvzoo import catalogue
from training import config
from training.checkpoints import CheckpointError
from training.datasets import open_data
from training.published import report


def recipe_of(name):
    """The recipe that a preset keeps, checked."""
    recipe = catalogue.recipe_of(catalogue.find(name))
    if not recipe:
        raise ValueError(f"Preset {name} keeps no recipe, so its data is not known.")
    config.check(recipe)
    return recipe


def data_of(name, split):
    """The data that a preset's recipe names, which must have a split."""
    data = open_data(recipe_of(name))
    if split not in data.splits:
        raise ValueError(f"`--split` must be one of {sorted(data.splits)}: {split!r}")
    return data


def evaluate(name, split="test"):
    """Loss and metrics of a preset on a split of its data."""
    data = data_of(name, split)
    model = cvzoo.from_preset(name, verify=True)
    return data.measures(model, split)


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "preset", nargs="?", help="a name of `cvzoo list`, or a preset folder"
    )
    parser.add_argument("--split", help="of the preset's data; default: test")
    parser.add_argument(
        "--against-published",
        nargs="+",
        metavar="FOLDER",
        help="folders of runs, or folders that runs are in",
    )
    options = parser.parse_args(arguments)
    if (options.preset is None) == (options.against_published is None):
        parser.error("give either a preset or --against-published with folders")
    if options.against_published is not None and options.split is not None:
        parser.error("--split is for presets: what was published is of test splits")
    try:
        if options.against_published is not None:
            return report.show(options.against_published)
        split = "test" if options.split is None else options.split
        print(json.dumps(evaluate(options.preset, split)))
    except (ValueError, CheckpointError) as error:
        print(f"training.evaluate: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
