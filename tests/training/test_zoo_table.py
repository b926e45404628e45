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
    "tensors": {"kernel": {"shape": [2], "parts": 2}},
    "licence": "MIT",
    "latency": {},
    "files": {"weights.safetensors": {"bytes": 5678}},
    "examples": {"inputs": {"shape": [2, 8, 8, 1]}},
}


def test_the_readme_has_the_table_of_the_shipped_presets():
    text = zoo_table.README.read_text(encoding="utf-8")
    expected = zoo_table.table(zoo_table.shipped())
    message = "run `python -m training.zoo_table`"
    assert zoo_table.rewritten(text, expected) == text, message


def test_a_row_says_what_the_metadata_say():
    lines = zoo_table.table([MANIFEST]).splitlines()
    assert lines[2] == (
        "| [`small`](cvzoo/zoo/small/README.md) | complex | digits | 8×8×1 | "
        "accuracy 93.4 % (before: 93.8) | 1,234 of 12,340 (×10.0) | 5,678 bytes |"
    )
    assert lines[4].startswith("Licence of the presets: MIT. ")
    plain = {
        **MANIFEST,
        "scores": {"metric": "average precision, test split of chorales", "test": 0.5},
        "counts": {"nonzero": 9, "compression": 1.0, "baseline_parameters": 9},
    }
    assert "| average precision 50.0 % | 9 |" in zoo_table.table([plain])


def test_a_measured_latency_is_a_column():
    latency = {"milliseconds": 0.5123, "hardware": "2 cores", "date": "2026-11-27"}
    measured = {**MANIFEST, "latency": latency}
    lines = zoo_table.table([measured, MANIFEST]).splitlines()
    assert lines[0].endswith("| weights file | one call |")
    assert lines[2].endswith("| 5,678 bytes | 0.51 ms |")
    assert lines[3].endswith("| 5,678 bytes |  |")


def test_a_readme_without_the_comments_is_refused():
    with pytest.raises(ValueError, match="once each"):
        zoo_table.rewritten("# cvzoo\n", "table")
