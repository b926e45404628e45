"""The data of a recipe, whatever they are kept in."""

import training.data
from training.examples import InMemory
from training.videos import VideoData
from training.windows import Windows


def open_data(config, strategy=None):
    """A recipe's data, as stages take them.

    Args:
        config: A recipe.
        strategy: From `distribution.make_strategy`; one device for `None`.

    Returns:
        `examples.InMemory`, `windows.Windows` of recordings, or `videos.VideoData`.
    """
    source = training.data.find(config["data"]["name"])
    kind = InMemory
    if training.data.has_recordings(source):
        kind = Windows
    elif training.data.has_videos(source):
        kind = VideoData
    return kind(config, strategy)
