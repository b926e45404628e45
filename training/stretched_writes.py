"""`training.train` that stays for long inside one write of a checkpoint.

For `training.chaos`, which kills it there. `CHAOS_PIDS` is a folder that gets a file
with each worker's process number. When the system is asked for the n-th time to bring
a file or a folder to the disk, n being `CHAOS_SYNC`, the file `CHAOS_PIDS/writing`
appears and nothing more happens.
"""

import itertools
import os
import sys
import time
from pathlib import Path
from unittest import mock


def main(arguments=None):
    """The command; returns the exit status."""
    folder = Path(os.environ["CHAOS_PIDS"])
    stop_at = int(os.environ.get("CHAOS_SYNC", 0))
    (folder / str(os.getpid())).touch()
    calls, sync = itertools.count(1), os.fsync

    def stretched(descriptor):
        sync(descriptor)
        if next(calls) == stop_at:
            (folder / "writing").touch()
            time.sleep(600)

    from training import train

    with mock.patch.object(os, "fsync", stretched):
        return train.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
