"""The pages of docs: their Python runs, links lead somewhere, no layer is missing."""

import functools
import re
from pathlib import Path

import numpy as np
import pytest

import cvzoo

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
COMPLEX_LAYERS = ROOT / "docs" / "complex_layers.md"


def name_of(path):
    return path.name


@functools.cache
def run(page):
    """The names that the Python blocks of a page leave, one run after another."""
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        exec(compile(block, str(page), "exec"), names)
    return names


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "cvzoo" in run(page)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=name_of)
def test_relative_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    files = [link.split("#")[0] for link in links if "://" not in link]
    missing = [file for file in files if file and not (page.parent / file).exists()]
    assert missing == []


def test_the_page_of_complex_layers_has_every_layer():
    page = COMPLEX_LAYERS.read_text("utf-8")
    layers = [name for name, kind in vars(cvzoo.layers).items() if is_class(kind)]
    missing = [name for name in layers if not re.search(rf"`{name}\b", page)]
    assert layers and missing == []


def is_class(value):
    return isinstance(value, type)


def test_the_example_of_complex_layers_restores_the_signal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run(COMPLEX_LAYERS)
    errors = np.abs(np.asarray(names["restored"])[..., 0] - names["sent"])
    assert errors.mean() < 0.2
