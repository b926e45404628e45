"""The data of a recipe, whatever they are kept in."""

import training.data
from training.examples import InMemory
from training.windows import Windows


def open_data(config, strategy=None):
    """A recipe's data, as stages take them.

    Args:
        config: A recipe.
        strategy: From `distribution.make_strategy`; one device for `None`.

    Returns:
        `examples.InMemory`, or `windows.Windows` of recordings.
    """
    source = training.data.find(config["data"]["name"])
    kind = Windows if training.data.has_recordings(source) else InMemory
    return kind(config, strategy)
