"""Recipes by name, changed from the command line, and checked."""

import ast
import importlib
import pkgutil

import zoo_configs
from cvzoo.catalogue import nearest_names

STAGES = ("pretrain", "sparsify", "finetune")
_ANY = None
# Keys that a recipe must have, and nothing else.
_SCHEMA = {
    "name": str,
    "seed": int,
    "model": _ANY,
    "data": {"name": str, "fold": int, "batch_size": int},
    "optimizer": {
        "learning_rate": float,
        "drop_factor": float,
        "drop_at": float,
        "global_clipnorm": float,
    },
    "loss": str,
    "metrics": list,
    "stages": {
        "pretrain": {"epochs": int},
        "sparsify": {"epochs": int, "sparsifiers": list, "carry_moments": bool},
        "finetune": {"epochs": int, "threshold": float},
    },
}
_SPARSIFIER_KEYS = {
    "VariationalDropout": {"strength", "kl"},
    "ARD": {"strength", "group"},
    "MagnitudePruning": {"sparsity", "ramp"},
}


class ConfigError(ValueError):
    """A recipe that does not exist, or has an unknown or missing key."""


def names():
    """Name of each recipe → its family's module and arguments."""
    found = {}
    for family in pkgutil.iter_modules(zoo_configs.__path__):
        module = importlib.import_module(f"zoo_configs.{family.name}")
        for name, arguments in module.names().items():
            found[name] = module, arguments
    return found


def get(name, changes=()):
    """The recipe of a name.

    Args:
        name: One of `names()`.
        changes: Strings such as `"data.batch_size=64"`.
    """
    known = names()
    if name not in known:
        raise ConfigError(f"No recipe is called {name!r}. {nearest_names(name, known)}")
    module, arguments = known[name]
    config = module.get_config(**arguments)
    for change in changes:
        _apply(config, change)
    check(config)
    return config


def check(config):
    """Raises where a recipe has unknown or missing keys, or values of a wrong type."""
    _check_keys("recipe", config, _SCHEMA)
    for term in config["stages"]["sparsify"]["sparsifiers"]:
        known = _SPARSIFIER_KEYS.get(term.get("name"))
        if known is None:
            raise ConfigError(
                f"No sparsifier is called {term.get('name')!r}. "
                f"{nearest_names(term.get('name'), _SPARSIFIER_KEYS)}"
            )
        unknown = sorted(set(term) - known - {"name"})
        if unknown:
            raise ConfigError(
                f"Sparsifier {term['name']} has no keys {unknown}. Known: "
                f"{sorted(known)}"
            )


def _check_keys(where, found, schema):
    unknown = sorted(set(found) - set(schema))
    missing = sorted(set(schema) - set(found))
    if unknown or missing:
        raise ConfigError(
            f"Unknown keys in {where}: {unknown}; missing: {missing}. Known keys: "
            f"{sorted(schema)}"
        )
    for key, kind in schema.items():
        value = found[key]
        if isinstance(kind, dict):
            if not isinstance(value, dict):
                raise ConfigError(f"`{where}.{key}` must be a dictionary: {value!r}")
            _check_keys(f"{where}.{key}", value, kind)
        elif kind is not _ANY:
            accepted = (int, float) if kind is float else kind
            is_number_for_flag = isinstance(value, bool) and kind is not bool
            if not isinstance(value, accepted) or is_number_for_flag:
                raise ConfigError(
                    f"`{where}.{key}` must be of type {kind.__name__}. Received: "
                    f"{value!r}"
                )


def _apply(config, change):
    path, separator, text = change.partition("=")
    *parents, last = path.split(".")
    if not separator:
        raise ConfigError(f"Write a change as key.key=value. Received: {change!r}")
    target = config
    for key in [*parents, last]:
        if not isinstance(target, dict) or key not in target:
            known = sorted(target) if isinstance(target, dict) else []
            raise ConfigError(
                f"Unknown key {key!r} in {change!r}. Known keys there: {known}"
            )
        parent, target = target, target[key]
    try:
        parent[last] = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        parent[last] = text
