"""The stages of a recipe: pre-train, sparsify, fine-tune, shrink; or train. Then save.

    python -m training.train CONFIG --workdir DIR [--set data.fold=1] [--quicktest]

Everything of a run is kept in DIR, its result in DIR/preset.
"""

import argparse
import copy
import dataclasses
import importlib
import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import cvzoo
from cvzoo import compiling
from cvzoo.models import registry
from training import config as configs
from training import distillation
from training.callbacks import DivergenceError, ProgressBar, StepDecay, StopOnNaN


@dataclasses.dataclass
class Trained:
    """A model after some stages.

    Attributes:
        model: The compiled model.
        scores: Split → stage → accuracy.
    """

    model: keras.Model
    scores: dict


class Data:
    """A recipe's data set in memory; the training order is fixed by (seed, epoch)."""

    def __init__(self, config):
        options = dict(config["data"])
        name, self.batch_size = options.pop("name"), options.pop("batch_size")
        self.options = options
        self.module = importlib.import_module(f"training.data.{name}")
        self.examples = {}
        for split in self.module.SPLITS:
            examples = self.module.load(split, **options)
            self.examples[split] = examples.batch(len(examples)).get_single_element()
        self.n_train = len(self.examples["train"][1])
        self.steps_per_epoch = -(-self.n_train // self.batch_size)
        self.seed = config["seed"]

    def training(self, epochs):
        """Batches of all epochs, one after the other."""
        inputs, labels = self.examples["train"]

        def epoch(number):
            places = tf.random.experimental.stateless_shuffle(
                tf.range(self.n_train), seed=[self.seed, number]
            )
            return tf.data.Dataset.from_tensor_slices(places).batch(self.batch_size)

        batches = tf.data.Dataset.range(epochs).flat_map(epoch)
        batches = batches.map(lambda at: (tf.gather(inputs, at), tf.gather(labels, at)))
        return batches.prefetch(tf.data.AUTOTUNE)

    def size(self, split):
        """Number of examples of a split."""
        return len(self.examples[split][1])

    def groups(self, split):
        """A number for each example that scores are told apart by, or `None`."""
        if not hasattr(self.module, "groups"):
            return None
        return self.module.groups(split, **self.options)

    def evaluation(self, split):
        """Batches of a split, in order."""
        return tf.data.Dataset.from_tensor_slices(self.examples[split]).batch(1024)


def first_stage(config):
    """`"pretrain"`, or `"train"` of a recipe that has no other."""
    return next(iter(config["stages"]))


def last_stage(config):
    """`"finetune"`, or `"train"`."""
    return list(config["stages"])[-1]


def pretrain(config, data, workdir=None, quiet=False):
    """The first stage: the network without a sparsifier."""
    stage = first_stage(config)
    keras.utils.set_random_seed(config["seed"])
    model = learner = cvzoo.create_model(**config["model"])
    compile_for(model, config)
    settings = config["stages"][stage]
    if "teacher" in settings:
        teacher = _teacher(config, data, workdir, quiet)
        learner = distillation.distiller(teacher, model, settings)
        compile_for(learner, config)
    fit(learner, config, stage, data, workdir, quiet, kept=model)
    return Trained(model, evaluate(model, data, stage))


def _teacher(config, data, workdir, quiet):
    """The trained network that another one learns from; kept in the run's folder."""
    teacher = distillation.teacher_config(config)
    if workdir is None:
        return pretrain(teacher, data, quiet=quiet).model
    folder = workdir / "teacher"
    if not configs.is_done(teacher, folder):
        run(teacher, folder, quiet)
    return keras.models.load_model(folder / f"{last_stage(teacher)}.keras")


def compress(config, pretrained, data, workdir=None, quiet=False):
    """The second and third stage; `pretrained` is left as it is.

    Returns:
        A `Trained` whose model has been pruned and fine-tuned, and is not shrunk.
    """
    model = sparsify(config, pretrained, data, workdir, quiet)
    model = cvzoo.prune(model, config["stages"]["finetune"]["threshold"])
    return finetune(config, model, pretrained.scores, data, workdir, quiet)


def sparsify(config, pretrained, data, workdir=None, quiet=False):
    """The second stage; returns its model, not pruned."""
    keras.utils.set_random_seed(config["seed"] + 1)
    stage = config["stages"]["sparsify"]
    terms = [make_sparsifier(term, stage, data) for term in stage["sparsifiers"]]
    sparsifier = sum(terms[1:], terms[0])
    model = cvzoo.sparsify(pretrained.model, sparsifier, n_train=data.n_train)
    compile_for(model, config)
    if stage["carry_moments"]:
        carry_moments(pretrained.model.optimizer, model.optimizer, model)
    fit(model, config, "sparsify", data, workdir, quiet)
    return model


def finetune(config, pruned, scores, data, workdir=None, quiet=False):
    """The third stage: a pruned model goes on with a fresh optimizer.

    Args:
        scores: Those of earlier stages.
    """
    compile_for(pruned, config)
    scores = evaluate(pruned, data, "pruned", scores)
    fit(pruned, config, "finetune", data, workdir, quiet)
    return Trained(pruned, evaluate(pruned, data, "finetune", scores))


def make_sparsifier(term, stage, data):
    """A sparsifier from its recipe, whose shares of a stage become steps."""
    arguments = dict(term)
    kind = getattr(cvzoo, arguments.pop("name"))
    if "ramp" in arguments:
        steps = stage["epochs"] * data.steps_per_epoch
        arguments["end_step"] = max(1, round(arguments.pop("ramp") * steps))
    return kind(**arguments)


def compile_settings(config):
    """What `compiling.compile_model` takes, from a recipe."""
    return {
        "loss": config["loss"],
        "from_logits": True,
        "metrics": config["metrics"],
        "learning_rate": config["optimizer"]["learning_rate"],
        "global_clipnorm": config["optimizer"]["global_clipnorm"],
    }


def compile_for(model, config):
    """Compiles a model as a recipe says, with a fresh optimizer."""
    compiling.compile_model(model, compile_settings(config))


def carry_moments(old, new, model):
    """Gives a new optimizer the moments and step count of an old one, by name.

    The runs of paper 2 do this from pre-training to sparsification. Variables that are
    new, such as `log_sigma2`, start at zero.
    """
    new.build(model.trainable_variables)
    known = {variable.path.rpartition("/")[2]: variable for variable in old.variables}
    for variable in new.variables:
        name = variable.path.rpartition("/")[2]
        if name in known and name != "learning_rate":
            variable.assign(known[name])


def fit(model, config, stage, data, workdir=None, quiet=False, kept=None):
    """Trains a model through one stage.

    Args:
        kept: The model to keep in the run's folder. Defaults to the one trained.
    """
    epochs = config["stages"][stage]["epochs"]
    optimizer = config["optimizer"]
    callbacks = [
        StopOnNaN(stage),
        StepDecay(
            optimizer["learning_rate"],
            optimizer["drop_factor"],
            configs.drops(config),
            epochs,
        ),
    ]
    if workdir is not None:
        callbacks.append(keras.callbacks.CSVLogger(str(workdir / f"{stage}.csv")))
    if not quiet:
        callbacks.append(ProgressBar(stage, epochs))
    try:
        model.fit(
            data.training(epochs),
            epochs=epochs,
            steps_per_epoch=data.steps_per_epoch,
            shuffle=False,
            callbacks=callbacks,
            verbose=0,
        )
    except DivergenceError:
        for callback in callbacks:
            callback.on_train_end()  # Keras calls it after a normal end only.
        raise
    if workdir is not None:
        (kept or model).save(workdir / f"{stage}.keras")


def evaluate(model, data, stage, scores=None):
    """Accuracy on validation and test, added to the scores of earlier stages."""
    scores = {
        split: dict((scores or {}).get(split, {})) for split in ("validation", "test")
    }
    for split, by_stage in scores.items():
        found = model.evaluate(data.evaluation(split), return_dict=True, verbose=0)
        by_stage[stage] = float(found["accuracy"])
    return scores


def save(compact, baseline, trained, config, data, folder):
    """Keeps a model as a preset; `baseline` is `None` where it was not compressed."""
    images, _ = data.examples["validation"]
    name, model = config["name"], config["model"]
    kinds = [model[key] for key in ("field", "layer") if key in model]
    scores = {
        "metric": f"accuracy, test split of {data.module.ABOUT['name']}",
        "test": round(trained.scores["test"][last_stage(config)], 4),
        "validation": round(trained.scores["validation"][last_stage(config)], 4),
    }
    if baseline is not None:
        before = trained.scores["test"][first_stage(config)]
        scores["test before compression"] = round(before, 4)
    return cvzoo.save_preset(
        compact,
        folder,
        name=name,
        description=(
            f"`{model['name']}`, {', '.join(kinds)}, "
            f"made by `python -m training.train {name}`."
        ),
        baseline=baseline,
        compile=compile_settings(config),
        config=config,
        scores=scores,
        data=data.module.ABOUT,
        classes=data.module.CLASSES,
        # Few digits, as they are kept as text.
        examples=np.round(images[:2], 4),
        overwrite=True,
    )


def run(config, workdir, quiet=False):
    """All stages of a recipe; returns the `Trained` model, saved, shrunk if pruned."""
    workdir = Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    # Its scores tell that a run has ended.
    (workdir / "scores.json").unlink(missing_ok=True)
    (workdir / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    data = Data(config)
    trained = pretrain(config, data, workdir, quiet)
    compact, baseline = trained.model, None
    if "sparsify" in config["stages"]:
        baseline = trained.model
        trained = compress(config, trained, data, workdir, quiet)
        compact = cvzoo.shrink(trained.model)
    folder = save(compact, baseline, trained, config, data, workdir / "preset")
    (workdir / "scores.json").write_text(json.dumps(trained.scores, indent=1) + "\n")
    if not quiet:
        for stage in trained.scores["test"]:
            found = {split: scores[stage] for split, scores in trained.scores.items()}
            print(
                f"{stage:9} accuracy "
                + "  ".join(f"{k} {v:.3f}" for k, v in found.items())
            )
        print(cvzoo.compression_report(compact, baseline))
        print(f"Preset: {folder}")
    return dataclasses.replace(trained, model=compact)


def quick(config):
    """A copy with one epoch a stage, of a tiny network and few examples."""
    config = copy.deepcopy(config)
    tiny = registry.tiny_arguments(config["model"]["name"])
    size = registry.size_argument(config["model"]["name"])
    config["model"][size] = tiny[size]
    for option in config["data"]:
        if option.startswith("n_"):
            config["data"][option] = 256
    for stage in config["stages"].values():
        stage["epochs"] = 1
        if "teacher" in stage:
            stage["teacher"] = quick(configs.get(stage["teacher"]))
    return config


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.train", description=__doc__
    )
    parser.add_argument(
        "config", help="a recipe, for example " + next(iter(configs.names()))
    )
    parser.add_argument("--workdir", required=True, type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--quicktest", action="store_true", help="one epoch a stage")
    options = parser.parse_args(arguments)
    try:
        config = configs.get(options.config, options.set)
        run(quick(config) if options.quicktest else config, options.workdir)
    except (ValueError, DivergenceError) as error:
        print(f"training.train: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
