"""Ships a run's network as a preset of the package, with how much seeds matter.

    python -m training.tradeoff RECIPE --folds 0 --seeds 0,1,2,3,4 --out DIR
    python -m training.publish DIR/RECIPE/recipe/0_seed0 --repeats DIR/points.json

Of data without folds, seeds are given as `--folds 0,1,2,3,4`, and the run is
`DIR/RECIPE/recipe/0`.

The preset's scores get the mean and the standard deviation of the test accuracy over
the seeds. A later run of the recipe says whether it is within three of them.
"""

import argparse
import json
import sys
from pathlib import Path

from cvzoo import catalogue
from training import config as configs
from training import datasets, repeats, run_folder, train
from training.checkpoints import CheckpointError


def publish(workdir, repeated, to=catalogue.SHIPPED):
    """Writes the preset of a finished run; returns its folder.

    Args:
        workdir: Folder of the run.
        repeated: What `repeats.scores_of` returned; `None` for none.
        to: Folder of the presets.
    """
    config = finished_recipe(workdir)
    scores, _ = run_folder.read_scores(workdir)
    data = datasets.open_data(config)
    folder = run_folder.RunFolder(workdir, config, data.strategy)
    _, compact, baseline = train.networks(config, folder)
    target = Path(to) / config["name"]
    return train.save(compact, baseline, scores, config, data, target, repeated)


def finished_recipe(workdir):
    """The recipe of a finished run, which must be the one of its name."""
    config = run_folder.read_config(workdir)
    if config is None or not run_folder.is_done(config, workdir):
        raise ValueError(
            f"{workdir} must hold a finished run: `python -m training.train NAME "
            f"--workdir {workdir}`."
        )
    recipe = json.loads(json.dumps(configs.get(config["name"])))
    changed = configs.differences(recipe, config)
    if changed:
        found = [f"{key} is {here!r} and not {there!r}" for key, there, here in changed]
        raise ValueError(
            f"{workdir} holds a run of a changed recipe, which a preset called "
            f"{config['name']!r} must not be of: {'; '.join(found)}."
        )
    return config


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.publish",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("workdir", type=Path, help="folder of a finished run")
    parser.add_argument("--repeats", type=Path, help="a trade-off's points.json")
    parser.add_argument("--to", type=Path, default=catalogue.SHIPPED)
    options = parser.parse_args(arguments)
    try:
        repeated = None
        if options.repeats is not None:
            config = finished_recipe(options.workdir)
            repeated = repeats.scores_of(options.repeats, config)
        print(publish(options.workdir, repeated, options.to))
    except (ValueError, OSError, CheckpointError) as error:
        print(f"training.publish: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
