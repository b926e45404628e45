"""JSON that presets may hold, and what they may not."""

import json

import pytest

from cvzoo import strict_json


@pytest.mark.parametrize("text", ["[", '{"a":'])
def test_what_is_nested_too_deeply_is_refused(text):
    close = "]" if text == "[" else "}"
    for depth in (1, strict_json.DEEPEST):
        strict_json.loads(text * depth + "0" + close * depth)
    # Around 1000 calls Python's own functions give up, each a little earlier or later.
    for depth in (strict_json.DEEPEST + 1, *range(960, 1010), 10**4):
        for inner in ("0", r'"\u00e9"'):
            with pytest.raises(ValueError, match="nested"):
                strict_json.loads(text * depth + inner + close * depth)


@pytest.mark.parametrize("value", ["", "é\n中", "👩\u200d🔬", {"ключ": ["\u00a0"]}])
def test_texts_for_people_are_read(value):
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)
        assert strict_json.loads(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J",
        "a\0",
        "\t",
        "\r",
        "\x7f",
        "\x9b2J",
        "\u2028",
        "\u202e",
        "\u2066",
        "\ud800",
    ],
)
def test_what_a_terminal_may_obey_is_refused(text):
    for value in (text, [[text]], {"a": text}, {text: 1}):
        with pytest.raises(ValueError, match="only the line feed"):
            strict_json.loads(json.dumps(value))
