"""The command `cvzoo`: lists, descriptions, exports, and how fast it can answer."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import cvzoo
from cvzoo import catalogue, cli, preset_files, recipes
from cvzoo.commands import listing
from cvzoo.exporting import costs

NAME = "radio_net_complex_unit_ard_magnitude_radio"
UNTRAINED = "radio_net_real_vd_radio"


def listed(capsys, *arguments):
    """Rows of `cvzoo list --json` with some filters."""
    assert cli.main(["list", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def names(rows):
    return [row["name"] for row in rows]


def test_list_names_every_shipped_preset(capsys):
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == catalogue.preset_names()
    assert names(listed(capsys)) == catalogue.preset_names()


def test_fields_are_those_of_the_recipes(capsys):
    real, complex_ = (listed(capsys, "--field", one) for one in ("real", "complex"))
    assert names(real) == ["dcnn_digits", "dcnn_low_rank_digits"]
    assert all("complex" in name for name in names(complex_))
    assert len(real) + len(complex_) == len(catalogue.preset_names())


def test_no_weights_file_is_larger_than_asked(capsys):
    found = names(listed(capsys, "--max-bytes", "8kB"))
    sizes = {
        name: (catalogue.SHIPPED / name / "weights.safetensors").stat().st_size
        for name in catalogue.preset_names()
    }
    assert found == [name for name, size in sizes.items() if size <= 8000]
    assert found


@pytest.mark.parametrize("word", ["chorales", "BACH"])
def test_data_sets_are_found_by_their_name_or_a_part_of_what_they_are_called(
    word, capsys
):
    found = listed(capsys, "--dataset", word)
    assert names(found) == ["musicnet_deep_complex_vd_chorales"]


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("20000", 20_000),
        ("20 kB", 20_000),
        ("1MB", 10**6),
        ("1.5MiB", 1.5 * 2**20),
        ("2kib", 2048),
        ("7B", 7),
    ],
)
def test_sizes_are_read(text, n):
    assert listing.parse_bytes(text) == n


@pytest.mark.parametrize("text", ["", "MB", "1XB", "-1", "1MB2", "nan", "1ib"])
def test_other_sizes_are_refused(text, capsys):
    with pytest.raises(SystemExit):
        cli.main(["list", f"--max-bytes={text}"])
    assert "expected a number of bytes, or one with kB" in capsys.readouterr().err


def test_recipes_without_weights_are_listed_when_asked(capsys):
    assert cli.main(["list", "--all", "--dataset", "radio"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith(UNTRAINED)]
    assert line.endswith("recipe, not trained")
    rows = listed(capsys, "--all")
    assert len(rows) == len({*recipes.by_name(), *catalogue.preset_names()})
    (row,) = [row for row in rows if row["name"] == UNTRAINED]
    assert not row["trained"] and row["command"].startswith("python -m training.train")


def test_where_no_preset_fits_the_recipes_that_do_are_counted(capsys):
    assert cli.main(["list", "--dataset", "kmnist"]) == 1
    assert "No preset fits." in (err := capsys.readouterr().err)
    assert "24 fit: add --all" in err
    assert listed(capsys, "--dataset", "kmnist") == []


def test_lines_for_people_fit_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli.main(["list", "--all"]) == 0
    printed = capsys.readouterr().out.replace("\033[1m", "").replace("\033[0m", "")
    for name in (*catalogue.preset_names(), UNTRAINED):
        assert name in printed
    lines = printed.splitlines()
    headings = {row.metric for row in cvzoo.list_presets()}
    assert max(len(line) for line in lines if line not in headings) <= 80


def test_a_recipe_without_weights_raises_with_the_command(capsys):
    with pytest.raises(
        preset_files.PresetError, match="recipe, not trained. Train it"
    ) as e:
        cvzoo.from_preset(UNTRAINED)
    assert f"`python -m training.train {UNTRAINED} --workdir out/" in str(e.value)
    assert cli.main(["info", UNTRAINED]) == 2
    assert str(e.value) in capsys.readouterr().err


def test_info_as_json_is_the_manifest(capsys):
    assert cli.main(["info", NAME, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["name"] == NAME
    assert set(printed["files"]) == set(preset_files.FILES)
    (told,) = printed["inputs"]
    assert told["name"] == "iq" and told["shape"] == [128, 2]
    assert "mean power 1" in told["meaning"]


def test_info_says_what_a_preset_is_and_how_to_use_it(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["info", "musicnet_deep_complex_vd_chorales"]) == 0
    printed = capsys.readouterr().out
    for text in (
        "architecture musicnet_deep field complex",
        "4096; synthesised sound, mono; from -0.9 to 0.9; 11,000 hertz",
        "15,743,864",
        "cvzoo.from_preset('musicnet_deep_complex_vd_chorales')",
        "run it, FILE being a PCM wav file: cvzoo run musicnet_deep_complex_vd_chor",
        "python -m training.train",
    ):
        assert text in " ".join(printed.split())
    assert max(map(len, printed.splitlines())) <= 80


def test_info_takes_a_folder(preset, capsys):
    assert cli.main(["info", str(preset)]) == 0
    printed = capsys.readouterr().out
    assert f"from_preset('{preset}')" in printed
    assert printed.startswith("small\n") and f"cvzoo run {preset} FILE" in printed


def test_info_names_no_file_where_none_can_be_run(tmp_path, capsys):
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    folder = cvzoo.save_preset(model, tmp_path / "plain")
    assert cli.main(["info", str(folder)]) == 0
    assert "cvzoo run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "data"),
    [
        ("architecture.json", []),
        ("architecture.json", {"name": "small"}),
        ("architecture.json", {"name": "small", "inputs": [3]}),
        ("architecture.json", {"name": "small", "inputs": [{"name": "x"}]}),
        ("config.json", {"compile": None}),
    ],
)
@pytest.mark.parametrize("command", ["info", "run"])
def test_a_preset_of_other_json_is_one_line(command, file, data, preset, capsys):
    (preset / file).write_text(json.dumps(data))
    manifest = json.loads((preset / "metadata.json").read_text())
    stated = preset_files.describe_bytes((preset / file).read_bytes())
    manifest["files"][file] = stated
    (preset / "metadata.json").write_text(json.dumps(manifest))
    more = ["a.npy"] if command == "run" else []
    assert cli.main([command, str(preset), *more]) == 2
    assert "must tell of `name` and `inputs`" in capsys.readouterr().err


def test_export_writes_a_saved_model(tmp_path, capsys):
    assert cli.main(["export", NAME, str(tmp_path / "served")]) == 0
    assert (tmp_path / "served" / "saved_model.pb").is_file()
    assert "largest difference" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["info", "export", "run"])
def test_an_unknown_name_is_one_line_on_stderr(command, tmp_path, capsys):
    more = [str(tmp_path / "other")] if command != "info" else []
    assert cli.main([command, "two_layer", *more]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("cvzoo: No preset is called 'two_layer'")
    assert printed.err.count("\n") == 1


CHECK = (
    "import runpy, sys\n"
    "try: {run}\n"
    "except SystemExit as stop: assert not stop.code\n"
    "found = {{'keras', 'tensorflow', 'numpy'}} & set(sys.modules)\n"
    "assert not found, found"
)


@pytest.mark.parametrize("command", ["list --all", f"info {NAME}"])
def test_lists_and_descriptions_import_neither_keras_nor_numpy(command):
    script = Path(sys.executable).with_name("cvzoo")
    words = [str(script), *command.split()]
    run = f"sys.argv = {words}; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", CHECK.format(run=run)])
    assert done.returncode == 0


def test_the_module_is_the_command_and_imports_no_keras():
    words = [sys.executable, "-X", "importtime", "-m", "cvzoo", "list"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0 and NAME in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "cvzoo.commands.listing" in imported
    assert not imported & {"keras", "tensorflow", "numpy"}


def test_a_reader_that_has_seen_enough_is_no_error():
    line = f"{sys.executable} -m cvzoo list --all | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""


def test_bench_needs_something_to_do(capsys):
    assert cli.main(["bench"]) == 2
    assert "Give a preset's name, or `--calibrate`" in capsys.readouterr().err


def test_calibrate_keeps_what_it_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CVZOO_HOME", str(tmp_path))
    monkeypatch.setattr(costs, "measure", lambda: costs.Costs(call=7.5))
    assert cli.main(["bench", "--calibrate"]) == 0
    assert "call             7.5" in capsys.readouterr().out
    assert costs.load().call == 7.5


def test_export_writes_litert_files_of_8_bits(tmp_path, capsys):
    pytest.importorskip("ai_edge_litert")
    arguments = ["export", NAME, str(tmp_path / "x"), "--format", "litert", "--int8"]
    assert cli.main(arguments) == 0
    report = json.loads((tmp_path / "x" / "export.json").read_text())
    assert (report["format"], report["quantize"]) == ("litert", "int8")
    assert f"{report['bytes']:,} bytes" in capsys.readouterr().out
