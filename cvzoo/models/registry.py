"""The zoo's architectures by name."""

import inspect

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
    try:
        model = builder(**arguments)
    except TypeError as error:
        raise ValueError(
            f"Arguments of a wrong type for architecture '{name}': {arguments}"
        ) from error
    graph.check_pairs(model)
    return model
