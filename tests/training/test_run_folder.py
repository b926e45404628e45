"""Runs that are stopped, and go on; folders that cannot take a run."""

import json
import os

import keras
import numpy as np
import pytest

from training import compare, examples, run_folder, stages, train
from training import config as configs
from training.checkpoints import Checkpoint, CheckpointError
from training.run_folder import RunFolder

NAME = "two_layer_dense_complex_unit_ard_vd_digits"
EPOCHS = 3


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.fixture(scope="module")
def config():
    config = train.quick(configs.get(NAME))
    config["model"]["units"] = 16
    for stage in config["stages"].values():
        stage["epochs"] = EPOCHS
    return config


@pytest.fixture(scope="module")
def data(config):
    return examples.Data(config)


def run_in(path, config, data):
    """All stages, without a preset; returns what the run has in the end."""
    folder = RunFolder(path, config, data.strategy)
    trained = stages.train(config, data, folder, quiet=True)
    logs = {stage: folder.log(stage).read_text() for stage in config["stages"]}
    optimizer = [np.asarray(value) for value in trained.model.optimizer.variables]
    return trained.scores, logs, trained.model.get_weights() + optimizer


@pytest.fixture(scope="module")
def whole(tmp_path_factory, config, data):
    """A run that nothing stopped."""
    return run_in(tmp_path_factory.mktemp("whole"), config, data)


def assert_same(found, expected):
    assert found[0] == expected[0]
    assert found[1] == expected[1]
    for left, right in zip(found[2], expected[2], strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("stage", ["pretrain", "sparsify", "finetune"])
def test_a_run_goes_on_bit_by_bit(tmp_path, config, data, whole, monkeypatch, stage):
    save, begun = Checkpoint.save, []

    def save_or_stop(self, name, epoch, *rest):
        # After the epoch's row of the log, before its checkpoint: the row comes twice.
        if (name, epoch) == (stage, 2):
            raise Killed
        save(self, name, epoch, *rest)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Checkpoint, "save", save_or_stop)
        run_in(tmp_path, config, data)
    assert Checkpoint(tmp_path, config).load()[:2] == (stage, 1)

    class Begins(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            begun.append(epoch)

    with monkeypatch.context() as patched:
        make = RunFolder.callbacks
        patched.setattr(RunFolder, "callbacks", lambda *a: [Begins(), *make(*a)])
        found = run_in(tmp_path, config, data)
    assert_same(found, whole)
    left = len(config["stages"]) - list(config["stages"]).index(stage) - 1
    assert begun == [1, 2] + left * [0, 1, 2]  # No epoch is trained again in vain.


def test_a_stage_that_has_ended_is_not_trained_again(
    tmp_path, config, data, whole, monkeypatch
):
    def killed_while_saving(self, stage, model):
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(RunFolder, "keep", killed_while_saving)
        run_in(tmp_path, config, data)
    # All epochs are done, and the network of the stage is not kept yet.
    assert Checkpoint(tmp_path, config).load()[:2] == ("pretrain", EPOCHS)
    assert_same(run_in(tmp_path, config, data), whole)
    monkeypatch.setattr(keras.Model, "fit", killed_while_saving)
    found = run_in(tmp_path, config, data)
    assert found[0] == whole[0]


def test_a_folder_with_another_recipe_s_run_is_refused(tmp_path, config, data, capsys):
    RunFolder(tmp_path, config, data.strategy)
    other = {**config, "seed": 7}
    with pytest.raises(CheckpointError, match="seed was 0 and is 7. Give another"):
        RunFolder(tmp_path, other, data.strategy)
    arguments = [NAME, "--workdir", str(tmp_path), "--quicktest"]
    assert train.main(arguments) == 2
    assert "model.units was 16 and is" in capsys.readouterr().err
    assert json.loads((tmp_path / "config.json").read_text()) == config
    folder = tmp_path / "fold0"
    RunFolder(folder, config, data.strategy)
    comparison = [NAME, "--folds", "0", "--out", str(tmp_path), "--quicktest"]
    assert compare.main(comparison) == 2
    assert "another recipe" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_to_is_told_of(tmp_path, config, data):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be kept.*can be written to"):
        RunFolder(tmp_path / "file" / "run", config, data.strategy)


def test_a_full_disk_leaves_the_checkpoint(tmp_path, config, data, monkeypatch):
    folder = RunFolder(tmp_path, config, data.strategy)
    folder.checkpoint.save("pretrain", 3, {"model/0": np.zeros(2)})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", full)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    with pytest.raises(CheckpointError, match="No space.*goes on from epoch 3"):
        folder.keep("pretrain", model)
    assert folder.checkpoint.load().epoch == 3
    assert not folder.has("pretrain")
    assert sorted(os.listdir(tmp_path)) == ["checkpoint.safetensors", "config.json"]


def test_weights_that_are_no_numbers_replace_no_checkpoint(tmp_path, config, data):
    folder = RunFolder(tmp_path, config, data.strategy)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    (*_, keeper) = folder.callbacks("pretrain", model)
    keeper.set_model(model)
    keeper.on_epoch_end(0)
    model.layers[0].bias.assign([np.nan])
    keeper.on_epoch_end(1)
    assert folder.checkpoint.load().epoch == 1


def test_a_run_can_be_removed_and_other_files_stay(tmp_path, config, data):
    folder = RunFolder(tmp_path, config, data.strategy)
    folder.checkpoint.save("pretrain", 1, {})
    for name in ("pretrain.keras", "pretrain.csv", "scores.json", "notes.txt"):
        (tmp_path / name).touch()
    run_folder.remove(tmp_path)
    assert os.listdir(tmp_path) == ["notes.txt"]
    run_folder.remove(tmp_path / "none")
