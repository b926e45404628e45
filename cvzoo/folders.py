"""Folders that are made whole or not at all."""

import os
import shutil
import tempfile
from pathlib import Path


def write(folder, write):
    """Makes a folder whole or not at all: `write(aside)`, then a rename.

    A folder of that name is replaced, and kept when writing fails.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        result = write(aside)
        aside.chmod(0o755)  # mkdtemp makes folders that only their owner may read
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
            os.replace(folder, old)
            os.replace(aside, folder)
            shutil.rmtree(old)
        else:
            os.replace(aside, folder)
        return result
    finally:
        shutil.rmtree(aside, ignore_errors=True)
