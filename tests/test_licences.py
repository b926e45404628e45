"""What shipped presets were trained on, under which licence, and that it is told."""

import collections
import configparser
import csv
from pathlib import Path

import pytest

import training.data
from cvzoo import catalogue, preset_files, recipes

ROOT = Path(__file__).parent.parent

# Data set → what its data are called and under which licence they are; and what the
# licence asks to be passed on. Another data set is added here once someone has read its
# licence, and with a notice in NOTICE. Files that reserve rights have no place here.
ALLOWED = {
    "digits": {
        "name": "scikit-learn digits, folds of whole writers",
        "licence": "CC BY 4.0",
        # Section 3(a)(1): the creators, the licence, where the material is, and that
        # it was changed.
        "notice": (
            "Optical Recognition of Handwritten Digits by E. Alpaydin and C. Kaynak",
            "https://archive.ics.uci.edu/dataset/80/",
            "https://creativecommons.org/licenses/by/4.0/",
            "divided by 16, and",
        ),
    },
    "radio": {
        "name": "synthetic radio signals, 8 modulations at -2 to 18 dB",
        "licence": "Apache-2.0",
        "notice": (),
    },
    "chorales": {
        "name": "Bach's chorales, real scores and synthesised sound",
        "licence": "compositions in the public domain; encodings of no named licence, "
        "perhaps with restrictions on commercial use, and not distributed here; sound "
        "Apache-2.0",
        # What the files say, and what music21's corpus/license.txt says of them.
        "notice": (
            "338 say: PDF © 2004 Margaret Greentree - used by permission; 24: PDF © "
            "2003 or 2004 Margaret Greentree, www.jsbchorales.net; 47 nothing of",
            "may be under copyright but have been licensed for use, though there may "
            "be restrictions on commercial use",
        ),
    },
}
NAMES = catalogue.preset_names()


def words(text):
    """A text without its line breaks and indents."""
    return " ".join(text.split())


NOTICE = words((ROOT / "NOTICE").read_text(encoding="utf-8"))


@pytest.fixture(params=NAMES)
def manifest(request):
    return preset_files.read_manifest(catalogue.SHIPPED / request.param)


def allowed(manifest):
    return ALLOWED[recipes.by_name()[manifest["name"]].dataset]


def test_presets_rest_on_data_of_the_list_only(manifest):
    data = manifest["data"]
    assert data["name"] == allowed(manifest)["name"]
    assert data["licence"] == allowed(manifest)["licence"]
    assert data["source"]


def test_every_preset_has_a_licence(manifest):
    assert manifest["licence"] == "Apache-2.0"


def test_notices_that_licences_ask_for_are_passed_on(manifest):
    card = (catalogue.SHIPPED / manifest["name"] / "README.md").read_text("utf-8")
    for text in allowed(manifest)["notice"]:
        assert text in manifest["data"]["notice"]
        assert text in card
        assert text in NOTICE


def test_scores_of_chorales_are_counted_by_what_they_say_of_rights():
    with open(ROOT / "training/data/chorales/works.csv", encoding="utf-8") as file:
        used = [row for row in csv.DictReader(file) if row["cluster"]]
    counts = collections.Counter(row["notice"] for row in used)
    assert counts == {"permission": 338, "copyright": 24, "none": 47}


def test_the_list_holds_what_is_used_and_no_more():
    used = {recipes.by_name()[name].dataset for name in NAMES}
    assert used == set(ALLOWED)
    for name, told in ALLOWED.items():
        about = training.data.find(name).ABOUT
        assert (about["name"], about["licence"]) == (told["name"], told["licence"])
        assert told["name"] in NOTICE


def test_licence_and_notice_are_part_of_the_wheel():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert setup["metadata"]["license_files"].split() == ["LICENSE", "NOTICE"]
    assert (ROOT / "LICENSE").read_text().strip().startswith("Apache License")
