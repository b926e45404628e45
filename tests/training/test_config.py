"""Recipes and what is wrong with them."""

import json

import numpy as np
import pytest

import cvzoo
from training import config as configs
from training import recipe_parts, recipes
from training.callbacks import StepDecay
from training.config import ConfigError

NAME = "two_layer_dense_complex_vd_digits"


@pytest.mark.parametrize("name", configs.names())
def test_every_recipe_is_data_and_names_itself(name):
    module, arguments = configs.names()[name]
    config = module.get_config(**arguments)
    assert config["name"] == name
    assert json.loads(json.dumps(config)) == config
    configs.check(config)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("dcnn_cifar10", 49_172),
        ("dcnn_depth2_cifar10", 21_524),
        ("dcnn_dense_cifar10", 9_470_986),
        ("dcnn_toeplitz_like3_cifar10", 52_234),
        ("scattering_dcnn_cifar10", 217_748),
        ("scattering_dcnn_depth1_cifar10", 124_436),
        ("scattering_dcnn_ensemble_cifar10", 1_088_740),
        ("scattering_dcnn_ldr_subdiagonal10_cifar10", 419_902),
        ("dcnn_mnist", 25_620),
        ("lenet_mnist", 4_257_674),
        ("dcnn_youtube8m", 122_178),
        ("dcnn_depth4_youtube8m", 25_410),
        ("dcnn_dense_head_youtube8m", 4_466_710),
        ("dcnn_dense_youtube8m", 5_781_142),
        ("video_classifier_dbof_youtube8m", 45_359_764),
        ("video_classifier_dbof_embedding_dc_youtube8m", 36_987_540),
        ("video_classifier_dbof_fc_dc_youtube8m", 41_181_844),
        ("video_classifier_dbof_moe_circulant_youtube8m", 12_668_504),
        ("video_classifier_dbof_audio_youtube8m", 65_795_732),
        ("video_classifier_dbof_audio_fc_dc_youtube8m", 59_528_852),
        ("video_classifier_netvlad_audio_youtube8m", 86_333_460),
        ("video_classifier_netvlad_audio_fc_dc_youtube8m", 50_821_140),
        ("video_classifier_netfv_audio_youtube8m", 122_054_676),
        ("video_classifier_netfv_audio_fc_dc_youtube8m", 51_030_036),
    ],
)
def test_published_recipes_have_the_papers_counts(name, count):
    module, arguments = configs.names()[name]
    model = module.get_config(**arguments)["model"]
    assert cvzoo.create_model(**model).count_params() == count


def test_rates_of_published_recipes_fall_where_the_papers_did():
    def rates(name):
        module, arguments = configs.names()[name]
        config = module.get_config(**arguments)
        optimizer, epochs = config["optimizer"], config["stages"]["train"]["epochs"]
        at, factor = recipe_parts.drops(config), recipe_parts.drop_factors(config)
        decay = StepDecay(optimizer["learning_rate"], factor, at, epochs)
        return [decay.rate(epoch) for epoch in range(epochs)]

    # 250 steps an epoch; the first boundary is at 40k.
    np.testing.assert_allclose(rates("dcnn_cifar10"), [5e-4] * 160 + [2.5e-4] * 40)
    steps = [1e-3 * 0.2 ** (epoch // 50) for epoch in range(200)]
    np.testing.assert_allclose(rates("scattering_dcnn_cifar10"), steps)
    # An epoch is 4 million examples.
    config = configs.get("dcnn_youtube8m")
    assert config["data"]["steps"] * config["data"]["batch_size"] == 4_000_000
    np.testing.assert_allclose(rates("dcnn_youtube8m"), 5e-3 * 0.97 ** np.arange(34))
    # 15 epochs of the videos that networks of frames are trained on.
    config = configs.get("video_classifier_dbof_fc_dc_youtube8m")
    assert config["data"]["steps"] * config["data"]["batch_size"] == 4_000_000
    assert config["stages"]["train"]["epochs"] == round(15 * 4_822_555 / 4e6)
    expected = 2e-4 * 0.8 ** np.arange(18)
    np.testing.assert_allclose(rates("video_classifier_dbof_fc_dc_youtube8m"), expected)


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


def test_a_recipe_may_say_where_it_trains():
    config = configs.get(NAME, ["devices.strategy=mirrored", "devices.cpus=2"])
    assert config.pop("devices") == {"strategy": "mirrored", "cpus": 2}
    with pytest.raises(ConfigError, match=r"recipe.devices.*\['gpus'\]"):
        configs.check({**config, "devices": {"strategy": None, "gpus": 2}})
    with pytest.raises(ConfigError, match="devices` must be of type dict"):
        configs.check({**config, "devices": "mirrored"})


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
        ("optimizer.drop_at=late", "float or list"),
        ("optimizer.drop_at=['late']", "a share of the epochs, such as 0.6, an epoch"),
        ("optimizer.drop_at=0", "a share of the epochs"),
        ("optimizer.drop_at=10.0", "an epoch, such as 10,"),
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


def test_options_of_data_may_be_left_out_and_not_made_up():
    config = configs.get("radio_net_complex_vd_radio")
    assert "samples" not in config["data"]
    config["data"]["samples"] = 256
    configs.check(config)
    config["data"]["sample"] = 256
    with pytest.raises(ConfigError, match=r"\['sample'\].*Known keys: .*'samples'"):
        configs.check(config)


def test_a_recipe_of_one_stage_has_no_other():
    config = configs.get("dcnn_digits")
    assert list(config["stages"]) == ["train"]
    config["stages"]["finetune"] = {"epochs": 1, "threshold": -0.5}
    with pytest.raises(ConfigError, match=r"\['finetune'\].*Known keys: \['train'\]"):
        configs.check(config)


def test_an_unknown_recipe_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=f"Did you mean {NAME}"):
        configs.get("two_layer_dense_complex_vd_digit")


def test_a_missing_or_extra_key_is_named():
    config = configs.get(NAME)
    del config["seed"]
    config["sede"] = 0
    with pytest.raises(ConfigError, match=r"\['sede'\]; missing: \['seed'\]"):
        configs.check(config)


def test_recipes_are_listed_by_words_of_their_names(capsys):
    assert recipes.main([]) == 0
    assert capsys.readouterr().out.split() == list(configs.names())
    assert recipes.main(["radio_net", "vd"]) == 0
    assert capsys.readouterr().out.split() == [
        "radio_net_complex_vd_radio",
        "radio_net_real_vd_radio",
    ]
    assert recipes.main(["vd", "quaternion"]) == 1
    assert "no name holds vd and quaternion" in capsys.readouterr().err


def test_an_unknown_recipe_names_near_ones_and_how_to_list_all():
    with pytest.raises(ConfigError) as caught:
        configs.get("simple_cnv_digits")
    assert "Did you mean simple_conv_" in str(caught.value)
    assert f"lists the {len(configs.names())} there are" in str(caught.value)
    assert len(str(caught.value)) < 400
