"""Compile settings that presets keep."""

import json
import warnings

import keras
import numpy as np
import pytest
from sklearn.metrics import average_precision_score

import cvzoo
from cvzoo import compiling, preset_files
from cvzoo.preset_files import PresetError
from tests.helpers import COMPILE, small_model


def compiled(loss=None, metrics=("accuracy",), optimizer=None, **arguments):
    model = small_model()
    model.compile(
        optimizer or keras.optimizers.Adam(0.01, global_clipnorm=0.5),
        loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=list(metrics),
        **arguments,
    )
    return model


def kept(folder):
    return json.loads((folder / preset_files.CONFIG).read_text())["compile"]


def test_a_preset_is_compiled_as_its_model_was(tmp_path):
    model = compiled()
    loaded = cvzoo.from_preset(cvzoo.save_preset(model, tmp_path / "preset"))
    assert kept(tmp_path / "preset") == COMPILE
    inputs = np.ones((4, *loaded.input_shape[1:]), np.float32)
    history = loaded.fit(inputs, np.zeros(4, int), verbose=0).history
    assert set(history) == {"loss", "accuracy"}
    assert loaded.optimizer.global_clipnorm == 0.5


def test_losses_by_name_and_rates_that_fell_are_kept():
    model = compiled("binary_crossentropy", metrics=())
    model.optimizer.learning_rate = 1e-4
    expected = {
        "loss": "binary_crossentropy",
        "from_logits": False,
        "metrics": [],
        "learning_rate": 1e-4,
        "global_clipnorm": 0.5,
    }
    assert compiling.settings_of(model) == expected


def test_the_binned_average_precision_is_kept_and_scores_logits(tmp_path):
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model = compiled(loss, [cvzoo.BinnedAveragePrecision(from_logits=True)])
    loaded = cvzoo.from_preset(cvzoo.save_preset(model, tmp_path / "preset"))
    assert kept(tmp_path / "preset")["metrics"] == ["average_precision"]
    generator = np.random.default_rng(0)
    inputs = generator.random((50, *loaded.input_shape[1:]), np.float32)
    labels = generator.integers(0, 2, (50, loaded.output_shape[-1]))
    found = loaded.evaluate(inputs, labels, return_dict=True, verbose=0)
    scores = loaded.predict(inputs, verbose=0)
    expected = average_precision_score(labels.ravel(), scores.ravel())
    assert found["average_precision"] == pytest.approx(expected, abs=0.01)


def test_the_binned_global_average_precision_is_kept(tmp_path):
    metric = cvzoo.BinnedGlobalAveragePrecision()
    model = compiled("binary_crossentropy", [metric])
    loaded = cvzoo.from_preset(cvzoo.save_preset(model, tmp_path / "preset"))
    assert kept(tmp_path / "preset")["metrics"] == ["global_average_precision"]
    inputs = np.ones((4, *loaded.input_shape[1:]), np.float32)
    labels = np.ones((4, loaded.output_shape[-1]))
    found = loaded.evaluate(inputs, labels, return_dict=True, verbose=0)
    assert set(found) == {"loss", "global_average_precision"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"loss": "mean_squared_error"},
        {"loss": keras.losses.CategoricalCrossentropy(label_smoothing=0.1)},
        {"metrics": [keras.metrics.AUC()]},
        # Its scores would be logits, and the loss' are not.
        {"metrics": [cvzoo.BinnedAveragePrecision()]},
        {"metrics": [cvzoo.BinnedGlobalAveragePrecision(10, from_logits=True)]},
        {"optimizer": keras.optimizers.SGD(0.1)},
        {"loss_weights": [2.0]},
    ],
)
def test_settings_outside_the_closed_list_are_left_out_with_a_warning(
    arguments, tmp_path
):
    model = compiled(**arguments)
    with pytest.warns(UserWarning, match="presets know Adam.*`compile=False`"):
        folder = cvzoo.save_preset(model, tmp_path / "preset")
    assert kept(folder) is None
    assert not cvzoo.from_preset(folder).compiled


def test_nothing_is_said_of_models_that_shall_not_be_compiled(tmp_path):
    with warnings.catch_warnings(action="error", category=UserWarning):
        cvzoo.save_preset(compiled("mse"), tmp_path / "one", compile=False)
        cvzoo.save_preset(small_model(), tmp_path / "two")
    assert kept(tmp_path / "one") is None and kept(tmp_path / "two") is None


def test_settings_of_files_are_a_closed_list(tmp_path):
    changes = [
        *({"loss": "os.system"}, {"loss": ["a"]}, {"metrics": ["exec"]}),
        *({"metrics": 3}, {"metrics": [["a"]]}, {"from_logits": "yes"}),
        *({"learning_rate": -1}, {"learning_rate": 10**400}, {"learning_rate": None}),
    ]
    model = small_model()
    for change in changes:
        with pytest.raises(PresetError):
            compiling.compile_model(model, {**COMPILE, **change})
        with pytest.raises(PresetError):
            cvzoo.save_preset(model, tmp_path / "p", compile={**COMPILE, **change})
    with pytest.raises(PresetError, match="must have the keys"):
        compiling.compile_model(model, {"loss": "binary_crossentropy"})
    assert not model.compiled and not (tmp_path / "p").exists()
