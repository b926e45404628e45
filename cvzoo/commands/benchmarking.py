"""`cvzoo bench NAME`: what a preset's exports take, on this machine."""

import dataclasses
import itertools
import json
import sys
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
    parser.add_argument(
        "--rivals",
        type=Path,
        metavar="FILE",
        help="of `training.compare`; those that came along if left out",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=1,
        metavar="N",
        help="examples of a call, for which exports should be fast; default: 1",
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

    found = measuring.measure(
        options.name,
        rivals_file=options.rivals,
        batch_size=options.batch_size,
        track=_track,
    )
    if options.json:
        print(
            json.dumps(
                {**dataclasses.asdict(found), "verdict": found.verdict}, indent=1
            )
        )
    else:
        print("\n".join(_lines(found)))
    if options.out is not None and all(row.test is None for row in found.rows):
        print("No picture: no scores are known.", file=sys.stderr)
    elif options.out is not None and (
        path := running.drawn(_draw, found, options.out, options.name)
    ):
        # Apart from what programs read.
        print(f"Picture: {path}", file=sys.stderr if options.json else sys.stdout)


def _track(jobs, text):
    """Shows, apart from the results, how many of some jobs are done."""
    import rich.console
    import rich.progress

    console = rich.console.Console(stderr=True)
    if console.is_terminal:
        yield from rich.progress.track(jobs, text, console=console, transient=True)
        return
    for number, job in enumerate(jobs, 1):
        print(f"{text}: {number} of {len(jobs)}", file=sys.stderr, flush=True)
        yield job


def _lines(found):
    """A table for the terminal."""
    rows = found.rows
    sizes = list(rows[0].milliseconds)
    heads = "".join(f"{f'batch {size}, p50 p99':>22}" for size in sizes)
    yield f"{'':14}{'score %':>14}{'bytes':>12}{heads}{'memory':>11}"
    for network, of_network in itertools.groupby(rows, lambda row: row.network):
        of_network = list(of_network)
        first, products = of_network[0], "multiply-adds not known"
        if first.multiply_adds is not None:
            products = f"{first.multiply_adds:,} multiply-adds"
        yield f"{network}: {first.numbers:,} numbers, {products}"
        for row in of_network:
            times = "".join(f"{a:14.3f}{b:8.3f}" for a, b in row.milliseconds.values())
            memory = f"{row.peak / 2**20:.0f} MiB" if row.peak else ""
            score = _score(row)
            yield f"  {row.format:12}{score:>14}{row.bytes:12,}{times}{memory:>11}"
    yield "Milliseconds of a call; memory of the whole process, its runtime included."
    if metric := found.scores["metric"]:
        yield f"Scores: {_told(metric, found.scores)}."
    if not found.has_rivals:
        yield (
            "No rivals are known, so that there is no verdict: `python -m "
            f"training.compare {found.preset}` makes them, for `--rivals FILE`."
        )
        return
    for format, winners in found.verdict.items():
        yield f"{found.preset}, {format}: {_verdict(winners)}."


def _score(row):
    if row.test is None:
        return ""
    return f"{row.test:.1f}" + ("" if row.error is None else f" ± {row.error:.1f}")


def _told(metric, scores):
    if "command" not in scores:
        return metric
    return (
        f"{metric}, mean of {scores['repetitions']} (`{scores['command']}`, "
        f"{scores['hardware']}, {scores['date']})"
    )


def _verdict(winners):
    if not winners:
        return "not dominated"
    return f"DOMINATED by {', '.join(winners)}: no worse, no larger, no slower"


def _draw(found, path, title):
    """Score against bytes, and against the time of one example."""
    from cvzoo import figures

    figure, axes = figures.new_figure(11, 4.5, 2)
    markers = {"SavedModel": "s", "LiteRT": "o", "LiteRT int8": "^"}
    networks = list(dict.fromkeys(row.network for row in found.rows))
    for row in found.rows:
        if row.test is None:
            continue
        (median, _), *_ = row.milliseconds.values()
        number = networks.index(row.network)
        look = {
            "fmt": markers[row.format],
            "color": f"C{number}",
            "markersize": 10 if row.network == found.preset else 6,
        }
        for axis, value in zip(axes, (row.bytes, median), strict=True):
            axis.errorbar(value, row.test, row.error, elinewidth=0.8, **look)
    for axis, label in zip(
        axes, ("bytes of the export", "milliseconds for one example"), strict=True
    ):
        axis.set(xscale="log", xlabel=label, ylabel="test score ± standard error, %")
        axis.grid(alpha=0.3)
    figure.suptitle(title)
    figures.legend_beside(
        figure,
        {name: {"color": f"C{n}", "marker": "_"} for n, name in enumerate(networks)}
        | {name: {"color": "0.4", "marker": one} for name, one in markers.items()},
    )
    return figures.save(figure, path)
