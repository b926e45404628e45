"""Recipes by name, changed from the command line, and checked."""

import ast
import copy
import difflib
import importlib
import inspect
import pkgutil

import training.data
import zoo_configs
from cvzoo.catalogue import nearest_names

_ANY = object()
_STAGES = {
    "pretrain": {"epochs": int},
    "sparsify": {"epochs": int, "sparsifiers": list, "carry_moments": bool},
    "finetune": {"epochs": int, "threshold": float},
}
_ONE_STAGE = {"train": {"epochs": int}}
# What a stage may have: the rule of `cvzoo.EarlyStoppingRule`.
_STOPPING = {"early_stopping": {"patience": int, "max_drop": float}}
# Learning from another recipe's network too, see `training.distillation`.
_DISTILLED = {
    "train": {
        **_ONE_STAGE["train"],
        "teacher": (str, dict),
        "temperature": float,
        "student_loss_weight": float,
    }
}
_DATA = {"name": str, "batch_size": int}
# Keys that a recipe must have, with `stages`, and nothing else.
_SCHEMA = {
    "name": str,
    "seed": int,
    "model": _ANY,
    "data": _ANY,
    "optimizer": {
        "learning_rate": float,
        "drop_factor": (float, list),
        "drop_at": (float, list),
        "global_clipnorm": (float, None),
    },
    "loss": str,
    "metrics": list,
}
# What optimizers may have besides; `clipnorm` is of each variable's gradient.
_OPTIMIZER = {"epsilon": float, "clipnorm": float}
# What a recipe may have: whether outputs are logits, as they are by default; where it
# trains, unless options say so, see `training.distribution`.
_OPTIONAL = {"from_logits": bool, "devices": dict}
_DEVICES = {"strategy": (str, None), "cpus": (int, None)}
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
            config.setdefault("devices", dict.fromkeys(_DEVICES))
        _apply(config, change)
    check(config)
    return config


def check(config):
    """Raises where a recipe has unknown or missing keys, or values of a wrong type."""
    stages = config.get("stages")
    has_one = isinstance(stages, dict) and "train" in stages
    kinds = _ONE_STAGE if has_one else _STAGES
    if has_one and "teacher" in stages["train"]:
        kinds = _DISTILLED
    if isinstance(stages, dict):
        kinds = {
            name: {**kind, **_STOPPING} if stops_early(stages.get(name)) else kind
            for name, kind in kinds.items()
        }
    schema = {**_SCHEMA, **_OPTIONAL, "stages": kinds}
    given = config.get("optimizer", {})
    more = {key: kind for key, kind in _OPTIMIZER.items() if key in given}
    schema["optimizer"] = {**_SCHEMA["optimizer"], **more}
    _check_keys("recipe", config, schema, optional=_OPTIONAL)
    _check_keys("recipe.devices", config.get("devices", {}), _DEVICES, _DEVICES)
    _check_data(config["data"])
    _check_values(config)
    if not has_one:
        _check_sparsifiers(stages["sparsify"]["sparsifiers"])
    if metric(config) not in config["metrics"]:
        raise ConfigError(
            f"`metrics` must hold {metric(config)!r}, which runs report. Received: "
            f"{config['metrics']!r}"
        )
    stopped = [name for name, stage in stages.items() if stops_early(stage)]
    if stopped and metric(config) != "average_precision":
        raise ConfigError(
            f"`stages.{stopped[0]}.early_stopping` goes by the average precision, "
            f"which data set {config['data']['name']!r} is not scored by. Leave it out."
        )


def stops_early(stage):
    """Whether a stage has a rule that may end it before its last epoch."""
    return isinstance(stage, dict) and "early_stopping" in stage


def metric(config):
    """What the scores of a recipe's runs are."""
    source = training.data.find(config["data"]["name"])
    if training.data.has_videos(source):
        return "global_average_precision"
    is_pooled = training.data.has_recordings(source)
    return "average_precision" if is_pooled else "accuracy"


def metric_words(config):
    """The same, for readers."""
    return metric(config).replace("_", " ")


def _check_sparsifiers(terms):
    if not terms:
        raise ConfigError("`stages.sparsify.sparsifiers` must name at least one.")
    for term in terms:
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
    for key in ("global_clipnorm", "clipnorm"):
        if config["optimizer"].get(key) is not None:
            positive[f"optimizer.{key}"] = config["optimizer"][key]
    for key, value in positive.items():
        if not value > 0:
            raise ConfigError(f"`{key}` must be positive. Received: {value!r}")
    if {"optimizer.global_clipnorm", "optimizer.clipnorm"} <= set(positive):
        raise ConfigError(
            "`optimizer.clipnorm` and `global_clipnorm` exclude each other, as Keras "
            "clips by one of them. Make the latter None, or leave the former out."
        )
    at, factors = drops(config), drop_factors(config)
    if len(factors) != len(at) or not all(
        _is_of(factor, float) and factor > 0 for factor in factors
    ):
        raise ConfigError(
            "`optimizer.drop_factor` must be a positive number, or a list of as many "
            f"as `drop_at` has. Received: {config['optimizer']['drop_factor']!r}"
        )
    if not all(_is_drop(drop) for drop in at):
        raise ConfigError(
            "`optimizer.drop_at` must be a share of the epochs, such as 0.6, an epoch, "
            "such as 10, or a list of them. "
            f"Received: {config['optimizer']['drop_at']!r}"
        )
    if not isinstance(config["model"], dict) or "name" not in config["model"]:
        raise ConfigError(
            "`model` must be a dictionary with a name, and arguments of its builder."
        )


def _is_drop(drop):
    """Whether it is an epoch, or a share of the epochs."""
    return (type(drop) is int and drop > 0) or (type(drop) is float and 0 < drop < 1)


def _check_data(data):
    """Raises unless `data` names a data set and only options that its loader takes."""
    name = data.get("name") if isinstance(data, dict) else data
    if not isinstance(data, dict) or name not in training.data.names():
        raise ConfigError(
            f"No data set is called {name!r}. "
            f"{nearest_names(name, training.data.names())}"
        )
    options = data_options(name)
    schema = {**_DATA, **options}
    _check_keys("recipe.data", data, schema, optional=options)


def drops(config):
    """When the learning rate falls: epochs, or shares of a stage's epochs."""
    at = config["optimizer"]["drop_at"]
    return at if isinstance(at, list) else [at]


def drop_factors(config):
    """What the learning rate is multiplied with at each of `drops`."""
    factor = config["optimizer"]["drop_factor"]
    return factor if isinstance(factor, list) else [factor] * len(drops(config))


def first_stage(config):
    """`"pretrain"`, or `"train"` of a recipe that has no other."""
    return next(iter(config["stages"]))


def last_stage(config):
    """`"finetune"`, or `"train"`."""
    return list(config["stages"])[-1]


def differences(left, right):
    """`(dotted key, left, right)` wherever two nested dictionaries differ."""
    left, right = _flat(left), _flat(right)
    return [
        (key, left.get(key), right.get(key))
        for key in sorted({*left, *right})
        if left.get(key) != right.get(key)
    ]


def data_options(name):
    """Option of a data set → its type."""
    source = training.data.find(name)
    if training.data.has_recordings(source):
        read, more = source.recordings, training.data.WINDOW_OPTIONS
    elif training.data.has_videos(source):
        read, more = source.videos, training.data.VIDEO_OPTIONS
    else:
        read, more = source.load, {}
    options = {option: int for option in _parameters(read)}
    return options | {option: type(value) for option, value in more.items()}


def _parameters(read):
    """Options of a function that reads a split; of videos, the model says the level."""
    parameters = inspect.signature(read).parameters
    return [name for name in parameters if name not in ("split", "level")]


def _flat(nested, prefix=""):
    """Dotted key → value of a nested dictionary."""
    if not isinstance(nested, dict):
        return {prefix: nested}
    flat = {}
    for key, value in nested.items():
        flat.update(_flat(value, f"{prefix}.{key}" if prefix else str(key)))
    return flat


def _check_keys(where, found, schema, optional=()):
    unknown = sorted(set(found) - set(schema))
    missing = sorted(set(schema) - set(found) - set(optional))
    if unknown or missing:
        raise ConfigError(
            f"Unknown keys in {where}: {unknown}; missing: {missing}. Known keys: "
            f"{sorted(schema)}"
        )
    for key, value in found.items():
        kind = schema[key]
        if isinstance(kind, dict):
            if not isinstance(value, dict):
                raise ConfigError(f"`{where}.{key}` must be a dictionary: {value!r}")
            _check_keys(f"{where}.{key}", value, kind)
        elif kind is not _ANY and not _is_of(value, kind):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            name = " or ".join(getattr(one, "__name__", "None") for one in kinds)
            raise ConfigError(
                f"`{where}.{key}` must be of type {name}. Received: {value!r}"
            )


def _is_of(value, kind):
    if isinstance(kind, tuple):
        return any(_is_of(value, one) for one in kind)
    if kind is None:
        return value is None
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
