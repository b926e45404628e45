"""Names of recipes.

    python -m training.recipes [WORD …]

Prints those whose names hold all the words.
"""

import argparse
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
        print(
            f"training.recipes: no name holds {' and '.join(options.words)}. Give "
            "fewer words.",
            file=sys.stderr,
        )
        return 1
    print("\n".join(names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
