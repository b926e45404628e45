"""Recipes and what is wrong with them."""

import json

import pytest

from training import config as configs
from training.config import ConfigError

NAME = "two_layer_dense_complex_vd_digits"


@pytest.mark.parametrize("name", configs.names())
def test_every_recipe_is_data_and_names_itself(name):
    config = configs.get(name)
    assert config["name"] == name
    assert json.loads(json.dumps(config)) == config


def test_the_recipe_of_the_demo_is_the_papers():
    config = configs.get(NAME)
    stages = config["stages"]
    assert [stage["epochs"] for stage in stages.values()] == [40, 75, 40]
    assert stages["finetune"]["threshold"] == -0.5
    assert config["data"]["batch_size"] == 128
    assert config["optimizer"] == {
        "learning_rate": 1e-3,
        "drop_factor": 0.1,
        "drop_at": 0.6,
        "global_clipnorm": 0.5,
    }


def test_changes_from_the_command_line():
    changes = [
        "optimizer.global_clipnorm=None",
        "data.batch_size=64",
        "model.field=real",
        "optimizer.drop_at=0.5",
    ]
    config = configs.get(NAME, changes)
    assert config["data"]["batch_size"] == 64
    assert config["model"]["field"] == "real"
    assert config["optimizer"]["drop_at"] == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.batchsize=64", "'batchsize'.*Known keys there: .*batch_size"),
        ("dat.batch_size=64", "'dat'.*Known keys there: .*data"),
        ("data.batch_size.x=1", "'x'.*Known keys there"),
        ("data.batch_size", "key.key=value"),
        ("data.batch_size=many", "must be of type int.*'many'"),
        ("stages=1", "must be a dictionary"),
        ("data.batch_size=0", "must be positive"),
        ("stages.pretrain.epochs=0", "must be positive"),
        ("data.name=digit", "Did you mean digits"),
        ("stages.sparsify.sparsifiers=[]", "at least one"),
        ("stages.sparsify.sparsifiers=['VD']", "a dictionary with a name"),
        ("model={}", "with a name"),
        ("metrics=[]", "must hold 'accuracy'"),
        ("optimizer.global_clipnorm=wide", "float or None"),
        ("stages.sparsify.sparsifiers=[{'name': 'ARDD'}]", "Did you mean ARD"),
        (
            "stages.sparsify.sparsifiers=[{'name': 'ARD', 'power': 1}]",
            r"no keys \['power'\]. Known: .*strength",
        ),
    ],
)
def test_wrong_changes_say_what_is_known(change, message):
    with pytest.raises(ConfigError, match=message):
        configs.get(NAME, [change])


def test_an_unknown_recipe_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=f"Did you mean {NAME}"):
        configs.get("two_layer_dense_complex_vd_digit")


def test_a_missing_or_extra_key_is_named():
    config = configs.get(NAME)
    del config["seed"]
    config["sede"] = 0
    with pytest.raises(ConfigError, match=r"\['sede'\]; missing: \['seed'\]"):
        configs.check(config)
