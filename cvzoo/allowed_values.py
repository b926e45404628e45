"""Checks of single values, for the closed list of what presets may hold."""

import re

from cvzoo.layers.structured.permutation import MOST_SEEDS

LARGEST_AXIS = 2**24
LARGEST_NUMBER = 1e30


def one_of(*choices):
    return lambda value: isinstance(value, str | None) and value in choices


def is_boolean(value):
    return isinstance(value, bool)


def is_integer(value, low=-LARGEST_AXIS, high=LARGEST_AXIS):
    return isinstance(value, int) and not is_boolean(value) and low <= value <= high


def is_size(value):
    return is_integer(value, low=1)


def is_size_or_none(value):
    return value is None or is_size(value)


def is_seed(value):
    return is_integer(value, low=0, high=MOST_SEEDS - 1)


def is_number(value):
    is_real = isinstance(value, int | float) and not is_boolean(value)
    return is_real and abs(value) < LARGEST_NUMBER


def is_number_or_none(value):
    return value is None or is_number(value)


def list_of(check, most):
    def is_list(value):
        return (
            isinstance(value, (list, tuple))
            and len(value) <= most
            and all(check(item) for item in value)
        )

    return is_list


def is_rate(value):
    return is_number(value) and 0 <= value < 1


def is_fraction(value):
    return is_number(value) and 0 <= value <= 1


def is_equation(value):
    """An equation of `EinsumDense`: letters, and at most an ellipsis in each part."""
    return isinstance(value, str) and bool(_EQUATION.fullmatch(value))


def is_letters_or_none(value):
    return value is None or (
        isinstance(value, str) and bool(re.fullmatch("[a-zA-Z]{1,8}", value))
    )


def either(*checks):
    return lambda value: any(check(value) for check in checks)


_EQUATION = re.compile(
    r"(\.\.\.)?[a-zA-Z]{1,8}(\.\.\.)?,[a-zA-Z]{1,8}->"
    r"(\.\.\.)?[a-zA-Z]{1,8}(\.\.\.)?"
)
