"""What a hostile preset is, and how a file of a preset is changed."""

import dataclasses
import json
import random
from collections.abc import Callable

from cvzoo import preset_files
from tests.hostile import bases
from tests.hostile.json_text import dumps

JSON_FILES = (preset_files.MANIFEST, preset_files.ARCHITECTURE, preset_files.CONFIG)
CODE = {"class_name": "Lambda", "module": "builtins", "config": {}}
# What must happen. The last is for weights in which a bit was flipped: what they then
# say may be as good as before, to within the tolerance of stored examples.
REFUSED, FOUND_BY_VERIFY, REFUSED_OR_AS_GOOD = "refused", "found by verify", "as good"
# Of a preset that may be loaded as it is, but not with other classes.
WITHOUT_HEAD = "without head"


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A hostile preset.

    Attributes:
        name: What was done to which base.
        kind: A few words.
        base: Name of the preset of `bases` that it is a change of.
        make: Function of the base's files that gives the mutant's.
        outcome: What must happen.
        place: Function of the folder, called once the files are there.
    """

    name: str
    kind: str
    base: str
    make: Callable
    outcome: str = REFUSED
    place: Callable | None = None

    def write(self, folder):
        """Writes its files. Returns whether sizes and hashes are right.

        Something else than these must then stop it.
        """
        files = self.make(bases.presets()[self.base])
        for name, data in files.items():
            (folder / name).write_bytes(data)
        if self.place:
            self.place(folder)
        return self.place is None and _are_right(files)


def _are_right(files):
    """Whether a manifest can be read, and states of each file what it is."""
    try:
        stated = json.loads(files[preset_files.MANIFEST])["files"]
        return stated == {
            name: preset_files.describe_bytes(files[name])
            for name in preset_files.FILES
        }
    except (LookupError, TypeError, ValueError, RecursionError):
        return False


def generator_of(*key):
    return random.Random("/".join(map(str, key)))


def resealed(name, change):
    """Function of files: one is changed, and the manifest made to fit."""

    def make(files):
        files = {**files, name: change(files[name])}
        return files if name == preset_files.MANIFEST else bases.sealed(files)

    return make


def with_json(name, change):
    return resealed(name, lambda data: dumps(change(json.loads(data))))


def flip(data, at_bit):
    data = bytearray(data)
    data[at_bit // 8] ^= 1 << at_bit % 8
    return bytes(data)


# Entries of a manifest that are for people.
FREE = (
    *("name", "description", "versions", "scores", "data", "inputs", "latency"),
    *("licence", "command"),
)


def is_example_number(path):
    return path[:1] == ("examples",) and "values" in path[:-1]
