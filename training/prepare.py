"""Downloads a data set and prepares it for training, once.

    python -m training.prepare NAME [--data-dir DIR] [--manual-dir DIR]

DIR defaults to the environment variable TFDS_DATA_DIR, or else ~/tensorflow_datasets.
Commands that read the set find it there.
"""

import argparse
import sys
from pathlib import Path

from training import data


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.prepare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", help=f"one of {', '.join(data.names())}")
    parser.add_argument("--data-dir", type=Path, help="where data sets are kept")
    parser.add_argument(
        "--manual-dir", type=Path, help="where downloads are that were made by hand"
    )
    options = parser.parse_args(arguments)
    try:
        source = data.find(options.name)
        if not hasattr(source, "prepare"):
            print(f"{options.name} needs no preparation: train on it as it is.")
            return 0
        folder = source.prepare(options.data_dir, options.manual_dir)
    except data.DataError as error:
        print(f"training.prepare: {error}", file=sys.stderr)
        return 2
    print(f"{options.name} is in {folder}.")
    if options.data_dir is not None:
        print(f"Set TFDS_DATA_DIR={options.data_dir} for commands that read it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
