"""Which recipes there are, with weights or without. Reads JSON only, never Keras.

Recipes are files of the repository, not of the package; their names come along in
`recipes.json`, which `python -m training.recipes --write` writes.
"""

import dataclasses
import functools
import json
from pathlib import Path

FILE = Path(__file__).with_name("recipes.json")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is told of a recipe.

    Attributes:
        name: Also the name of the preset that it makes.
        dataset: Name of its data set.
        field: `"real"` or `"complex"`, of the network's weights.
    """

    name: str
    dataset: str
    field: str

    @property
    def command(self):
        """What trains it."""
        return command(self.name)


def command(name):
    """What trains the recipe of a name, in a clone."""
    return f"python -m training.train {name} --workdir out/{name}"


@functools.cache
def by_name():
    """Name → `Recipe`."""
    return {
        name: Recipe(name, dataset, field)
        for dataset, by_field in json.loads(FILE.read_text(encoding="utf-8")).items()
        for field, names in by_field.items()
        for name in names
    }
