"""`cvzoo bench NAME`: what a preset's exports take, on this machine."""

import dataclasses
import itertools
import json
from pathlib import Path

from cvzoo.commands import running


def add_to(commands):
    """Adds the command to the parser's commands."""
    parser = commands.add_parser(
        "bench", help="bytes, time and memory of a preset's exports, here and now"
    )
    parser.add_argument("name", nargs="?", help="a preset's name, folder or address")
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="measure what products cost here; exports choose by it from then on",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--out", type=Path, metavar="PICTURE", help="where to draw it")
    parser.set_defaults(run=run)


def run(options):
    """Measures and prints; returns the exit status."""
    if not options.name and not options.calibrate:
        raise ValueError("Give a preset's name, or `--calibrate`.")
    if options.calibrate:
        _calibrate()
    if options.name:
        _measure(options)
    return 0


def _calibrate():
    from cvzoo.exporting import costs

    table = costs.measure()
    print(f"{costs.save(table)}, microseconds:")
    for name, value in dataclasses.asdict(table).items():
        print(f"  {name:16} {value:.3g}")


def _measure(options):
    from cvzoo.exporting import measuring

    rows = measuring.measure(options.name)
    if options.json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=1))
    else:
        print("\n".join(_lines(rows)))
    if options.out is not None and (
        path := running.drawn(_draw, rows, options.out, options.name)
    ):
        print(f"Picture: {path}")


def _lines(rows):
    """A table for the terminal."""
    sizes = list(rows[0].milliseconds)
    heads = "".join(f"{f'batch {size}, p50 p99':>22}" for size in sizes)
    yield f"{'':14}{'bytes':>12}{heads}{'memory':>11}"
    for network, of_network in itertools.groupby(rows, lambda row: row.network):
        of_network = list(of_network)
        first = of_network[0]
        yield (
            f"{network}: {first.numbers:,} numbers, {first.multiply_adds:,} "
            "multiply-adds"
        )
        for row in of_network:
            times = "".join(f"{a:14.3f}{b:8.3f}" for a, b in row.milliseconds.values())
            memory = f"{row.peak / 2**20:.0f} MiB" if row.peak else ""
            yield f"  {row.format:12}{row.bytes:12,}{times}{memory:>11}"
    yield "Milliseconds of a call; memory of the whole process, its runtime included."
    losing = [row.name for row in rows if row.dominated_by]
    for name in losing:
        yield f"Dominated: {name}"


def _draw(rows, path, title):
    """Time of one example against bytes."""
    from cvzoo import figures

    figure, axes = figures.new_figure(7, 4.5)
    for row in rows:
        (median, _), *_ = row.milliseconds.values()
        axes.scatter(row.bytes, median, label=row.name)
    axes.set(xscale="log", yscale="log", title=title)
    axes.set(xlabel="bytes of the export", ylabel="milliseconds for one example")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figures.save(figure, path)
