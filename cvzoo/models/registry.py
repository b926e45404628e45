"""The zoo's architectures by name."""

import inspect
import numbers

from cvzoo import graph
from cvzoo.catalogue import nearest_names

_BUILDERS = {}
_TINY = {}
_SIZES = {}


def register_model(tiny, size):
    """Registers a builder, a function that returns a `keras.Model`, under its name.

    Args:
        tiny: Arguments that make the network small enough for tests.
        size: Name of the argument that a network of fewer bytes has less of.
    """

    def register(builder):
        _BUILDERS[builder.__name__] = builder
        _TINY[builder.__name__] = tiny
        _SIZES[builder.__name__] = size
        return builder

    return register


def list_models():
    """Names of all architectures."""
    return sorted(_BUILDERS)


def tiny_arguments(name):
    """Arguments that make an architecture small enough for tests."""
    return dict(_TINY[name])


def size_argument(name):
    """Name of the argument that sets how large an architecture is."""
    return _SIZES[name]


def has_argument(name, key):
    """Whether an architecture has an argument."""
    return key in inspect.signature(_BUILDERS[name]).parameters


def argument(name, key, given):
    """The value of an argument of an architecture: the given one, or its default."""
    return given.get(key, inspect.signature(_BUILDERS[name]).parameters[key].default)


def create_model(name, **arguments):
    """A zoo architecture with fresh weights.

    Args:
        name: One of `cvzoo.list_models()`.
        **arguments: Those of the builder, for example `field="complex"`, `classes=10`.

    Returns:
        A `keras.Model`, not compiled.
    """
    if name not in _BUILDERS:
        raise ValueError(
            f"No architecture is called {name!r}. {nearest_names(name, _BUILDERS)}"
        )
    builder = _BUILDERS[name]
    known = inspect.signature(builder).parameters
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise ValueError(
            f"Architecture '{name}' has no arguments {unknown}. Known: {list(known)}"
        )
    _check_sizes(arguments)
    try:
        model = builder(**arguments)
    except TypeError as error:
        raise ValueError(
            f"Arguments of a wrong type for architecture '{name}': {arguments}. {error}"
        ) from error
    graph.check_pairs(model)
    return model


def _check_sizes(arguments):
    """Raises where arguments that most builders have cannot be."""
    for key in ("width", "classes", "notes", "window"):
        value = arguments.get(key, 1)
        kind, words = numbers.Integral, "whole number"
        if key == "width":
            kind, words = numbers.Real, "number"
        if not isinstance(value, kind) or isinstance(value, bool) or not value > 0:
            raise ValueError(f"`{key}` must be a positive {words}. Received: {value!r}")
    shape = arguments.get("input_shape", (1,))
    is_shape = isinstance(shape, tuple | list) and all(
        isinstance(size, numbers.Integral) and size > 0 for size in shape
    )
    if not is_shape:
        raise ValueError(
            "`input_shape` must be sizes such as (28, 28, 1), without the batch. "
            f"Received: {shape!r}"
        )
