"""`cvzoo info NAME`: all that a preset tells of itself."""

import itertools
import json
import shutil
import textwrap

from cvzoo import cards
from cvzoo.commands.preset import Preset
from cvzoo.input_files import InputFileError, kinds

# Columns of the headings.
LEFT = 24


def add_to(commands):
    """Adds the command to the parser's commands."""
    parser = commands.add_parser("info", help="what a preset is, and how to use it")
    parser.add_argument("name", help="a preset's name, folder or address")
    parser.add_argument("--json", action="store_true", help="its manifest, and inputs")
    parser.set_defaults(run=run)


def run(options):
    """Prints what is known of a preset; returns the exit status."""
    found = Preset(options.name)
    if options.json:
        shown = {**found.manifest, "inputs": found.inputs}
        shown.pop("examples")
        print(json.dumps(shown, indent=2, ensure_ascii=False))
        return 0
    print(f"{found.manifest['name']}\n")
    for heading, value in cards.rows(found.manifest, found.described, found.settings):
        _print_row(heading, str(value).replace("`", ""))
    print(f"\nload it:\n    cvzoo.from_preset({options.name!r})")
    try:
        kind = found.taken().kind
    except InputFileError:
        return 0
    print(f"run it, FILE being {kinds.FILES[kind]}:\n    cvzoo run {found.name} FILE")
    return 0


def _print_row(heading, text):
    """A heading beside its text, both wrapped, but not within words."""
    right = max(shutil.get_terminal_size().columns - LEFT - 1, LEFT)
    columns = (
        textwrap.wrap(part, width, break_long_words=False, break_on_hyphens=False)
        for part, width in ((heading, LEFT - 2), (text, right))
    )
    for left, line in itertools.zip_longest(*columns, fillvalue=""):
        print(f"{left:{LEFT}}{line}".rstrip())
