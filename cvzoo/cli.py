"""The command `cvzoo`."""

import argparse
import os
import sys

from cvzoo.commands import demonstration, exporting, information, listing, running

COMMANDS = (listing, information, running, demonstration, exporting)


def main(arguments=None):
    """Runs the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="cvzoo",
        description="Compact networks: list, describe, try, run and export presets.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        command.add_to(commands)
    options = parser.parse_args(arguments)
    # TensorFlow's messages about the machine, unless someone asked for them.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
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


if __name__ == "__main__":
    sys.exit(main())
