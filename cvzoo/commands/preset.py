"""A preset as commands need it: what it tells at once, its model when asked for."""

import functools

from cvzoo import cards, catalogue, preset_files
from cvzoo.input_files import kinds

# Examples of a call, so that long files need no more memory than short ones.
BATCH = 256
_INPUT = {"name", "shape", "dtype"}


def _is_whole(described, settings):
    """Whether two JSON files have what commands show; `from_preset` checks the rest."""
    if not isinstance(described, dict) or not isinstance(described.get("inputs"), list):
        return False
    inputs = described["inputs"]
    return (
        isinstance(described.get("name"), str)
        and all(isinstance(one, dict) and set(one) >= _INPUT for one in inputs)
        and all(isinstance(one["name"], str) for one in inputs)
        and all(isinstance(one["dtype"], str) for one in inputs)
        and all(isinstance(one["shape"], list) for one in inputs)
        and all(n is None or type(n) is int for one in inputs for n in one["shape"])
        and isinstance(settings, dict)
        and "recipe" in settings
    )


class Preset:
    """A preset whose JSON files were read and compared with their hashes.

    Args:
        name: As for `cvzoo.from_preset`.

    Attributes:
        manifest, described, settings: What its JSON files hold.
        inputs: For each input a dictionary: name, shape, type, and what is told of it.
    """

    def __init__(self, name):
        self.name = name
        self.folder = catalogue.find(name)
        self.manifest = preset_files.read_manifest(self.folder)
        files = preset_files.read_files(
            self.folder, self.manifest, apart=(preset_files.WEIGHTS,)
        )
        self.described, self.settings = (
            preset_files.parse_json(files[file], file)
            for file in (preset_files.ARCHITECTURE, preset_files.CONFIG)
        )
        if not _is_whole(self.described, self.settings):
            raise preset_files.PresetError(
                f"Preset {self.folder}: {preset_files.ARCHITECTURE} must tell of "
                f"`name` and `inputs`, and {preset_files.CONFIG} of `recipe`."
            )
        self.inputs = [
            {**one, **cards.told_of(self.manifest, one)}
            for one in self.described["inputs"]
        ]

    def taken(self):
        """Which files it can be run on, `kinds.Taken`."""
        return kinds.taken(self.name, self.inputs)

    @functools.cached_property
    def model(self):
        """The network; the first use imports Keras."""
        import cvzoo

        return cvzoo.from_preset(self.folder, compile=False, masked=False)

    def scores(self, inputs):
        """What the network says of inputs `(examples, …)`, a batch at a time."""
        import numpy as np

        parts = range(0, len(inputs), BATCH)
        return np.concatenate(
            [
                self.model.predict_on_batch(np.ascontiguousarray(inputs[n : n + BATCH]))
                for n in parts
            ]
        )

    def probabilities(self, inputs):
        """The same as probabilities of the classes, `(examples, …, classes)`."""
        from cvzoo import decoding

        scores = self.scores(inputs)
        return decoding.checked_probabilities(self.name, self.manifest, scores)
