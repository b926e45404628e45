"""Runs that are stopped, and go on; folders that cannot take a run."""

import json
import os

import keras
import numpy as np
import pytest

import cvzoo
from training import compare, datasets, run_folder, stages, train
from training import config as configs
from training.callbacks import DivergenceError
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
    return datasets.open_data(config)


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
    def killed_while_saving(*_, **__):
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
    (tmp_path / "pretrain.keras").touch()
    other = {**config, "seed": 7}
    with pytest.raises(CheckpointError, match="seed was 0 and is 7. Give another"):
        RunFolder(tmp_path, other, data.strategy)
    arguments = [NAME, "--workdir", str(tmp_path), "--quicktest"]
    assert train.main(arguments) == 2
    assert "model.units was 16 and is" in capsys.readouterr().err
    assert json.loads((tmp_path / "config.json").read_text()) == config
    folder = tmp_path / "fold0"
    RunFolder(folder, config, data.strategy)
    (folder / "pretrain.keras").touch()
    comparison = [NAME, "--folds", "0", "--out", str(tmp_path), "--quicktest"]
    assert compare.main(comparison) == 2
    assert "another recipe" in capsys.readouterr().err


@pytest.mark.slow
def test_a_recipe_that_was_refused_does_not_keep_the_folder(tmp_path, capsys):
    arguments = [NAME, "--workdir", str(tmp_path), "--quicktest"]
    assert train.main([*arguments, "--set", "model.field=quaternion"]) == 2
    assert "`field` must be" in capsys.readouterr().err
    assert train.main(arguments) == 0


def full(*_, **__):
    raise OSError(28, "No space left on device")


def test_a_folder_that_cannot_be_written_to_is_told_of(tmp_path, config):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be kept in .*Make room, or let"):
        train.run(config, tmp_path / "file" / "run", quiet=True)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        pytest.param(keras.callbacks.CSVLogger, "on_epoch_end", marks=pytest.mark.slow),
        pytest.param(keras.Model, "save", marks=pytest.mark.slow),
        pytest.param(cvzoo, "save_preset", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_stops_a_run_which_then_goes_on(
    tmp_path, config, whole, monkeypatch, owner, name
):
    with (
        monkeypatch.context() as patched,
        pytest.raises(CheckpointError, match="No space.*start the same command again"),
    ):
        patched.setattr(owner, name, full)
        train.run(config, tmp_path, quiet=True)
    assert not run_folder.is_done(config, tmp_path)
    assert train.run(config, tmp_path, quiet=True).scores == whole[0]
    assert run_folder.is_done(config, tmp_path)
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.slow
def test_a_recipe_with_a_tuple_goes_on(tmp_path):
    arguments = [NAME, "--workdir", str(tmp_path), "--quicktest"]
    arguments += ["--set", "model.input_shape=(8, 8, 1)"]
    assert train.main(arguments) == 0
    assert train.main(arguments) == 0


def test_stages_of_no_known_recipe_are_refused(tmp_path, config, data):
    RunFolder(tmp_path, config, data.strategy)
    (tmp_path / "sparsify.keras").touch()
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match="has sparsify.keras, and no config.json"):
        RunFolder(tmp_path, config, data.strategy)


def test_damaged_files_are_named(tmp_path, config, data):
    folder = RunFolder(tmp_path, config, data.strategy)
    (tmp_path / "pretrain.keras").write_bytes(b"PK")
    with pytest.raises(CheckpointError, match="pretrain.keras is damaged.*Delete it"):
        folder.load("pretrain")
    path = tmp_path / "config.json"
    path.write_text(path.read_text()[:20])
    with pytest.raises(CheckpointError, match="config.json is damaged"):
        RunFolder(tmp_path, config, data.strategy)


def test_what_killed_runs_had_begun_to_write_is_deleted(tmp_path, config, data):
    (tmp_path / ".checkpoint.safetensors.123.part").touch()
    (tmp_path / ".abc.part").mkdir()
    (tmp_path / ".abc.part" / "model.keras").touch()
    (tmp_path / ".other").touch()
    RunFolder(tmp_path, config, data.strategy)
    assert sorted(os.listdir(tmp_path)) == [".other", "config.json"]


def test_a_last_step_that_makes_nan_keeps_no_network(
    tmp_path, config, data, monkeypatch
):
    class Poison(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            self.model.trainable_variables[0].assign(
                self.model.trainable_variables[0] * np.nan
            )

    make = RunFolder.callbacks
    monkeypatch.setattr(RunFolder, "callbacks", lambda *a: [*make(*a), Poison()])
    with pytest.raises(DivergenceError, match="not finite at the end of .*pretrain"):
        run_in(tmp_path, config, data)
    assert not (tmp_path / "pretrain.keras").exists()


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
    RunFolder(tmp_path / run_folder.TEACHER, config, data.strategy)
    folder.checkpoint.save("pretrain", 1, {})
    for name in ("pretrain.keras", "pretrain.csv", "scores.json", "notes.csv"):
        (tmp_path / name).touch()
    run_folder.remove(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["notes.csv", "teacher"]
    assert os.listdir(tmp_path / "teacher") == []
    run_folder.remove(tmp_path / "none")
