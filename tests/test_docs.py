"""The pages of docs: their Python runs, links lead somewhere, no layer is missing."""

import functools
import re
from pathlib import Path

import keras
import numpy as np
import pytest

import cvzoo

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
COMPLEX_LAYERS = ROOT / "docs" / "complex_layers.md"
STRUCTURED_LAYERS = ROOT / "docs" / "structured_layers.md"


def name_of(path):
    return path.name


@functools.cache
def run(page):
    """The names that the Python blocks of a page leave, one run after another."""
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        exec(compile(block, str(page), "exec"), names)
    return names


# Those that train for longest.
SLOW_PAGES = ("compressing.md", "structured_layers.md")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if page.name in SLOW_PAGES else ())
        for page in PAGES
    ],
    ids=name_of,
)
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


def test_the_page_of_structured_layers_has_every_one():
    page = STRUCTURED_LAYERS.read_text("utf-8")
    names = [n for n, kind in vars(cvzoo.layers.structured).items() if is_class(kind)]
    names += [name for name in vars(cvzoo.layers) if "Circulant" in name]
    missing = [name for name in names if not re.search(rf"`(\w+\.)?{name}\b", page)]
    assert len(names) > 10 and missing == []


def test_numbers_of_structured_layers_are_those_on_their_page():
    page = STRUCTURED_LAYERS.read_text("utf-8")
    rows = re.findall(r"^\| `([\w.]+\(.*?\))` \| (.*?) \| ([\d,]+) \|", page, re.M)
    assert len(rows) > 10
    sizes = {"n": 1024, "b": 64, "r": 4, "m": 8}
    names = {
        **sizes,
        "keras": keras,
        "layers": cvzoo.layers,
        "structured": cvzoo.layers.structured,
    }
    for code, formula, number in rows:
        layer = eval(code, names)
        layer.build((None, sizes["n"]))
        expected = int(number.replace(",", ""))
        assert layer.count_params() == expected, code
        assert eval(formula.replace("²", "**2").replace("·", "*"), names) == expected


@pytest.mark.slow
def test_factorized_networks_learn_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for before, trained, _ in run(STRUCTURED_LAYERS)["accuracies"].values():
        assert trained > before and trained > 0.7
