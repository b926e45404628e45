"""Cards of shipped presets: complete, up to date, and their code runs."""

import re

import pytest

from cvzoo import cards, catalogue, preset_files
from cvzoo.commands.preset import Preset
from training import config as configs
from training import notes

NAMES = catalogue.preset_names()


def card_of(name):
    return (catalogue.SHIPPED / name / preset_files.CARD).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_cards_are_what_the_metadata_say(name):
    preset = Preset(name)
    expected = cards.card(preset.manifest, preset.described, preset.settings)
    assert card_of(name) == expected, "run `python -m training.refresh`"


@pytest.mark.parametrize("name", NAMES)
def test_cards_say_all_that_is_known_of_a_network(name):
    rows = dict(re.findall(r"^\| (.+?) \| (.+) \|$", card_of(name), re.M))
    config = configs.get(name)
    assert rows["architecture"] == config["model"]["name"]
    assert rows["field"] == config["model"].get("field", "real")
    assert rows["recipe"] == name
    assert rows["made by"] == f"`{notes.of_recipe(config)['command']}`"
    expected = {"score", "test", "validation", "parameters", "that are not zero"}
    expected |= {"weights file", "data, name", "data, source", "data, licence"}
    expected |= {"licence", "scores are of"}
    if "sparsify" in config["stages"]:
        expected |= {"test before compression", "compression"}
        expected |= {"parameters before compression"}
    assert expected <= set(rows)


def test_the_code_of_a_card_runs(capsys):
    text = card_of("two_layer_dense_complex_vd_digits")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(code, {})
    assert "[('0', 0.99" in capsys.readouterr().out


def test_a_latency_is_told_once_it_is_measured():
    preset = Preset(NAMES[0])
    latency = {"milliseconds": 1.234, "hardware": "2 cores", "date": "2026-11-27"}
    parts = preset.described, preset.settings
    shown = dict(cards.rows({**preset.manifest, "latency": latency}, *parts))
    assert shown["one call for one example"] == "1.23 ms (2 cores, 2026-11-27)"
    empty = cards.rows({**preset.manifest, "latency": {}}, *parts)
    assert "one call for one example" not in dict(empty)
