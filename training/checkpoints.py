"""Checkpoints of a run: one file, written aside and then renamed.

So whatever stops a run, and whenever, the file is the whole of one epoch's end or of
an earlier one's.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors
import safetensors.numpy
from keras import ops as kops

NAME = "checkpoint.safetensors"
ASIDE = ".part"  # How files end that are being written.


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written, is damaged, or is of another run."""


class State(NamedTuple):
    """Where a run stands.

    Attributes:
        stage: Name of the stage.
        epoch: How many epochs of it are done.
        arrays: Name → numpy array.
    """

    stage: str
    epoch: int
    arrays: dict


class Checkpoint:
    """The one checkpoint of a run.

    Args:
        folder: Folder of the run.
        config: The recipe; a checkpoint of another one is refused.
    """

    def __init__(self, folder, config):
        self.path = Path(folder) / NAME
        self.digest = digest(config)

    def save(self, stage, epoch, arrays):
        """Replaces the checkpoint.

        Args:
            stage, epoch, arrays: As of `State`.

        Raises:
            CheckpointError: The disk is full, or the folder cannot be written to. The
                checkpoint before is still there.
        """
        about = {
            "config": self.digest,
            "stage": stage,
            "epoch": str(epoch),
            "arrays": _digest_of_arrays(arrays),
        }
        arrays = {name: np.asarray(one, order="C") for name, one in arrays.items()}
        data = safetensors.numpy.save(arrays, metadata=about)
        try:
            replace(self.path, data)
        except OSError as error:
            raise CheckpointError(
                f"The checkpoint after epoch {epoch} of stage '{stage}' cannot be "
                f"written: {error}. Make room, or let the folder be written to, and "
                f"start the same command again: it goes on from {self.describe()}."
            ) from error

    def load(self):
        """The `State` that was saved last, or `None` if there is none.

        Raises:
            CheckpointError: It is damaged, or of another recipe.
        """
        if not self.path.exists():
            return None
        try:
            with safetensors.safe_open(self.path, framework="np") as file:
                about = file.metadata() or {}
                names = file.keys()
                arrays = {name: file.get_tensor(name) for name in names}
            if about["arrays"] != _digest_of_arrays(arrays):
                raise ValueError("its numbers are not those that were saved")
            state = State(about["stage"], int(about["epoch"]), arrays)
        except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
            raise CheckpointError(
                f"{self.path} is damaged: {error}. Delete it to start the run anew."
            ) from error
        if about["config"] != self.digest:
            raise CheckpointError(
                f"{self.path} is of another recipe than the one that is to run. Give "
                "another --workdir, or delete it to start anew."
            )
        return state

    def describe(self):
        """What there is, in words."""
        try:
            state = self.load()
        except CheckpointError as error:
            return str(error)
        if state is None:
            return "the start, as there is no checkpoint yet"
        return f"epoch {state.epoch} of stage '{state.stage}', {self.path}"

    def remove(self):
        """Deletes it, when the run has ended."""
        self.path.unlink(missing_ok=True)


def digest(data):
    """A hash of JSON data, whatever the order of its keys."""
    text = json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def arrays_of(**objects):
    """Numbers of models and optimizers, `<argument>/<number>` → numpy array.

    By position, as paths are not unique in nested models. A model's variables hold
    masks, moving statistics and states of random generators too.
    """
    return {
        f"{name}/{number}": kops.convert_to_numpy(variable)
        for name, one in objects.items()
        for number, variable in enumerate(one.variables)
    }


def assign(arrays, **objects):
    """Gives models and optimizers the numbers of `arrays_of`."""
    for name, one in objects.items():
        found = sum(key.startswith(f"{name}/") for key in arrays)
        if found != len(one.variables):
            raise CheckpointError(
                f"The checkpoint has {found} variables of the {name}, which has "
                f"{len(one.variables)}. It was made by another version: delete it to "
                "start anew."
            )
        for number, variable in enumerate(one.variables):
            value = arrays[f"{name}/{number}"]
            if tuple(value.shape) != tuple(variable.shape):
                raise CheckpointError(
                    f"Variable {variable.path} of the {name} has shape "
                    f"{tuple(variable.shape)}, in the checkpoint {value.shape}. It was "
                    "made by another version: delete it to start anew."
                )
            variable.assign(value)


def _digest_of_arrays(arrays):
    whole = hashlib.sha256()
    for name in sorted(arrays):
        value = np.asarray(arrays[name], order="C")
        whole.update(f"{name} {value.dtype} {value.shape}".encode())
        whole.update(value.tobytes())
    return whole.hexdigest()


def replace(path, data):
    """Writes a file aside, and puts it in place when it is on the disk."""
    aside = path.with_name(f".{path.name}.{os.getpid()}{ASIDE}")
    try:
        aside.write_bytes(data)
        move(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def move(aside, path):
    """Puts a file that was written aside in place of another, whole or not at all."""
    _sync(aside)
    os.replace(aside, path)
    _sync(path.parent)  # the rename itself


def _sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
