"""The stages of a recipe: pre-train, sparsify, prune and fine-tune; or train.

A stage that has ended in the run's folder is read from there, and one that was stopped
goes on after its last whole epoch.
"""

import contextlib
import dataclasses
import functools

import keras
import numpy as np
import tensorflow as tf

import cvzoo
from cvzoo import compiling
from training import (
    distillation,
    distribution,
    keras_gaps,
    optimizers,
    recipe_parts,
)
from training.callbacks import DivergenceError, ProgressBar, StepDecay, StopOnNaN
from training.cluster import DistributionError
from training.run_folder import TEACHER, RunFolder


@dataclasses.dataclass
class Trained:
    """A model after some stages.

    Attributes:
        model: The compiled model.
        scores: Split → stage → score, see `examples.Data.metric`.
    """

    model: keras.Model
    scores: dict


def train(config, data, folder=None, quiet=False):
    """All stages of a recipe.

    Args:
        config: The recipe.
        data: Its `Data`, whose strategy trains.
        folder: `RunFolder`, or `None` to keep nothing.
        quiet: Whether no progress is shown.

    Returns:
        A `Trained`.
    """
    trained = pretrain(config, data, folder, quiet)
    if "sparsify" in config["stages"]:
        trained = compress(config, trained, data, folder, quiet)
    return trained


def pretrain(config, data, folder=None, quiet=False):
    """The first stage: the network without a sparsifier."""
    stage = recipe_parts.first_stage(config)
    if folder is not None and folder.has(stage):
        model = folder.load(stage)
    else:
        model = _pretrained(config, stage, data, folder, quiet)
    return Trained(model, evaluate(model, data, stage))


def _pretrained(config, stage, data, folder, quiet):
    settings, teacher = config["stages"][stage], None
    if "teacher" in settings:
        teacher = _teacher(config, data, folder, quiet)
    keras.utils.set_random_seed(config["seed"])
    with data.strategy.scope():
        model = learner = cvzoo.create_model(**config["model"])
        compile_for(model, config, data.strategy)
        if teacher is not None:
            learner = distillation.distiller(teacher, model, settings)
            compile_for(learner, config, data.strategy)
            # Not used, and without variables its file could not be loaded.
            model.optimizer.build(model.trainable_variables)
    fit(learner, config, stage, data, folder, quiet, kept=model)
    return model


def _teacher(config, data, folder, quiet):
    """The trained network that another one learns from; kept in the run's folder."""
    if data.strategy.num_replicas_in_sync > 1:
        raise DistributionError(
            "Learning from a teacher works on one device: Keras' distillation ignores "
            "the sample weights that make shares of a batch equal. Received: "
            f"{data.strategy.num_replicas_in_sync} replicas. Use --strategy one_device."
        )
    teacher = distillation.teacher_config(config)
    if folder is not None:
        folder = RunFolder(folder.path / TEACHER, teacher, data.strategy)
    trained = train(teacher, data, folder, quiet)
    if folder is not None:
        folder.checkpoint.remove()
    return trained.model


def compress(config, pretrained, data, folder=None, quiet=False):
    """The second and third stage; `pretrained` is left as it is.

    Returns:
        A `Trained` whose model has been pruned and fine-tuned, and is not shrunk.
    """
    model = sparsify(config, pretrained, data, folder, quiet)
    with data.strategy.scope():
        model = cvzoo.prune(model, config["stages"]["finetune"]["threshold"])
    return finetune(config, model, pretrained.scores, data, folder, quiet)


def sparsify(config, pretrained, data, folder=None, quiet=False):
    """The second stage; returns its model, not pruned."""
    if folder is not None and folder.has("sparsify"):
        return folder.load("sparsify")
    keras.utils.set_random_seed(config["seed"] + 1)
    stage = config["stages"]["sparsify"]
    terms = [make_sparsifier(term, stage, data) for term in stage["sparsifiers"]]
    sparsifier = sum(terms[1:], terms[0])
    with data.strategy.scope():
        model = cvzoo.sparsify(pretrained.model, sparsifier, n_train=data.n_train)
        compile_for(model, config, data.strategy)
        if stage["carry_moments"]:
            carry_moments(pretrained.model.optimizer, model.optimizer, model)
    fit(model, config, "sparsify", data, folder, quiet)
    return model


def finetune(config, pruned, scores, data, folder=None, quiet=False):
    """The third stage: a pruned model goes on with a fresh optimizer.

    Args:
        scores: Those of earlier stages.
    """
    with data.strategy.scope():
        compile_for(pruned, config, data.strategy)
    scores = evaluate(pruned, data, "pruned", scores)
    if folder is not None and folder.has("finetune"):
        pruned = folder.load("finetune")
    else:
        fit(pruned, config, "finetune", data, folder, quiet)
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
    optimizer = config["optimizer"]
    rest = {"clipnorm": optimizer["clipnorm"]} if "clipnorm" in optimizer else {}
    return {
        "loss": config["loss"],
        "from_logits": config.get("from_logits", True),
        "metrics": config["metrics"],
        "learning_rate": optimizer["learning_rate"],
        "global_clipnorm": optimizer["global_clipnorm"],
        **rest,
    }


def compile_for(model, config, strategy=None):
    """Compiles a model as a recipe says, with a fresh optimizer."""
    adam = keras.optimizers.Adam
    if strategy is not None and strategy.num_replicas_in_sync > 1:
        adam = keras_gaps.Adam
        distribution.synchronize_batch_norm(model)
    elif not tf.distribute.has_strategy():
        adam = optimizers.FusedAdam
    if epsilon := config["optimizer"].get("epsilon"):
        adam = functools.partial(adam, epsilon=epsilon)
    compiling.compile_model(model, compile_settings(config), adam)


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


def fit(model, config, stage, data, folder=None, quiet=False, kept=None):
    """Trains a model through one stage.

    Args:
        kept: The model to keep in the run's folder. Defaults to the one trained.
    """
    kept = kept or model
    epochs, first = config["stages"][stage]["epochs"], 0
    optimizer = config["optimizer"]
    callbacks = [
        StopOnNaN(stage),
        StepDecay(
            optimizer["learning_rate"],
            recipe_parts.drop_factors(config),
            recipe_parts.drops(config),
            epochs,
        ),
    ]
    watch = None
    if recipe_parts.stops_early(config["stages"][stage]):
        watch = data.watch(config["stages"][stage]["early_stopping"])
        # Before the log, which keeps what it finds.
        callbacks.append(watch)
    if folder is not None:
        with data.strategy.scope():
            first = folder.resume(stage, kept, model.optimizer)
        callbacks += folder.callbacks(stage, kept)
        if watch is not None:
            go_on(watch, folder.logged(stage, watch.name)[:first])
    if not quiet:
        if first:
            print(f"Goes on after epoch {first} of stage '{stage}'.")
        callbacks.append(ProgressBar(stage, epochs, first))
    if first < epochs and not (watch is not None and watch.is_stopped):
        batches = data.training(epochs, first)
        try:
            with keras_gaps.filled_for(data.strategy):
                model.fit(
                    batches,
                    initial_epoch=first,
                    epochs=epochs,
                    steps_per_epoch=data.steps_per_epoch,
                    shuffle=False,
                    callbacks=callbacks,
                    verbose=0,
                )
        except BaseException:
            # Keras calls it after a normal end only. A log that was not begun has none.
            for callback in callbacks:
                with contextlib.suppress(AttributeError, OSError):
                    callback.on_train_end()
            raise
    _check_finite(kept, stage)
    if folder is not None:
        folder.keep(stage, kept)


def go_on(watch, history):
    """Gives a callback that watches the validation score those of earlier epochs."""
    for score in history:
        watch.stopping.update(score)
    watch.set_state({"history": history, "stopping": watch.stopping.get_state()})


def _check_finite(model, stage):
    """Raises where the last step, which no loss came after, made NaN."""
    for variable in model.variables:
        if not np.all(np.isfinite(keras.ops.convert_to_numpy(variable))):
            raise DivergenceError(
                f"Variable {variable.path} is not finite at the end of stage "
                f"'{stage}', whose network is not kept. Try a smaller learning rate or "
                "`global_clipnorm`."
            )


def evaluate(model, data, stage, scores=None):
    """Scores of the splits that are not trained on, added to earlier ones."""
    found = data.scores(model)
    earlier = scores or {}
    return {
        split: {**earlier.get(split, {}), stage: score}
        for split, score in found.items()
    }


def other_tests(scores, stage):
    """What other scores of test data are called → score after a stage.

    Args:
        scores: Split → stage → score. Those of `test_…` are others.
        stage: Name of the stage.
    """
    return {
        split.removeprefix("test_").replace("_", " "): by_stage[stage]
        for split, by_stage in scores.items()
        if split.startswith("test_")
    }
