"""Folders that are made whole or not at all."""

import os
import tempfile
from pathlib import Path


def write(folder, write, check=None):
    """Makes a folder whole or not at all: `write(aside)`, then a rename.

    A folder of that name is replaced, and kept when anything fails. Where the name is
    a link to a folder, that folder is.

    Args:
        folder: Its name.
        write: Function of a folder, that fills it.
        check: Called just before what is there is replaced; raises where it must stay.
    """
    folder = Path(folder).resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True
    ) as around:
        aside, old = Path(around) / "new", Path(around) / "old"
        aside.mkdir()
        result = write(aside)
        if check is not None:
            check()
        try:
            if folder.exists():
                # Systems differ in whether a folder can be put in place of another.
                os.replace(folder, old)
            os.replace(aside, folder)
        except BaseException:  # also Ctrl-C, after which `old` would go with `around`
            if old.exists() and not folder.exists():
                os.replace(old, folder)
            raise
    return result


def names(folder):
    """Paths of all files of a folder, relative to it, sorted."""
    files = (path for path in Path(folder).rglob("*") if not path.is_dir())
    return sorted(path.relative_to(folder).as_posix() for path in files)


def size(folder):
    """Bytes of all files of a folder."""
    return sum(Path(folder, name).stat().st_size for name in names(folder))
