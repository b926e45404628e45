"""Presets from elsewhere, loaded; and cards as the Hugging Face Hub reads them."""

import json

import numpy as np
import pytest

import cvzoo
from cvzoo import catalogue, cli, preset_files

EXAMPLE = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)


def test_an_address_gives_the_model_that_the_name_gives(url, folder):
    found = cvzoo.from_preset(url, verify=True)
    expected = cvzoo.from_preset(folder.name)
    np.testing.assert_array_equal(found(EXAMPLE), expected(EXAMPLE))


def test_the_command_describes_an_address(url, folder, capsys):
    assert cli.main(["info", "--json", url]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == folder.name


def test_the_command_tells_in_a_line_what_is_wrong(url, capsys):
    assert cli.main(["info", f"{url}/nothing"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("cvzoo: ") and "404" in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize("name", catalogue.preset_names())
def test_the_hub_can_read_the_cards(name):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard.load(catalogue.SHIPPED / name / preset_files.CARD)
    assert card.data.library_name == "cvzoo"
    assert card.data.license == "apache-2.0"
    assert "keras" in card.data.tags
    assert all(0 < one.metric_value <= 1 for one in card.data.eval_results)
    assert card.text.lstrip().startswith(f"# {name}")
