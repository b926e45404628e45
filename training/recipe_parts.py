"""What a recipe says."""

import inspect

import training.data


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


def stops_early(stage):
    """Whether a stage has a rule that may end it before its last epoch."""
    return isinstance(stage, dict) and "early_stopping" in stage


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
