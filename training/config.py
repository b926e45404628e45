"""Recipes by name, changed from the command line, and checked."""

import ast
import importlib
import inspect
import pkgutil

import training.data
import zoo_configs
from cvzoo.catalogue import nearest_names

STAGES = ("pretrain", "sparsify", "finetune")
_ANY = None
# Keys that a recipe must have, and nothing else.
_SCHEMA = {
    "name": str,
    "seed": int,
    "model": _ANY,
    "data": _ANY,
    "optimizer": {
        "learning_rate": float,
        "drop_factor": float,
        "drop_at": float,
        "global_clipnorm": (float, None),
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


def family(name):
    """Names of all recipes in the file of one."""
    known = names()
    return [other for other in known if known[other][0] is known[name][0]]


def label(name):
    """What tables call a recipe's method."""
    module, arguments = names()[name]
    return module.LABELS[arguments["method"]]


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
    _check_data(config["data"])
    _check_values(config)
    for term in config["stages"]["sparsify"]["sparsifiers"]:
        if not isinstance(term, dict):
            raise ConfigError(f"A sparsifier is a dictionary with a name: {term!r}")
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


def _check_values(config):
    """Raises where a value of the right type makes no sense."""
    positive = {
        "data.batch_size": config["data"]["batch_size"],
        "optimizer.learning_rate": config["optimizer"]["learning_rate"],
        **{f"stages.{key}.epochs": s["epochs"] for key, s in config["stages"].items()},
    }
    if config["optimizer"]["global_clipnorm"] is not None:
        positive["optimizer.global_clipnorm"] = config["optimizer"]["global_clipnorm"]
    for key, value in positive.items():
        if not value > 0:
            raise ConfigError(f"`{key}` must be positive. Received: {value!r}")
    if not config["stages"]["sparsify"]["sparsifiers"]:
        raise ConfigError("`stages.sparsify.sparsifiers` must name at least one.")
    if "accuracy" not in config["metrics"]:
        raise ConfigError(
            f"`metrics` must hold 'accuracy', which runs report. Received: "
            f"{config['metrics']!r}"
        )
    if not isinstance(config["model"], dict) or "name" not in config["model"]:
        raise ConfigError(
            "`model` must be a dictionary with a name, and arguments of its builder."
        )


def _check_data(data):
    """Raises unless `data` names a data set and only options that its loader takes."""
    if not isinstance(data, dict) or data.get("name") not in data_sets():
        name = data.get("name") if isinstance(data, dict) else data
        raise ConfigError(
            f"No data set is called {name!r}. {nearest_names(name, data_sets())}"
        )
    schema = {"name": str, "batch_size": int}
    schema |= dict.fromkeys(data_options(data["name"]), int)
    _check_keys("recipe.data", data, schema)


def data_options(name):
    """Options of a data set's loader, all of them integers."""
    load = importlib.import_module(f"training.data.{name}").load
    return [
        option for option in inspect.signature(load).parameters if option != "split"
    ]


def data_sets():
    """Names of the modules of `training.data`."""
    return [module.name for module in pkgutil.iter_modules(training.data.__path__)]


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
        elif kind is not _ANY and not _is_of(value, kind):
            name = getattr(kind, "__name__", "float or None")
            raise ConfigError(
                f"`{where}.{key}` must be of type {name}. Received: {value!r}"
            )


def _is_of(value, kind):
    if isinstance(kind, tuple):
        return value is None or _is_of(value, kind[0])
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


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
