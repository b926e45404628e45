"""Names of recipes.

    python -m training.recipes [WORD …]
    python -m training.recipes --write

Prints those whose names hold all the words. With `--write`, writes all of them for the
package, which `cvzoo list --all` reads: to be run after recipes have changed.
"""

import argparse
import difflib
import json
import sys

from cvzoo import recipes
from training import config as configs


def packaged():
    """The text of `cvzoo/recipes.json`: data set → field → names."""
    found = {}
    for name in configs.names():
        config = configs.get(name)
        by_field = found.setdefault(config["data"]["name"], {})
        by_field.setdefault(config["model"].get("field", "real"), []).append(name)
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.recipes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", help="for example: complex mnist")
    parser.add_argument("--write", action="store_true", help="see above")
    options = parser.parse_args(arguments)
    if options.write:
        recipes.FILE.write_text(packaged(), encoding="utf-8")
        print(recipes.FILE)
        return 0
    names = [
        name for name in configs.names() if all(word in name for word in options.words)
    ]
    if not names:
        known = {word for name in configs.names() for word in name.split("_")}
        close = [
            near
            for word in options.words
            for near in difflib.get_close_matches(word, known, n=2)
            if near != word
        ]
        hint = "Give fewer words, or none for all names."
        if close:
            hint = f"Did you mean {', '.join(close)}?"
        print(
            f"training.recipes: no name holds {' and '.join(options.words)}. {hint}",
            file=sys.stderr,
        )
        return 1
    print("\n".join(names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
