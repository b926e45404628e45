"""Accuracy of a preset on the data of its recipe.

    python -m training.evaluate NAME|FOLDER [--split test]

Prints one line of JSON.
"""

import argparse
import json
import sys

import cvzoo
from cvzoo import catalogue
from training import config
from training.examples import Data


def evaluate(name, split="test"):
    """Loss and metrics of a preset on a split of the data that its recipe names."""
    folder = catalogue.find(name)
    files = catalogue.read_files(folder, catalogue.read_manifest(folder))
    settings = catalogue.parse_json(files[catalogue.CONFIG], catalogue.CONFIG)
    if not settings.get("recipe"):
        raise ValueError(f"Preset {name} keeps no recipe, so its data is not known.")
    config.check(settings["recipe"])
    data = Data(settings["recipe"])
    if split not in data.examples:
        raise ValueError(f"`--split` must be one of {sorted(data.examples)}: {split!r}")
    model = cvzoo.from_preset(name, verify=True)
    batches, _ = data.evaluation(split)
    return model.evaluate(batches, return_dict=True, verbose=0)


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate", description=__doc__
    )
    parser.add_argument("preset", help="a name of `cvzoo list`, or a preset folder")
    parser.add_argument("--split", default="test")
    options = parser.parse_args(arguments)
    try:
        print(json.dumps(evaluate(options.preset, options.split)))
    except ValueError as error:
        print(f"training.evaluate: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
