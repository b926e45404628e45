"""Networks that a preset is measured beside: their scores, and what they are made of.

`python -m training.compare` trains them and keeps their scores. Their weights do not
come along: bytes, time and memory depend on layers and on how many weights are zero, so
that random ones in their place do. Those of shipped presets are in `cvzoo/rivals`.
"""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np

from cvzoo import architecture, packing, weights

SHIPPED = Path(__file__).parents[1] / "rivals"
FORMAT = 1


class RivalsError(ValueError):
    """A file that holds no rivals."""


@dataclasses.dataclass(frozen=True)
class Rival:
    """A network with the score that it was trained to.

    Attributes:
        name: What it is.
        is_ours: Whether it is the recipe's own network, or made of that.
        test: Mean score on test data, in percent.
        error: Its standard error over repetitions, or over test examples of one;
            `None` if it is not known.
        numbers: Mean of its stored numbers that are not zero.
        bytes: Mean size of its weights file.
        network: Result of `describe`, of the first repetition; `None` where nothing
            can be exported.
    """

    name: str
    is_ours: bool
    test: float
    error: float | None
    numbers: float
    bytes: float
    network: dict | None = None


@dataclasses.dataclass(frozen=True)
class Rivals:
    """What a preset is measured beside.

    Attributes:
        preset: Its name.
        metric: What scores are, and on which data.
        repetitions: How many runs the scores are means of, in words.
        command: What made the file.
        hardware: Where it ran.
        date: When.
        rows: List of `Rival`.
    """

    preset: str
    metric: str
    repetitions: str
    command: str
    hardware: str
    date: str
    rows: list

    def named(self, name):
        """The rival of a name, or `None`."""
        return next((row for row in self.rows if row.name == name), None)

    @property
    def ours(self):
        """The recipe's own network, the first of those made of it; `None` if absent."""
        return next((row for row in self.rows if row.is_ours), None)


def shipped(name):
    """Where the rivals of a preset of a name are, or `None` if none came along."""
    path = SHIPPED / f"{name}.json"
    return path if path.is_file() else None


def read(path):
    """The `Rivals` in a file."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        if data.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        rows = [Rival(**row) for row in data.pop("rows")]
        return Rivals(**data, rows=rows)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise RivalsError(
            f"{path} must be a file `rivals.json` of `python -m training.compare`. "
            f"It cannot be read as one: {error}"
        ) from error


def write(path, rivals):
    """Keeps `Rivals` in a file."""
    data = {"format": FORMAT, **dataclasses.asdict(rivals)}
    rows = ",\n".join(map(json.dumps, data.pop("rows")))
    head = json.dumps(data, indent=1).removesuffix("\n}")
    Path(path).write_text(f'{head},\n "rows": [\n{rows}\n]}}\n', encoding="utf-8")


def describe(model):
    """A model without its weights: its layers, and how many of each weight are zero.

    Args:
        model: A model of layers that presets can keep, shrunk.
    """
    return {
        "architecture": architecture.describe(model),
        "tensors": {
            name: {
                "shape": list(np.shape(parts[0])),
                "nonzero": int(np.count_nonzero(packing.nonzero(parts))),
            }
            for name, parts in _with_parts(weights.named_tensors(model))
        },
    }


def build(network, seed=0):
    """A model with random weights, as many of them zero as `describe` counted.

    Every input and output of a kernel has a weight that is not zero where their number
    allows it, as in a network that was shrunk.
    """
    tensors = network["tensors"]
    shapes = {name: tuple(one["shape"]) for name, one in tensors.items()}
    model = architecture.build(network["architecture"], shapes)
    generator = np.random.default_rng(seed)
    values = {}
    for name, parts in _with_parts(weights.named_tensors(model)):
        shape, nonzero = shapes[name], tensors[name]["nonzero"]
        mask = _mask(shape, nonzero, generator)
        # Outputs keep their size from layer to layer.
        scale = math.sqrt(math.prod(shape[-1:]) / max(nonzero, 1))
        drawn = [
            mask * generator.normal(0, scale, shape).astype(np.float32) for _ in parts
        ]
        values[name] = tuple(drawn) if len(drawn) == 2 else drawn[0]
    weights.assign(model, values)
    return model


def _with_parts(tensors):
    for name, value in tensors.items():
        yield name, value if isinstance(value, tuple) else (value,)


def _mask(shape, nonzero, generator):
    """A mask of a shape, with so many ones."""
    size = math.prod(shape)
    order = generator.permutation(size)
    if len(shape) > 1:
        # The first of each input and of each output come before all others.
        *_, inputs, outputs = np.unravel_index(order, shape)
        firsts = [np.unique(of, return_index=True)[1] for of in (inputs, outputs)]
        first = np.zeros(size, bool)
        first[np.concatenate(firsts)] = True
        order = np.concatenate([order[first], order[~first]])
    mask = np.zeros(size, np.float32)
    mask[order[:nonzero]] = 1
    return mask.reshape(shape)
