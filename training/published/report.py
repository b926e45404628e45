"""The table of what runs gave here and what was published, and how much agrees."""

import statistics
from typing import NamedTuple

import rich.box
import rich.console
import rich.table

from training.published import bands, cells, runs

console = rich.console.Console()

EMNIST = (
    "EMNIST-Letters is not quite the paper's: TensorFlow Datasets keeps 88 800 of its "
    "124 800 training and 14 800 of its 20 800 test images."
)


class Row(NamedTuple):
    """A quantity of a cell, here and published.

    Attributes:
        cell: The `Cell`.
        quantity: Name of a value of `Measured`.
        band: The `Band` around what was published.
        here: Mean over seeds.
        seeds: Number of seeds.
    """

    cell: cells.Cell
    quantity: str
    band: bands.Band
    here: float
    seeds: int

    @property
    def agrees(self):
        """Whether the mean lies in the band."""
        return self.band.holds(self.here)


def compare(found):
    """Rows of some runs, and what is not compared: reason → folders.

    Raises:
        ValueError: The scores of a run are damaged.
    """
    by_cell, refused = {}, {}
    for run in found:
        measured, reason = runs.measure(run)
        for one in measured:
            by_cell.setdefault(one.cell, []).append(one)
        if reason is not None:
            refused.setdefault(reason, []).append(run.path)
    rows = []
    for cell in sorted(by_cell, key=_order):
        reason = _differing(by_cell[cell])
        if reason is None:
            rows += _rows(cell, by_cell[cell])
        else:
            refused[reason] = [one.run.path for one in by_cell[cell]]
    return rows, refused


def _order(cell):
    place = cells.DATASETS.index(cell.dataset)
    network = (place, cell.features, cell.model, cell.field, cell.width)
    return (*network, cell.method or "", cell.k or 0)


def _differing(measured):
    """Why runs of one cell cannot be averaged, or `None`.

    The protocol says what else they have, and the cell what they compress with. Options
    of the data that the paper says nothing of are left.
    """
    first = measured[0].run
    for one in measured:
        if one.run.recipe["data"] != first.recipe["data"]:
            return (
                f"runs of {one.cell} differ in more than the seed: {first.path} has "
                f"data {first.recipe['data']}, {one.run.path} has "
                f"{one.run.recipe['data']}. Give those of one kind."
            )
    return None


def _rows(cell, measured):
    by_seed = {}
    for one in measured:
        by_seed.setdefault(one.run.recipe.get("seed"), []).append(one.values)
    rows = []
    for quantity, band in bands.of(cell).items():
        # Runs with one seed share their pre-training: together they count once.
        means = [
            statistics.fmean(values[quantity] for values in of_seed)
            for of_seed in by_seed.values()
        ]
        here = statistics.fmean(means)
        rows.append(Row(cell, quantity, band, here, len(by_seed)))
    return rows


def table(rows):
    """The rows for the terminal; those that disagree are bold."""
    # In 80 columns names of cells wrap, and numbers do not.
    drawn = rich.table.Table(box=rich.box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    drawn.add_column("cell")
    drawn.add_column("quantity")
    for heading in ("published", "here", "seeds"):
        drawn.add_column(heading, justify="right", no_wrap=True)
    drawn.add_column("agrees")
    for row in rows:
        is_factor = row.quantity == "compression"
        drawn.add_row(
            str(row.cell),
            row.quantity,
            row.band.text,
            f"×{row.here:.1f}" if is_factor else f"{row.here:.4f}",
            str(row.seeds),
            "yes" if row.agrees else "no",
            style=None if row.agrees else "bold",
        )
    return drawn


def show(folders):
    """Compares all runs in some folders, and prints it.

    Returns:
        The exit status: 0 where all agrees, 1 where something does not.

    Raises:
        ValueError: There is nothing to compare, or a run cannot be read.
        CheckpointError: A recipe is damaged.
    """
    rows, refused = compare(runs.find(folders))
    reasons = [
        f"{', '.join(map(str, paths))}: {reason}" for reason, paths in refused.items()
    ]
    if not rows:
        raise ValueError(
            "None of the runs can be compared with the paper.\n" + "\n".join(reasons)
        )
    console.print(table(rows))
    console.print(bands.LEGEND, highlight=False)
    if any(row.cell.dataset == "emnist_letters" for row in rows):
        console.print(EMNIST)
    if reasons:
        _print("\nNot compared:\n" + "\n".join(reasons))
    agreeing = sum(row.agrees for row in rows)
    _print(f"\nagrees in {agreeing} of {len(rows)}")
    return 0 if agreeing == len(rows) else 1


def _print(text):
    """Paths and reasons may hold brackets, and are not cut into lines."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
