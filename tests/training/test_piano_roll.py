"""Piano rolls of recordings: where windows are, and the command."""

import numpy as np
import pytest

import cvzoo
from tests.training.test_windows import WINDOW, write
from training import config as configs
from training import piano_roll, train
from training.data.recordings import HERTZ

RECIPE = "musicnet_deep_complex_vd_chorales"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings") / "test"
    return write(folder, (900, 4 * HERTZ, 2000), seed=0)


def test_middles_of_windows_are_in_the_part(recordings):
    name, starts = piano_roll.excerpt(recordings, "r1", 1.0, 0.5, WINDOW)
    middles = (starts - recordings.starts[1] + WINDOW // 2) / HERTZ
    assert name == "r1" and middles[0] == 1
    np.testing.assert_allclose(np.diff(middles), 512 / HERTZ)
    assert 1.5 - 512 / HERTZ < middles[-1] <= 1.5


def test_windows_do_not_leave_the_recording(recordings):
    _, starts = piano_roll.excerpt(recordings, "r1", 0, 100, WINDOW)
    assert starts[0] == recordings.starts[1]
    assert recordings.starts[2] - 512 < starts[-1] + WINDOW <= recordings.starts[2]


@pytest.mark.parametrize(
    ("name", "begin", "message"),
    [
        ("other", 0, "No recording of the split is called 'other'. There are: r0, r1"),
        ("r1", 3.99, "'r1' has 4.0 seconds: too little is left of `--seconds 5` from"),
        (None, 0, "'r0' has 0.1 seconds: too little"),
    ],
)
def test_parts_that_are_not_there_are_told(recordings, name, begin, message):
    with pytest.raises(ValueError, match=message):
        piano_roll.excerpt(recordings, name, begin, 5, WINDOW)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """An untrained network that names the recipe of its data."""
    config = train.quick(configs.get(RECIPE))
    folder = tmp_path_factory.mktemp("presets") / "untrained"
    model = cvzoo.create_model(**config["model"])
    return str(cvzoo.save_preset(model, folder, config=config))


def test_the_command_draws_a_recording(preset, tmp_path, capsys):
    path = tmp_path / "roll.png"
    assert piano_roll.main([preset, "--split", "test", "--out", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "Average precision of this part: " in printed and str(path) in printed
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "tset"], "`--split` must be one of"),
        (["--recording", "bwv1"], "No recording of the split is called 'bwv1'"),
    ],
)
def test_wrong_options_of_the_command_are_told(preset, arguments, message, capsys):
    assert piano_roll.main([preset, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_presets_of_other_data_are_refused(capsys):
    name = cvzoo.list_presets()[0].name
    assert piano_roll.main([name]) == 2
    assert f"Preset {name} does not hear notes" in capsys.readouterr().err
