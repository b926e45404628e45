"""The compile settings that presets keep: Adam, a closed list of losses and metrics."""

import warnings

import keras
from keras import ops as kops

from cvzoo.losses import MultiLabelCrossEntropy
from cvzoo.metrics import BinnedAveragePrecision, BinnedGlobalAveragePrecision
from cvzoo.preset_files import PresetError

LOSSES = {
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "multi_label_cross_entropy": MultiLabelCrossEntropy,
}
# Those of cvzoo, which have to know whether scores are logits.
_BINNED = {
    "average_precision": BinnedAveragePrecision,
    "global_average_precision": BinnedGlobalAveragePrecision,
}
METRICS = ("accuracy", *_BINNED)
LARGEST = 1e30  # Below the largest float32.
_KEYS = ("loss", "from_logits", "metrics", "learning_rate", "global_clipnorm")
_OPTIONAL = ("clipnorm",)


def compile_model(model, settings, adam=keras.optimizers.Adam):
    """Compiles a model with Adam, as a recipe or a preset says.

    Args:
        model: A Keras model.
        settings: `loss` (a name of `LOSSES`), `from_logits`, `metrics` (names of
            `METRICS`), `learning_rate`, `global_clipnorm` (or `None`), and perhaps
            `clipnorm`, of the gradient of each variable.
        adam: Keras' class of that optimizer, or one derived from it.
    """
    check_settings(settings)
    model.compile(
        optimizer=adam(
            settings["learning_rate"],
            global_clipnorm=settings["global_clipnorm"],
            clipnorm=settings.get("clipnorm"),
        ),
        loss=LOSSES[settings["loss"]](from_logits=settings["from_logits"]),
        metrics=[
            _metric(name, settings["from_logits"]) for name in settings["metrics"]
        ],
    )


def _metric(name, from_logits):
    if name in _BINNED:
        return _BINNED[name](from_logits=from_logits)
    return name


def chosen(settings, model):
    """What `save_preset` keeps: settings, the model's own for `None`, or `None`."""
    if settings is None:
        return settings_of(model)
    if settings is False:
        return None
    check_settings(settings)
    return settings


def settings_of(model):
    """What `compile_model` needs to compile another model alike, or `None`.

    Warns where a compiled model has a loss, metric or optimizer that is not in the
    closed list.
    """
    if not getattr(model, "compiled", False):
        return None
    config = model.get_compile_config() or {}
    optimizer = model.optimizer
    loss, from_logits = _named_loss(model.loss)
    metrics = _named_metrics(config.get("metrics") or [], from_logits)
    is_known = (
        type(optimizer) is keras.optimizers.Adam
        and loss is not None
        and metrics is not None
        and not config.get("weighted_metrics")
        and not config.get("loss_weights")
    )
    if not is_known:
        warnings.warn(
            f"Compile settings of '{model.name}' are not kept: presets know Adam, "
            f"the losses {', '.join(LOSSES)} and the metrics {', '.join(METRICS)}. "
            "`from_preset` gives a model that is not compiled. Pass `compile=False` to "
            "say so, or a dictionary of settings.",
            stacklevel=4,  # that of `save_preset`
        )
        return None
    return {
        "loss": loss,
        "from_logits": from_logits,
        "metrics": metrics,
        # As its decimals are, not those of the nearest float64.
        "learning_rate": float(str(kops.convert_to_numpy(optimizer.learning_rate))),
        "global_clipnorm": optimizer.global_clipnorm,
    } | ({"clipnorm": optimizer.clipnorm} if optimizer.clipnorm else {})


def _named_metrics(metrics, from_logits):
    """Names of the metrics of a compile configuration, or `None`."""
    if not isinstance(metrics, list):
        return None
    names = []
    for metric in metrics:
        if isinstance(metric, dict):
            metric = keras.saving.deserialize_keras_object(metric)
        if type(metric) in _BINNED.values():
            usual = type(metric)(from_logits=from_logits)
            is_usual = metric.get_config() == usual.get_config()
            metric = usual.name if is_usual else None
        if metric not in METRICS:
            return None
        names.append(metric)
    return names


def _named_loss(loss):
    """Name and `from_logits` of a loss that has no other arguments, else `None`s."""
    if isinstance(loss, str) and loss in LOSSES:
        return loss, False
    for name, kind in LOSSES.items():
        if type(loss) is kind:
            from_logits = loss.get_config()["from_logits"]
            usual = kind(from_logits=from_logits).get_config()
            if {**loss.get_config(), "name": None} == {**usual, "name": None}:
                return name, from_logits
    return None, None


def check_config(config):
    """Raises unless it is what `config.json` of a preset holds."""
    keys = sorted(config) if isinstance(config, dict) else []
    if keys != ["compile", "recipe"]:
        raise PresetError(
            "The configuration must have the keys ['compile', 'recipe']. "
            f"Received: {config!r:.200}"
        )
    if config["compile"] is not None:
        check_settings(config["compile"])


def check_settings(settings):
    """Raises unless `compile_model` can take them."""
    keys = set(settings) - set(_OPTIONAL) if isinstance(settings, dict) else {}
    if keys != set(_KEYS):
        raise PresetError(
            f"Compile settings must have the keys {sorted(_KEYS)}. "
            f"Received: {settings!r}"
        )
    metrics = settings["metrics"]
    if settings["loss"] not in tuple(LOSSES) or not (
        isinstance(metrics, list)
        and all(metric in METRICS for metric in metrics)
        and len(metrics) == len(set(metrics))
    ):
        raise PresetError(
            f"Known losses: {sorted(LOSSES)}; known metrics, each once: "
            f"{sorted(METRICS)}. Received: {settings['loss']!r:.200}, {metrics!r:.200}"
        )
    if not isinstance(settings["from_logits"], bool):
        raise PresetError("`from_logits` must be true or false.")
    for key in ("learning_rate", "global_clipnorm", "clipnorm"):
        value = settings.get(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_unset = value is None and key != "learning_rate"
        if not is_unset and not (is_number and 0 < value < LARGEST):
            raise PresetError(f"`{key}` must be a positive number. Received: {value!r}")
    if settings["global_clipnorm"] and settings.get("clipnorm"):
        raise PresetError("Only one of `global_clipnorm` and `clipnorm` can be set.")
