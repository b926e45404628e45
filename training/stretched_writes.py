"""`training.train` that stays for long inside one write of a file.

For `training.chaos`, which kills it there. `CHAOS_PIDS` is a folder that gets a file
with each worker's process number, and a file `epochs` with a line for each epoch that
begins or ends. When the system is asked for the n-th time to bring a file or a folder
to the disk, n being `CHAOS_SYNC`, the file `writing` appears there with the process
number, and nothing more happens.
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
            aside = folder / "aside"
            aside.write_text(str(os.getpid()))
            aside.rename(folder / "writing")
            time.sleep(600)

    from training import stages, train

    class Counted(stages.StopOnNaN):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch, logs)
            self.note("begin", epoch)

        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            self.note("end", epoch)

        def note(self, what, epoch):
            # All workers write the same line.
            with open(folder / "epochs", "a", encoding="ascii") as log:
                log.write(f"{what} {self.stage} {epoch}\n")

    with (
        mock.patch.object(os, "fsync", stretched),
        mock.patch.object(stages, "StopOnNaN", Counted),
    ):
        return train.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
