"""Recipes by name, changed from the command line, and checked."""

import ast
import copy
import difflib
import importlib
import pkgutil

import zoo_configs
from training.recipe_checks import DEVICES, ConfigError, check
from training.recipe_parts import data_options


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


def same_data(name):
    """Names of the recipes in the file of one that are for the same data set."""
    known = names()
    data_set = known[name][1]["dataset"]
    return [other for other in family(name) if known[other][1]["dataset"] == data_set]


def label(name):
    """What tables call a recipe's method."""
    module, arguments = names()[name]
    return module.LABELS[arguments["method"]]


def uncompressed(name):
    """Name of the recipe of one stage that a recipe's network is smaller than."""
    module, arguments = names()[name]
    return module.uncompressed(**arguments)


def strengths(name):
    """What points of a trade-off are called → strength of the first sparsifier."""
    module, arguments = names()[name]
    if not hasattr(module, "strengths"):
        raise ConfigError(
            f"{module.__name__.replace('.', '/')}.py gives no strengths for a "
            f"trade-off of {name!r}."
        )
    return module.strengths(**arguments)


def with_strength(config, strength):
    """A copy of a recipe whose first sparsifier has another strength."""
    config = copy.deepcopy(config)
    term = config["stages"]["sparsify"]["sparsifiers"][0]
    if "strength" not in term:
        raise ConfigError(
            f"The first sparsifier of {config['name']!r}, {term['name']}, has no "
            "strength to change."
        )
    term["strength"] = strength
    return config


def repetition(config, fold, seed=None):
    """A copy of a recipe for another fold.

    Args:
        config: The recipe.
        fold: Number of the fold; where the data have none, it is added to the seed.
        seed: Instead of the recipe's, where the data have folds.
    """
    config = copy.deepcopy(config)
    if "fold" in data_options(config["data"]["name"]):
        config["data"]["fold"] = fold
        config["seed"] = config["seed"] if seed is None else seed
    elif seed is None:
        config["seed"] += fold
    else:
        raise ConfigError(
            f"Data set {config['data']['name']!r} has no folds: numbers of folds are "
            "seeds there. Leave seeds out."
        )
    return config


def get(name, changes=()):
    """The recipe of a name.

    Args:
        name: One of `names()`.
        changes: Strings such as `"data.batch_size=64"`.
    """
    known = names()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        meant = f"Did you mean {', '.join(close)}? " if close else ""
        raise ConfigError(
            f"No recipe is called {name!r}. {meant}`python -m training.recipes "
            f"[WORD …]` lists the {len(known)} there are."
        )
    module, arguments = known[name]
    config = module.get_config(**arguments)
    for change in changes:
        if change.startswith("devices."):
            config.setdefault("devices", dict.fromkeys(DEVICES))
        _apply(config, change)
    check(config)
    return config


def differences(left, right):
    """`(dotted key, left, right)` wherever two nested dictionaries differ."""
    left, right = _flat(left), _flat(right)
    return [
        (key, left.get(key), right.get(key))
        for key in sorted({*left, *right})
        if left.get(key) != right.get(key)
    ]


def _flat(nested, prefix=""):
    """Dotted key → value of a nested dictionary."""
    if not isinstance(nested, dict):
        return {prefix: nested}
    flat = {}
    for key, value in nested.items():
        flat.update(_flat(value, f"{prefix}.{key}" if prefix else str(key)))
    return flat


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
