"""Folders that are made whole or not at all."""

import os
import tempfile
from pathlib import Path


def write(folder, write):
    """Makes a folder whole or not at all: `write(aside)`, then a rename.

    A folder of that name is replaced, and kept when anything fails. Where the name is
    a link to a folder, that folder is.
    """
    folder = Path(folder).resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True
    ) as around:
        aside, old = Path(around) / "new", Path(around) / "old"
        aside.mkdir()
        result = write(aside)
        if folder.exists():
            # Systems differ in whether a folder can be put in the place of another.
            os.replace(folder, old)
        try:
            os.replace(aside, folder)
        except OSError:
            if old.exists():
                os.replace(old, folder)
            raise
    return result
