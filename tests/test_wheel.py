"""The wheel alone: what it brings is enough, without a clone and without a network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the wheel's files; the libraries are those of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    clone = folder / "clone"  # as building leaves files behind
    shutil.copytree(ROOT / "cvzoo", clone / "cvzoo")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, clone)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    made = ["wheel", "--no-deps", "--no-build-isolation", "-w", folder / "made", clone]
    subprocess.run([*pip, *made], check=True)
    (wheel,) = (folder / "made").iterdir()
    target = folder / "packages"
    subprocess.run([*pip, "install", "--no-deps", "-t", target, wheel], check=True)
    return target


def run(installed, folder, *arguments):
    environment = {
        **os.environ,
        "PYTHONPATH": str(installed),
        "CVZOO_OFFLINE": "1",
        "CVZOO_HOME": str(folder / "cache"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_its_presets_give_their_outputs(installed, tmp_path):
    code = (
        "import cvzoo; print(cvzoo.__file__)\n"
        "for row in cvzoo.list_presets():\n"
        "    cvzoo.from_preset(row.name, verify=True); print(row.name)"
    )
    where, *names = run(installed, tmp_path, "-c", code).splitlines()
    assert Path(where).is_relative_to(installed)
    shipped = (path for path in (ROOT / "cvzoo" / "zoo").iterdir() if path.is_dir())
    assert names == sorted(path.name for path in shipped)


@pytest.mark.slow
def test_its_demonstration_writes_its_pictures(installed, tmp_path):
    run(installed, tmp_path, "-m", "cvzoo", "demo", "--out", str(tmp_path / "out"))
    for name in ("constellation.png", "piano_roll.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_it_is_small(installed):
    sizes = (path.stat().st_size for path in (installed / "cvzoo" / "zoo").rglob("*"))
    assert sum(sizes) <= 5_000_000
    (wheel,) = (installed.parent / "made").iterdir()
    assert wheel.stat().st_size <= 5_000_000
    assert (installed / "cvzoo" / "recipes.json").is_file()
