"""Presets in the cache: folders of which a record says that they were checked.

An entry is the folder of one address:

    lock                      held by the process that downloads
    record.json               which folder is the current one, and what its files were
    <start of its sha256>/    a preset, named by its manifest; made whole, never changed
    aside/                    a preset that is on its way
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
from pathlib import Path

from cvzoo import preset_files
from cvzoo.preset_files import FILES, MANIFEST, PresetError

_RECORD = "record.json"
_ASIDE = "aside"


@dataclasses.dataclass(frozen=True)
class Cached:
    """A preset that is whole.

    Attributes:
        folder: Where it is.
        manifest_sha256: What the manifest's sha256 is, in hexadecimal.
    """

    folder: Path
    manifest_sha256: str


class Entry:
    """What the cache has of one `Reference`.

    Args:
        home: Folder of the cache.
        reference: A `Reference`.
    """

    def __init__(self, home, reference):
        readable = re.sub(r"[^\w.-]", "_", reference.name, flags=re.ASCII)[:60]
        digest = hashlib.sha256(reference.text.encode()).hexdigest()
        self.folder = Path(home) / "presets" / f"{readable}-{digest[:16]}"
        self.reference = reference

    @contextlib.contextmanager
    def locked(self):
        """Waits until no other process writes here; a killed one does not count."""
        # Only here: what is cached needs no lock.
        from filelock import FileLock

        self.folder.mkdir(parents=True, exist_ok=True)
        # The system gives a lock up when its process ends, however that ends.
        with FileLock(self.folder / "lock"):
            yield

    def cached(self):
        """The `Cached` preset that is here, or `None` if there is no whole one.

        Files that are as the record says are taken as checked; they are hashed again
        where size or time of a change differ.
        """
        record = self._record()
        if record is None:
            return None
        folder = self.folder / record["folder"]
        try:
            if record["files"] != _states(folder):
                data = preset_files.read_limited(folder / MANIFEST)
                if hashlib.sha256(data).hexdigest() != record["manifest"]:
                    return None
                preset_files.read_files(
                    folder, preset_files.parse_manifest(data, folder)
                )
        except (FileNotFoundError, PresetError):
            return None
        return Cached(folder, record["manifest"])

    @contextlib.contextmanager
    def aside(self):
        """An empty folder for what is on its way, gone afterwards whatever happens.

        Only for the holder of the lock: one that a killed process left is removed.
        """
        aside = self.folder / _ASIDE
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def install(self, aside, manifest_sha256):
        """Makes a whole folder aside the current one. Returns it as `Cached`.

        The former one stays until the next comes, as someone may be reading it; those
        before it go.
        """
        former = (self._record() or {}).get("folder")
        folder = self.folder / manifest_sha256[:16]
        record = {
            "reference": self.reference.text,
            "folder": folder.name,
            "manifest": manifest_sha256,
            "files": _states(aside),
        }
        written = self.folder / f"{_RECORD}.new"
        try:
            # First what needs room on the disk.
            written.write_text(json.dumps(record, indent=1), encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(aside, folder)
            os.replace(written, self.folder / _RECORD)
        finally:
            written.unlink(missing_ok=True)
        for path in self.folder.iterdir():
            if path.is_dir() and path.name not in (folder.name, former):
                shutil.rmtree(path, ignore_errors=True)
        return Cached(folder, manifest_sha256)

    def _record(self):
        """The record, or `None` if there is none that can be read."""
        try:
            data = json.loads((self.folder / _RECORD).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        is_ours = (
            isinstance(data, dict)
            and data.get("reference") == self.reference.text
            and isinstance(data.get("files"), dict)
            and re.fullmatch("[0-9a-f]{64}", str(data.get("manifest")))
            and data.get("folder") == data["manifest"][:16]
        )
        return data if is_ours else None


def _states(folder):
    """File name → size in bytes and time of its last change in nanoseconds."""
    states = {}
    for name in (MANIFEST, *FILES):
        status = (folder / name).lstat()
        states[name] = [status.st_size, status.st_mtime_ns]
    return states
