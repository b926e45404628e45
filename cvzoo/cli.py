"""The command `cvzoo`."""

import argparse
import os
import sys
from importlib import metadata

from cvzoo.commands import (
    benchmarking,
    demonstration,
    exporting,
    information,
    listing,
    running,
)

COMMANDS = (listing, information, running, demonstration, exporting, benchmarking)


def main(arguments=None):
    """Runs the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="cvzoo",
        description="Compact networks: list, describe, try, run, export, measure.",
    )
    parser.add_argument(
        "--version", action="version", version=metadata.version("cvzoo")
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        command.add_to(commands)
    options = parser.parse_args(arguments)
    _hide_native_messages()
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `cvzoo list --all | head` has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, RuntimeError, OSError) as error:
        print(f"cvzoo: {error}", file=sys.stderr)
        return 2


def _hide_native_messages():
    """Keeps TensorFlow's messages about the machine from stderr, unless asked for.

    Python's own still go there. Some are written before any level is looked at.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ or sys.stderr is not sys.__stderr__:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


if __name__ == "__main__":
    sys.exit(main())
