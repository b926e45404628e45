"""Checkpoints: whole or not there, of the same run, and exact."""

import errno
import os

import keras
import numpy as np
import pytest

import cvzoo
from training import checkpoints
from training.checkpoints import Checkpoint, CheckpointError

CONFIG = {"name": "recipe", "seed": 0}
ARRAYS = {"model/0": np.arange(3, dtype=np.float32), "model/1": np.int64(7)}


def test_what_was_saved_last_comes_back(tmp_path):
    checkpoint = Checkpoint(tmp_path, CONFIG)
    assert checkpoint.load() is None
    checkpoint.save("pretrain", 1, {"model/0": np.zeros(2)})
    checkpoint.save("sparsify", 4, ARRAYS)
    # Another process, whose recipe has its keys in another order.
    state = Checkpoint(tmp_path, dict(reversed(CONFIG.items()))).load()
    assert (state.stage, state.epoch) == ("sparsify", 4)
    assert set(state.arrays) == set(ARRAYS)
    for name, value in ARRAYS.items():
        assert state.arrays[name].dtype == value.dtype
        np.testing.assert_array_equal(state.arrays[name], value)
    assert os.listdir(tmp_path) == [checkpoints.NAME]
    checkpoint.remove()
    assert checkpoint.load() is None


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch, call):
    checkpoint = Checkpoint(tmp_path, CONFIG)
    checkpoint.save("pretrain", 1, ARRAYS)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(CheckpointError, match="No space.*goes on from epoch 1"):
            checkpoint.save("pretrain", 2, ARRAYS)
    assert checkpoint.load().epoch == 1
    assert os.listdir(tmp_path) == [checkpoints.NAME]


def test_a_folder_that_is_not_there_is_told_of(tmp_path):
    checkpoint = Checkpoint(tmp_path / "gone", CONFIG)
    with pytest.raises(CheckpointError, match="No such file.*is no checkpoint yet"):
        checkpoint.save("pretrain", 1, ARRAYS)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    Checkpoint(tmp_path, CONFIG).save("pretrain", 1, ARRAYS)
    with pytest.raises(CheckpointError, match="of another recipe.*--workdir"):
        Checkpoint(tmp_path, {**CONFIG, "seed": 1}).load()


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_damage_is_found(tmp_path, damage):
    checkpoint = Checkpoint(tmp_path, CONFIG)
    checkpoint.save("pretrain", 1, ARRAYS)
    data = bytearray(checkpoint.path.read_bytes())
    if damage == "flipped":
        data[-1] ^= 1
    kept = {"cut": data[:-4], "flipped": data, "empty": b"", "other": b"x" * 99}
    checkpoint.path.write_bytes(kept[damage])
    with pytest.raises(CheckpointError, match="is damaged.*Delete it"):
        checkpoint.load()


def sparse_model():
    x = keras.Input((4,))
    y = keras.layers.Dropout(0.5)(keras.layers.Dense(5, "relu")(x))
    y = keras.layers.BatchNormalization()(y)
    model = keras.Model(x, keras.layers.Dense(2)(y))
    sparse = cvzoo.sparsify(
        model, cvzoo.VariationalDropout() + cvzoo.MagnitudePruning(0.5, 9), n_train=8
    )
    sparse.compile(keras.optimizers.Adam(0.01), "mse")
    return sparse


def trained(model, epochs):
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(8, 4)), generator.normal(size=(8, 2))
    model.fit(x, y, batch_size=4, epochs=epochs, shuffle=False, verbose=0)
    return checkpoints.arrays_of(model=model, optimizer=model.optimizer)


def test_training_goes_on_bit_by_bit_with_noise_masks_and_moments(tmp_path):
    keras.utils.set_random_seed(0)
    model = sparse_model()
    state = trained(model, 2)
    Checkpoint(tmp_path, CONFIG).save("sparsify", 2, state)
    expected = trained(model, 2)
    other = sparse_model()
    other.optimizer.build(other.trainable_variables)
    arrays = Checkpoint(tmp_path, CONFIG).load().arrays
    checkpoints.assign(arrays, model=other, optimizer=other.optimizer)
    found = trained(other, 2)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert any(not np.array_equal(state[name], expected[name]) for name in state)


def test_variables_of_another_form_are_refused():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    arrays = checkpoints.arrays_of(model=model)
    wider = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    with pytest.raises(CheckpointError, match=r"shape \(3, 4\), in the checkpoint"):
        checkpoints.assign(arrays, model=wider)
    del arrays["model/1"]
    with pytest.raises(CheckpointError, match="has 1 variables of the model"):
        checkpoints.assign(arrays, model=model)
