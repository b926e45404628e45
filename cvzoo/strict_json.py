"""JSON as presets hold it: UTF-8, no key twice, finite numbers, in bounded memory."""

import json
import math

# Lists, dictionaries and quotes of a text. Each takes some 100 bytes of memory, and as
# few as two of the text; numbers take no more than eight times their text.
MOST_ITEMS = 2**18
LARGEST_INTEGER = 2**63


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
    if "\\u" in text:
        _check_text(value)
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


def _check_text(value):
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"half a surrogate pair is no text: {error}") from error
