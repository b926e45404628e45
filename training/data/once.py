"""Folders of data that are made once, whole or not at all."""

import contextlib
import fcntl
import shutil

from training.data import DataError


def make(folder, fill, name):
    """Makes a folder, unless it is there.

    Two processes may ask at once: one waits until the other is done.

    Args:
        folder: The folder.
        fill: Function that is given an empty folder beside it, and puts all into that.
        name: What the data set is called, for errors.

    Raises:
        DataError: Nothing could be written.
    """
    if folder.exists():
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.parent / "lock"):
            if not folder.exists():
                _make(folder, fill)
    except OSError as error:
        raise DataError(
            f"The data set {name!r} could not be made, and none of it is in {folder}: "
            f"{error}. Once that is put right, start the same command again."
        ) from error


@contextlib.contextmanager
def _alone(path):
    """Waits until no other process is in here; the system frees what a kill leaves."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(folder, fill):
    aside = folder.with_name(f"{folder.name}.part")
    # Of a process that was killed.
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir()
        fill(aside)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
