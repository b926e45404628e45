"""The command `cvzoo`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cvzoo import catalogue, cli

NAME = "radio_net_complex_unit_ard_magnitude_radio"


def test_list_names_every_shipped_preset(capsys):
    assert cli.main(["list"]) == 0
    printed = capsys.readouterr().out
    for name in catalogue.preset_names():
        assert name in printed


def test_info_prints_the_manifest(capsys):
    assert cli.main(["info", NAME]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["name"] == NAME
    assert set(printed["files"]) == set(catalogue.FILES)
    assert printed["inputs"] == [{"name": "iq", "shape": [128, 2], "dtype": "float32"}]


def test_export_writes_a_saved_model(tmp_path, capsys):
    assert cli.main(["export", NAME, str(tmp_path / "served")]) == 0
    assert (tmp_path / "served" / "saved_model.pb").is_file()
    assert "largest difference" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["info"], ["export"]])
def test_an_unknown_name_is_one_line_on_stderr(command, tmp_path, capsys):
    folder = [str(tmp_path / "served")] if command == ["export"] else []
    assert cli.main([*command, "two_layer", *folder]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("cvzoo: No preset is called 'two_layer'")
    assert printed.err.count("\n") == 1


def test_list_does_not_import_keras():
    script = Path(sys.executable).with_name("cvzoo")
    code = (
        "import runpy, sys; sys.argv = [r'%s', 'list']\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert 'keras' not in sys.modules and 'tensorflow' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code % script]).returncode == 0
