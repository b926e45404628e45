"""Names of recipes.

    python -m training.recipes [WORD …]

Prints those whose names hold all the words.
"""

import argparse
import difflib
import sys

from training import config as configs


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.recipes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", help="for example: complex mnist")
    options = parser.parse_args(arguments)
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
