"""The stages of a recipe: pre-train, sparsify, fine-tune, shrink; or train. Then save.

    python -m training.train CONFIG --workdir DIR [--set data.fold=1] [--quicktest]

Everything of a run is kept in DIR, its result in DIR/preset. Whatever stops a run, the
same command goes on after the last whole epoch.
"""

import argparse
import copy
import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import cvzoo
from cvzoo import reporting, weights
from cvzoo.models import registry
from training import (
    agreement,
    datasets,
    distribution,
    notes,
    recipe_parts,
    repeats,
    stages,
)
from training import config as configs
from training.callbacks import DivergenceError
from training.checkpoints import CheckpointError
from training.keras_gaps import KerasVersionError, has_several_workers
from training.run_folder import PRESET, RunFolder

# What TensorFlow raises on a worker when another one has gone.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


# Arguments of architectures that tell what a network is, in its description.
KINDS = ("field", "layer", "aggregation")


class WorkerLostError(RuntimeError):
    """Another worker of the run has ended, or cannot be reached."""


def save(compact, baseline, found, config, data, folder, more_scores=None):
    """Keeps a model as a preset; `baseline` is `None` where it was not compressed."""
    inputs, _ = data.arrays("validation" if "validation" in found else "test", first=2)
    name, model = config["name"], config["model"]
    kinds = [model[key] for key in KINDS if key in model]
    metric = recipe_parts.metric_words(config)
    scores = {"metric": f"{metric}, test split of {data.about['name']}"}
    for split, by_stage in reversed(found.items()):
        scores[split] = round(by_stage[recipe_parts.last_stage(config)], 4)
    if baseline is not None:
        before = found["test"][recipe_parts.first_stage(config)]
        scores["test before compression"] = round(before, 4)
    scores |= more_scores or {}
    return cvzoo.save_preset(
        compact,
        folder,
        name=name,
        description=(
            f"`{model['name']}`, {', '.join(kinds)}, "
            f"made by `python -m training.train {name}`."
        ),
        baseline=baseline,
        compile=stages.compile_settings(config),
        config=config,
        scores=scores,
        **notes.of_data(data.about),
        **notes.of_recipe(config),
        classes=data.classes,
        # Few digits, as they are kept as text.
        examples=keras.tree.map_structure(lambda one: np.round(one, 4), inputs),
        overwrite=True,
    )


def run(config, workdir, quiet=False, strategy=None):
    """All stages of a recipe, or those that are left of a run that was stopped.

    Args:
        config: The recipe.
        workdir: Folder that keeps the run.
        quiet: Whether nothing is printed.
        strategy: From `distribution.make_strategy`; one device for `None`.

    Returns:
        The `stages.Trained` model, which is shrunk where the recipe prunes; `None` on
        all workers but the first.

    Raises:
        CheckpointError: The folder holds another recipe's run, or nothing can be
            written.
        DivergenceError: The loss became NaN.
        WorkerLostError: Another worker ended.
    """
    # As it will be read: tuples become lists.
    config = json.loads(json.dumps(config))
    config.pop("devices", None)  # The result does not depend on them.
    data = datasets.open_data(config, strategy)
    data.check_fits(config["model"])
    strategy = data.strategy
    agreement.check_workers_agree(strategy, recipe=config)
    try:
        return _run(config, Path(workdir), data, quiet)
    except OSError as error:
        raise CheckpointError(
            f"The run cannot be kept in {workdir}: {error}. Make room, or let the "
            "folder be written to, and start the same command again: it goes on from "
            "what is there."
        ) from error
    except LOST as error:
        if not has_several_workers(strategy):
            raise
        raise WorkerLostError(
            "Another worker ended or cannot be reached. Start the same command on all "
            "workers again: the run goes on after its last whole epoch. "
            f"({type(error).__name__})"
        ) from error


def _run(config, workdir, data, quiet):
    folder = RunFolder(workdir, config, data.strategy)
    agreement.check_workers_agree(data.strategy, folder=folder.where())
    quiet = quiet or not folder.is_chief
    trained = stages.train(config, data, folder, quiet)
    finished = None
    if folder.is_chief:
        finished = finish(config, trained.scores, data, folder, quiet)
    distribution.wait_for_all(data.strategy)
    return finished


def finish(config, scores, data, folder, quiet=False):
    """Shrinks the last stage's network if it was pruned, and keeps it as a preset.

    The networks are read from the folder: they belong to no strategy, and are the same
    whether or not the run was stopped on its way.
    """
    trained, compact, baseline = networks(config, folder)
    folder.reopen()
    preset = save(compact, baseline, scores, config, data, folder.path / PRESET)
    folder.end({**scores, "counts": paper_counts(trained)})
    if not quiet:
        for stage in scores["test"]:
            found = {split: by_stage[stage] for split, by_stage in scores.items()}
            print(
                f"{stage:9} {recipe_parts.metric_words(config)} "
                + "  ".join(f"{k} {v:.3f}" for k, v in found.items())
            )
        print(cvzoo.compression_report(compact, baseline))
        score = scores["test"][recipe_parts.last_stage(config)]
        if beside := repeats.verdict(config, score, data.size("test")):
            print(beside)
        print(f"Preset: {preset}")
    return stages.Trained(compact, scores)


def networks(config, folder):
    """Of a run: the trained one, the same shrunk, and the one before, or `None`."""
    trained = folder.load_plain(recipe_parts.last_stage(config))
    if "sparsify" not in config["stages"]:
        return trained, trained, None
    before = folder.load_plain(recipe_parts.first_stage(config))
    return trained, cvzoo.shrink(trained), before


def paper_counts(model):
    """Parameters and zeros as paper 2 counts them, a complex weight as two.

    Before `shrink`, and without the moving statistics of batch norm: the paper's
    compression is `parameters / (parameters - zeros)`.
    """
    parameters, nonzero = reporting.counts(weights.named_tensors(model), buffers=False)
    return {"parameters": parameters, "zeros": parameters - nonzero}


def quick(config):
    """A copy with one epoch a stage, of a tiny network and few examples.

    Examples are synthetic where files would have to be downloaded.
    """
    config = copy.deepcopy(config)
    config["model"] = quick_model(config)
    for option, value in config["data"].items():
        # Of splits that it has.
        if option.startswith("n_") and value:
            config["data"][option] = 256
    options = recipe_parts.data_options(config["data"]["name"])
    if "synthetic" in options:
        config["data"]["synthetic"] = 1
    if "steps" in options:
        config["data"]["steps"] = 2
    if "protocol" in options:
        # Trabelsi's windows need longer recordings than synthetic ones are.
        config["data"] |= {"stride": 2048, "protocol": "nazarov"}
    if "half_videos" in options:
        config["data"]["batch_size"] = 8
    for stage in config["stages"].values():
        stage["epochs"] = 1
        if "teacher" in stage:
            stage["teacher"] = quick(configs.get(stage["teacher"]))
    return config


def quick_model(config):
    """The model of a recipe, made tiny."""
    model = dict(config["model"])
    tiny = registry.tiny_arguments(model["name"])
    size = registry.size_argument(model["name"])
    model[size] = tiny[size]
    # Of networks of frames.
    model |= {key: tiny[key] for key in ("clusters", "mixtures") if key in tiny}
    if "rank" in model:
        model["rank"] = min(model["rank"], tiny[size])
    return model


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "config", help="a recipe, for example " + next(iter(configs.names()))
    )
    parser.add_argument("--workdir", type=Path, help="by default out/CONFIG")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--quicktest", action="store_true", help="one epoch a stage")
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="the same bits each time on the same machine; slower",
    )
    distribution.add_options(parser)
    options = parser.parse_args(arguments)
    try:
        config = configs.get(options.config, options.set)
        # Before TensorFlow runs anything.
        settings = distribution.settings_from(options, config)
        strategy = distribution.make_strategy(settings)
        if options.deterministic:
            keras.utils.set_random_seed(config["seed"])
            tf.config.experimental.enable_op_determinism()
        config = quick(config) if options.quicktest else config
        workdir = options.workdir or Path("out", config["name"])
        run(config, workdir, strategy=strategy)
    except (ValueError, DivergenceError, CheckpointError, KerasVersionError) as error:
        print(f"training.train: {error}", file=sys.stderr)
        return 2
    except WorkerLostError as error:
        print(f"training.train: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
