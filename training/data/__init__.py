"""Data sets by name.

What `find` returns, a module or an object, has

- `load(split, **options)`: a `tf.data.Dataset` of `(inputs, labels)`, without examples
  where there is no such split. Options are integers. Inputs of uint8 stand for numbers
  from 0 to 1;
- of sound, in its place, `recordings(split, **options)`: `recordings.Recordings`, whose
  windows are the examples;
- of videos, in its place, `videos(split, **options)`: `youtube8m.reading.Videos`, whose
  `batches` are read from files, those of each epoch anew. Options are integers, and
  `level`, a text: see there;
- `SPLITS`, `CLASSES` and `ABOUT`: a name, the source, the licence, what inputs are, and
  where there are such, the notice that the licence asks for, and the inputs' range and
  their sample rate in hertz;
- only where there is something to say: `FOLDS`, the number of folds;
  `groups(split, **options)`, a number for each example that scores are told apart by;
  `augment(inputs, seed, **options)`, a batch as it is trained on; `MAP_OF_BEST`, the
  `k` of `cvzoo.MeanAveragePrecision` for videos, where not all scores count;
  `prepare(data_dir, manual_dir)`, for `training.prepare`.
"""

import importlib

# Name → the module that reads it. Those that read several have them in `SETS`.
_MODULES = {
    "chorale_chords": "chorale_chords",
    "chorales": "chorales",
    "cifar10": "images",
    "digits": "digits",
    "emnist_letters": "images",
    "fashion_mnist": "images",
    "kmnist": "images",
    "mnist": "images",
    "musicnet": "musicnet",
    "radio": "radio",
    "youtube8m": "youtube8m",
}


# A recipe's options for windows of recordings, and what they are by default: batches of
# an epoch; samples from one window of an evaluation to the next; whose windows they
# are, see `training.data.windows`.
WINDOW_OPTIONS = {"steps": 1000, "stride": 128, "protocol": "nazarov"}

# And for videos: batches of an epoch, 0 for as many as the training videos make; 1 for
# each video as two, its halves.
VIDEO_OPTIONS = {"steps": 0, "half_videos": 0}


class DataError(ValueError):
    """A data set that cannot be read."""


class MissingDataError(DataError):
    """A data set that is known, and is not here yet."""


class DamagedDataError(DataError):
    """A data set whose files are not what they should be."""


def names():
    """Names of all data sets that can be read."""
    return list(_MODULES)


def find(name):
    """What reads a data set."""
    if name not in _MODULES:
        raise DataError(f"No data set is called {name!r}. Known: {', '.join(names())}.")
    module = importlib.import_module(f"training.data.{_MODULES[name]}")
    return module.SETS[name] if hasattr(module, "SETS") else module


def has_recordings(source):
    """Whether examples are windows of recordings, and scores average precisions."""
    return hasattr(source, "recordings")


def has_videos(source):
    """Whether examples are videos, in files, of which each has several labels."""
    return hasattr(source, "videos")
