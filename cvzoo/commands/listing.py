"""`cvzoo list`: the shipped presets, and with `--all` the recipes without weights."""

import argparse
import dataclasses
import itertools
import json
import re
import sys

from cvzoo import catalogue, recipes

_UNITS = {"": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9}
_UNITS |= {"b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30}
NOT_TRAINED = "recipe, not trained"


def add_to(commands):
    """Adds the command to the parser's commands."""
    parser = commands.add_parser("list", help="the shipped presets")
    parser.add_argument("--field", choices=("real", "complex"), help="of the weights")
    parser.add_argument(
        "--max-bytes",
        type=parse_bytes,
        metavar="SIZE",
        help="largest weights file, such as 20000, 20kB or 1MiB",
    )
    parser.add_argument(
        "--dataset", help="the recipe's data set, or a part of what data are called"
    )
    parser.add_argument(
        "--all", action="store_true", help="recipes without weights too"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def parse_bytes(text):
    """A number of bytes, from a text such as `1MB` (10⁶) or `1MiB` (2²⁰)."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?i?b)?", text.strip().lower())
    unit = _UNITS.get(found[2] or "") if found else None
    if unit is None:
        raise argparse.ArgumentTypeError(
            "expected a number of bytes, or one with kB, MB, GB, KiB, MiB or GiB, such "
            f"as 1MB. Received: {text!r}"
        )
    return float(found[1]) * unit


def run(options):
    """Prints the presets that fit; returns the exit status."""
    rows = [row for row in catalogue.list_presets() if _fits(row, options)]
    untrained = _untrained(options) if options.all else []
    if options.json:
        print(json.dumps(_as_data(rows, untrained), indent=2, ensure_ascii=False))
        return 0
    if not rows and not untrained:
        print(f"cvzoo: {_nothing(options)}", file=sys.stderr)
        return 1
    if sys.stdout.isatty():
        _print_for_people(rows, untrained)
    else:
        _print_plain(rows, untrained)
    return 0


def _fits(row, options):
    size, word = options.max_bytes, (options.dataset or "").lower()
    return (
        options.field in (None, row.field)
        and (size is None or row.bytes <= size)
        and (not word or word == row.dataset.lower() or word in row.data.lower())
    )


def _untrained(options):
    """Recipes without weights that fit; how large theirs would be, nobody knows."""
    if options.max_bytes is not None:
        return []
    trained = set(catalogue.preset_names())
    word = (options.dataset or "").lower()
    return [
        recipe
        for recipe in recipes.by_name().values()
        if recipe.name not in trained
        and options.field in (None, recipe.field)
        and (not word or word == recipe.dataset.lower())
    ]


def _as_data(rows, untrained):
    return [{**dataclasses.asdict(row), "trained": True} for row in rows] + [
        {**dataclasses.asdict(recipe), "trained": False, "command": recipe.command}
        for recipe in untrained
    ]


def _nothing(options):
    """What to say where no preset fits."""
    known = sorted({row.dataset for row in catalogue.list_presets()})
    text = f"No preset fits. Presets are of the data sets {', '.join(known)}."
    if not options.all and (others := len(_untrained(options))):
        text += f" Of recipes without weights {others} fit: add --all."
    return text


def _print_for_people(rows, untrained):
    """Presets by data set, in 80 columns."""
    width = max((len(row.name) for row in rows), default=0)
    by_data = sorted(rows, key=lambda row: (row.metric, row.name))
    for metric, group in itertools.groupby(by_data, key=lambda row: row.metric):
        print(f"\033[1m{metric or 'no score'}\033[0m")
        print(f"{'':{width}}  score before smaller    bytes")
        for row in group:
            scores = f"{_percent(row.score):>6} {_percent(row.before):>6}"
            sizes = f"{_factor(row.compression):>7} {row.bytes:>8,}"
            print(f"{row.name:{width}} {scores} {sizes}")
        print()
    by_dataset = sorted(untrained, key=lambda recipe: recipe.dataset)
    for dataset, group in itertools.groupby(by_dataset, lambda one: one.dataset):
        print(f"\033[1m{dataset}\033[0m")
        for recipe in group:
            print(f"{recipe.name:54}  {NOT_TRAINED}")
        print()
    print("More on one: cvzoo info NAME")


def _print_plain(rows, untrained):
    """A line for each, under headings."""
    lines = [
        ("name", "dataset", "field", "score", "before", "numbers", "compression")
        + ("bytes", "metric")
    ]
    for row in rows:
        scores = f"{row.score:.3f}", "-" if row.before is None else f"{row.before:.3f}"
        sizes = f"{row.parameters}", f"{row.compression:.1f}", f"{row.bytes}"
        lines.append(
            (row.name, row.dataset or "-", row.field, *scores, *sizes, row.metric)
        )
    lines += [
        (recipe.name, recipe.dataset, recipe.field, *"-----", NOT_TRAINED)
        for recipe in untrained
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (f"{cell:{n}}" for cell, n in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def _percent(score):
    return "-" if score is None else f"{100 * score:.1f}%"


def _factor(compression):
    return f"×{compression:.1f}" if compression > 1 else "-"
