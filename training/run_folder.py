"""The folder of a run: what it keeps there, and where it goes on after a kill.

Each stage leaves its model, `STAGE.keras`, and its log, `STAGE.csv`. While a stage
runs, `checkpoint.safetensors` holds the end of its last epoch. All workers of a run
must see the same folder; only the first of them writes.
"""

import contextlib
import csv
import json
import shutil
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np

from training import checkpoints, distribution
from training import config as configs
from training.checkpoints import Checkpoint, CheckpointError

CONFIG, SCORES = "config.json", "scores.json"
PRESET, TEACHER = "preset", "teacher"


class RunFolder:
    """The folder of a run.

    Args:
        path: Where it is, or will be.
        config: The recipe.
        strategy: From `distribution.make_strategy`.

    Raises:
        CheckpointError: It holds a run of another recipe, or one that no recipe is
            known of, or is damaged.
        OSError: It cannot be written to.
    """

    def __init__(self, path, config, strategy):
        self.path = Path(path)
        self.strategy, self.stages = strategy, list(config["stages"])
        self.is_chief = distribution.is_chief(strategy)
        self.checkpoint = Checkpoint(self.path, config)
        kept = read_config(self.path)
        found = self._begun()
        if kept is None and found:
            raise CheckpointError(
                f"{self.path} has {', '.join(found)}, and no {CONFIG} that says of "
                "which recipe. Give another folder, or delete this one."
            )
        # Of a run that was refused there is nothing but its recipe.
        if kept is not None and kept != config and found:
            changed = [
                f"{key} was {there!r} and is {here!r}"
                for key, there, here in configs.differences(kept, config)
            ]
            raise CheckpointError(
                f"{self.path} holds a run of another recipe: {'; '.join(changed)}. "
                "Give another folder, or delete this one to start anew."
            )
        if self.is_chief:
            self.path.mkdir(parents=True, exist_ok=True)
            self._sweep()
            self.write(CONFIG, json.dumps(config, indent=1) + "\n")

    def _begun(self):
        """Names of files that tell of a run that has trained something."""
        found = [checkpoints.NAME, SCORES, TEACHER]
        return [
            *(path.name for path in sorted(self.path.glob("*.keras"))),
            *(name for name in found if (self.path / name).exists()),
        ]

    def _sweep(self):
        """Deletes what runs that were killed had begun to write."""
        for left in self.path.glob(f".*{checkpoints.ASIDE}"):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)

    def write(self, name, text):
        """Writes a text file, whole or not at all; on the first worker only."""
        if self.is_chief:
            checkpoints.replace(self.path / name, text.encode())

    def has(self, stage):
        """Whether a stage has ended."""
        return self._model(stage).exists()

    def load(self, stage):
        """The model of a stage that has ended, in the scope of the strategy."""
        with self.strategy.scope():
            return self.load_plain(stage)

    def load_plain(self, stage):
        """The model of a stage that has ended, in no scope."""
        return load_model(self._model(stage))

    def keep(self, stage, model):
        """Writes the model of a stage that has ended. All workers must call it."""
        aside = self.path if self.is_chief else None
        # Reading the variables waits for all workers: each saves, one keeps it.
        with tempfile.TemporaryDirectory(
            prefix=".", suffix=checkpoints.ASIDE, dir=aside
        ) as folder:
            saved = Path(folder) / "model.keras"
            model.save(saved)
            if self.is_chief:
                checkpoints.move(saved, self._model(stage))

    def resume(self, stage, model, optimizer):
        """Gives both the state of the last checkpoint, if it is of this stage.

        Returns:
            How many epochs of the stage are done.
        """
        state = self.checkpoint.load()
        epoch = 0
        if state is not None and state.stage == stage:
            optimizer.build(model.trainable_variables)
            checkpoints.assign(state.arrays, model=model, optimizer=optimizer)
            epoch = state.epoch
        if self.is_chief:
            _keep_rows(self.log(stage), epoch)
        return epoch

    def callbacks(self, stage, model):
        """What keeps a log and a checkpoint while a stage runs."""
        logger = keras.callbacks.CSVLogger(str(self.log(stage)), append=True)
        keeper = _KeepCheckpoint(self.checkpoint, stage, model, self.is_chief)
        return [logger, keeper] if self.is_chief else [keeper]

    def reopen(self):
        """The run has not ended, as long as its preset is not whole."""
        (self.path / SCORES).unlink(missing_ok=True)

    def end(self, scores):
        """Keeps the scores, which tell that the run has ended."""
        self.write(SCORES, json.dumps(scores, indent=1) + "\n")
        self.checkpoint.remove()

    def log(self, stage):
        """The log of a stage, one row an epoch."""
        return self.path / f"{stage}.csv"

    def logged(self, stage, key):
        """What the log of a stage has of a metric, a number for each epoch."""
        path = self.log(stage)
        if not path.exists():
            return []
        with open(path, newline="", encoding="utf-8") as file:
            return [float(row[key]) for row in csv.DictReader(file)]

    def where(self):
        """What workers that go on together must agree on."""
        state = self.checkpoint.load()
        return {
            "stages that ended": [stage for stage in self.stages if self.has(stage)],
            "checkpoint": None if state is None else [state.stage, state.epoch],
        }

    def _model(self, stage):
        return self.path / f"{stage}.keras"


class _KeepCheckpoint(keras.callbacks.Callback):
    """Replaces the checkpoint at the end of each epoch.

    Args:
        kept: The model to keep; another one than is fitted where a network learns from
            a teacher.
    """

    def __init__(self, checkpoint, stage, kept, is_chief):
        super().__init__()
        self.checkpoint, self.stage = checkpoint, stage
        self.kept, self.is_chief = kept, is_chief

    def on_epoch_end(self, epoch, logs=None):
        arrays = checkpoints.arrays_of(model=self.kept, optimizer=self.model.optimizer)
        # The last update may have made NaN, which the next epoch's loss will tell.
        if self.is_chief and all(np.all(np.isfinite(one)) for one in arrays.values()):
            self.checkpoint.save(self.stage, epoch + 1, arrays)


def load_model(path):
    """The model of a stage that has ended, from its file."""
    try:
        return keras.models.load_model(path)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} is damaged: {error}. Delete it, and start the same command "
            "again to train this stage anew."
        ) from error


def read_config(path):
    """The recipe of the run that a folder holds, or `None`."""
    path = Path(path) / CONFIG
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise CheckpointError(
            f"{path} is damaged: {error}. Delete the folder to start the run anew."
        ) from error


def read_scores(path):
    """Of the finished run in a folder: split → stage → accuracy, and its counts."""
    scores = json.loads((Path(path) / SCORES).read_text())
    counts = scores.pop("counts")
    return scores, counts


def is_done(config, path):
    """Whether a folder holds a finished run of a recipe, with whole scores."""
    if not (Path(path) / SCORES).exists() or read_config(path) != config:
        return False
    try:
        read_scores(path)
    except (ValueError, KeyError):  # Damaged, or of an earlier version.
        return False
    return True


def remove(path):
    """Deletes a run, and leaves other files of the folder."""
    path = Path(path)
    config = read_config(path)
    if config is None:
        return
    remove(path / TEACHER)
    models = [f"{stage}.keras" for stage in config["stages"]]
    logs = [f"{stage}.csv" for stage in config["stages"]]
    # The recipe last, which says what the others are.
    for name in (SCORES, checkpoints.NAME, *models, *logs, CONFIG):
        (path / name).unlink(missing_ok=True)


def _keep_rows(path, epochs):
    """Cuts a log after some epochs; what came later will be done again."""
    with contextlib.suppress(FileNotFoundError):
        lines = path.read_text().splitlines(keepends=True)
        if epochs == 0:
            path.unlink()
        elif len(lines) > epochs + 1:
            checkpoints.replace(path, "".join(lines[: epochs + 1]).encode())
