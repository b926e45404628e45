"""What is wrong with a recipe."""

import training.data
from cvzoo.catalogue import nearest_names
from training.recipe_parts import data_options, drop_factors, drops, metric, stops_early

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
DEVICES = {"strategy": (str, None), "cpus": (int, None)}
_SPARSIFIER_KEYS = {
    "VariationalDropout": {"strength", "kl"},
    "ARD": {"strength", "group"},
    "MagnitudePruning": {"sparsity", "ramp"},
}


class ConfigError(ValueError):
    """A recipe that does not exist, or has an unknown or missing key."""


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
    _check_keys("recipe.devices", config.get("devices", {}), DEVICES, DEVICES)
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
