"""Stages: what is carried over, what is restored, and the whole run."""

import json
import re

import keras
import numpy as np
import pytest

import cvzoo
from training import config as configs
from training import datasets, evaluate, recipe_parts, stages, train
from training.callbacks import DivergenceError, StepDecay, StopOnNaN
from training.data import digits

NAME = "two_layer_dense_complex_vd_digits"


@pytest.fixture(scope="module")
def config():
    config = train.quick(configs.get(NAME))
    config["model"]["units"] = 16
    return config


@pytest.fixture(scope="module")
def data(config):
    return datasets.open_data(config)


@pytest.fixture(scope="module")
def pretrained(config, data):
    return stages.pretrain(config, data, quiet=True)


def test_each_epoch_shows_every_example_once_in_an_order_of_its_own(data):
    images, labels = digits.arrays("train")
    orders = []
    for batch_images, batch_labels in data.training(2):
        orders.append(np.asarray(batch_labels))
        assert len(batch_images) <= 128
    assert len(orders) == 2 * data.steps_per_epoch
    first = np.concatenate(orders[: data.steps_per_epoch])
    second = np.concatenate(orders[data.steps_per_epoch :])
    np.testing.assert_array_equal(np.sort(first), np.sort(labels))
    assert not np.array_equal(first, second)
    again = np.concatenate([np.asarray(batch) for _, batch in data.training(1)])
    np.testing.assert_array_equal(again, first)
    assert len(images) == data.n_train


def test_moments_and_steps_are_carried_over_by_name(config, pretrained):
    old = pretrained.model.optimizer
    sparse = cvzoo.sparsify(pretrained.model, cvzoo.ARD(0.1), n_train=9)
    stages.compile_for(sparse, config)
    stages.carry_moments(old, sparse.optimizer, sparse)
    by_path = {v.path.rpartition("/")[2]: v for v in sparse.optimizer.variables}
    carried = 0
    for variable in old.variables:
        name = variable.path.rpartition("/")[2]
        np.testing.assert_array_equal(variable, by_path.pop(name))
        carried += "momentum" in name or "velocity" in name
    assert carried == 2 * len(pretrained.model.trainable_variables)
    assert int(sparse.optimizer.iterations) > 0
    assert sorted(by_path) == sorted(
        f"{layer}_log_sigma2_{slot}"
        for layer in ("hidden", "output")
        for slot in ("momentum", "velocity")
    )
    assert all(np.all(np.asarray(value) == 0) for value in by_path.values())


def test_the_learning_rate_falls_after_sixty_percent_of_a_stage():
    callback = StepDecay(1e-3, [0.1], [0.6], epochs=10)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    callback.set_model(model)
    rates = []
    for epoch in range(10):
        callback.on_epoch_begin(epoch)
        rates.append(float(model.optimizer.learning_rate))
    np.testing.assert_allclose(rates, [1e-3] * 6 + [1e-4] * 4, rtol=1e-6)


def test_sparsify_begins_where_pretraining_ended(config, data, pretrained):
    sparse = stages.sparsify(config, pretrained, data, quiet=True)
    steps = data.steps_per_epoch
    assert int(sparse.optimizer.iterations) == 2 * steps


def test_nan_stops_training_at_the_last_good_epoch(config, data):
    class PoisonThirdEpoch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.good = self.model.get_weights()
            if epoch == 2:
                bias = self.model.get_layer("hidden").bias_real
                bias.assign(np.full(bias.shape, np.nan))

    arguments = dict(config["model"])
    model = cvzoo.create_model(arguments.pop("name"), **arguments)
    stages.compile_for(model, config)
    poison = PoisonThirdEpoch()
    message = "stage 'pretrain', epoch 3, step 1.*weights after epoch 1"
    with pytest.raises(DivergenceError, match=message):
        model.fit(
            data.training(3),
            epochs=3,
            steps_per_epoch=data.steps_per_epoch,
            callbacks=[StopOnNaN("pretrain"), poison],
            shuffle=False,
            verbose=0,
        )
    for left, right in zip(model.get_weights(), poison.good, strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_diverging_run_leaves_no_preset(tmp_path, capsys):
    changes = ["--set", "optimizer.learning_rate=1e29", "--quicktest"]
    assert train.main([NAME, "--workdir", str(tmp_path), *changes]) == 2
    assert "The loss became" in capsys.readouterr().err
    assert not (tmp_path / "preset").exists()
    assert list(tmp_path.glob(".*")) == []


ONE_STAGE = "dcnn_low_rank_digits"
WITHOUT_VALIDATION = "dcnn_depth2_cifar10"
IN_EVERY_RUN = (
    *(NAME, "two_layer_dense_real_unit_ard_magnitude_digits"),
    *(ONE_STAGE, WITHOUT_VALIDATION, "video_classifier_netvlad_fc_dc_chorale_chords"),
)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in IN_EVERY_RUN else pytest.mark.slow)
        for name in configs.names()
    ],
)
# Some prune one layer on purpose.
@pytest.mark.filterwarnings("ignore:cvzoo.sparsify left these layers")
def test_every_recipe_runs_from_end_to_end(name, tmp_path, capsys):
    assert train.main([name, "--workdir", str(tmp_path), "--quicktest"]) == 0
    assert "Preset:" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "preset" / "metadata.json").read_text())
    split = "validation" if "validation" in manifest["scores"] else "test"
    assert evaluate.main([str(tmp_path / "preset"), "--split", split]) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    metric = recipe_parts.metric(configs.get(name))
    assert round(printed[metric], 4) == manifest["scores"][split]
    stages = configs.get(name)["stages"]
    assert ("test before compression" in manifest["scores"]) == ("sparsify" in stages)
    for stage in stages:
        assert (tmp_path / f"{stage}.csv").is_file()
        assert (tmp_path / f"{stage}.keras").is_file()
    assert json.loads((tmp_path / "config.json").read_text())["name"] == name


@pytest.mark.slow
def test_every_recipe_has_a_small_network_for_quick_tests():
    recipes = (module.get_config(**given) for module, given in configs.names().values())
    networks = {
        json.dumps(train.quick_model(config), sort_keys=True) for config in recipes
    }
    assert len(networks) > 50
    for network in networks:
        cvzoo.create_model(**json.loads(network))


def test_a_recipe_without_validation_reports_its_test_images_only(tmp_path, capsys):
    config = train.quick(configs.get(WITHOUT_VALIDATION))
    trained = train.run(config, tmp_path)
    assert list(trained.scores) == ["test"]
    printed = capsys.readouterr().out
    assert "accuracy test " in printed and "validation" not in printed
    preset = str(tmp_path / "preset")
    manifest = json.loads((tmp_path / "preset" / "metadata.json").read_text())
    assert set(manifest["scores"]) == {"metric", "test"}
    assert "SYNTHETIC" in manifest["scores"]["metric"]
    assert manifest["data"]["name"].startswith("SYNTHETIC")
    assert evaluate.main([preset, "--split", "validation"]) == 2
    message = "must be one of ['test', 'train']: 'validation'"
    assert message in capsys.readouterr().err


def test_the_quick_test_of_images_needs_no_files_and_keeps_the_splits():
    config = configs.get("dcnn_mnist", ["data.batch_size=64"])
    config["data"].update(n_train=10_000, n_validation=0)
    quick = train.quick(config)["data"]
    assert quick["synthetic"] == 1
    assert (quick["n_train"], quick["n_validation"]) == (256, 0)
    assert "synthetic" not in train.quick(configs.get(NAME))["data"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.classes=26", "`model.classes` must be 10 for .*digits.*Received: 26"),
        ("model.input_shape=[28,28,1]", r"must be \[8, 8, 1\].*\[28, 28, 1\]"),
        ("model.input_shape=[8,8,3]", r"must be \[8, 8, 1\].*\[8, 8, 3\]"),
    ],
)
def test_a_network_that_does_not_fit_the_data_is_refused(
    change, message, tmp_path, capsys
):
    arguments = [NAME, "--workdir", str(tmp_path), "--set", change]
    assert train.main(arguments) == 2
    assert re.search(message, capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


def test_commands_name_what_is_unknown(tmp_path, capsys):
    assert train.main(["two_layer", "--workdir", str(tmp_path)]) == 2
    assert "No recipe is called 'two_layer'" in capsys.readouterr().err
    assert evaluate.main(["nothing"]) == 2
    assert "No preset is called 'nothing'" in capsys.readouterr().err
