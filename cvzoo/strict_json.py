"""JSON as presets hold it: UTF-8, no key twice, finite numbers, in bounded memory.

Its texts can be printed as they are: the only control character is the line feed.
"""

import json
import math
import re

# Lists, dictionaries and quotes of a text. Each takes some 100 bytes of memory, and as
# few as two of the text; numbers take no more than eight times their text.
MOST_ITEMS = 2**18
LARGEST_INTEGER = 2**63
# Lists and dictionaries inside each other.
DEEPEST = 64
# Control characters, other ends of lines, what turns the direction of a text around,
# and halves of surrogate pairs.
_UNPRINTED = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def loads(data):
    """What a text of JSON says.

    Args:
        data: bytes, or a string.

    Raises:
        ValueError: It is no JSON, or no such as presets hold.
    """
    if isinstance(data, str):
        data = data.encode()
    items = sum(map(data.count, (b"[", b"{", b'"')))
    if items > MOST_ITEMS:
        raise ValueError(f"it has more than {MOST_ITEMS} lists and texts: {items}")
    text = data.decode()
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_integer,
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _check_inside(value)
    return value


def _unique(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in found if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r:.100} is there twice")
    return found


def _refuse(constant):
    raise ValueError(f"{constant} is not allowed")


def _finite(text):
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"a number is too large: {text:.40}")
    return number


def _integer(text):
    # Python takes long for thousands of digits, and forever for more.
    if len(text) > 20 or abs(int(text)) >= LARGEST_INTEGER:
        raise ValueError(f"an integer is too large: {text:.40}")
    return int(text)


def _check_inside(value):
    """Raises unless a value is nested seldom, and has only texts to print."""
    level = [[value]]
    for _ in range(DEEPEST + 1):
        inside = []
        for items in level:
            both = (*items, *items.values()) if isinstance(items, dict) else items
            for item in both:
                if isinstance(item, str):
                    _check_text(item)
                elif isinstance(item, (dict, list)):
                    inside.append(item)
        level = inside
    if level:
        raise ValueError(f"it is nested more than {DEEPEST} deep")


def _check_text(text):
    found = _UNPRINTED.search(text)
    if found:
        raise ValueError(
            f"the text {text!r:.100} has the character {found[0]!r}; of control "
            "characters only the line feed may be there"
        )
