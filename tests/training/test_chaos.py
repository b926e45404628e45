"""The script that kills runs: its hash, and a kill or two."""

import keras
import pytest

from training import chaos, run_folder


def test_the_hash_is_of_the_numbers_and_not_of_the_file(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    found = []
    for name, change in (("a", 0.0), ("b", 0.0), ("c", 1e-7)):
        folder = tmp_path / name
        (folder / run_folder.PRESET).mkdir(parents=True)
        (folder / run_folder.PRESET / "weights.safetensors").write_bytes(b"preset")
        bias = model.layers[0].bias
        bias.assign(bias + change)
        model.name = f"model_{name}"
        model.save(folder / "finetune.keras")
        found.append(chaos.digest(folder))
    assert found[0] == found[1] != found[2]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_is_killed_ends_as_if_it_had_not_been(tmp_path, capsys, workers):
    options = ["--kills", "3", "--local", str(workers), "--out", str(tmp_path)]
    assert chaos.main(options) == 0
    assert "3 of 3 ended as if they had not been killed." in capsys.readouterr().out
