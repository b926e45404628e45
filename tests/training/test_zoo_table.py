"""The README's table of presets is what their metadata say."""

import pytest

from training import zoo_table

MANIFEST = {
    "name": "small",
    "counts": {"nonzero": 1234, "compression": 10.0, "baseline_parameters": 12_340},
    "scores": {
        "metric": "accuracy, test split of digits",
        "test": 0.9336,
        "test before compression": 0.9375,
    },
    "data": {"name": "digits"},
    "files": {"weights.safetensors": {"bytes": 5678}},
    "examples": {"inputs": {"shape": [2, 8, 8, 1]}},
}


def test_the_readme_has_the_table_of_the_shipped_presets():
    text = zoo_table.README.read_text(encoding="utf-8")
    expected = zoo_table.table(zoo_table.shipped())
    message = "run `python -m training.zoo_table`"
    assert zoo_table.rewritten(text, expected) == text, message


def test_a_row_says_what_the_metadata_say():
    assert zoo_table.table([MANIFEST]).splitlines()[2] == (
        "| `small` | digits | 8×8×1 | accuracy 93.4 % (before: 93.8) | "
        "1,234 of 12,340 (×10.0) | 5,678 bytes |"
    )
    plain = {
        **MANIFEST,
        "scores": {"metric": "average precision, test split of chorales", "test": 0.5},
        "counts": {"nonzero": 9, "compression": 1.0, "baseline_parameters": 9},
    }
    assert "| average precision 50.0 % | 9 |" in zoo_table.table([plain])


def test_a_readme_without_the_comments_is_refused():
    with pytest.raises(ValueError, match="once each"):
        zoo_table.rewritten("# cvzoo\n", "table")
