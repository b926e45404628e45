"""`cvzoo bench NAME`: what a preset's exports take, on this machine."""

import dataclasses
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
    batches = list(rows[0].milliseconds)
    heads = [f"ms for {size}: p50, p99" for size in batches]
    yield (
        f"{'':52}{'bytes':>12}{'numbers':>12}{'mult-adds':>13}"
        + "".join(f"{head:>24}" for head in heads)
        + f"{'memory':>10}"
    )
    for row in rows:
        times = "".join(f"{a:15.3f}{b:9.3f}" for a, b in row.milliseconds.values())
        yield (
            f"{row.name:52.52}{row.bytes:12,}{row.numbers:12,}{row.multiply_adds:13,}"
            f"{times}{row.peak / 2**20:6.0f} MiB"
        )
    yield "memory: of the whole process, its runtime included."
    for row in rows:
        if row.dominated_by:
            yield f"As small and as fast as {row.name}: {'; '.join(row.dominated_by)}"


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
