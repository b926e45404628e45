"""From an address to a folder of the cache, with as little network as needed."""

import hashlib
import os
import warnings

from cvzoo import preset_files
from cvzoo.downloads import environment
from cvzoo.downloads.answers import Unreachable
from cvzoo.downloads.entries import Entry
from cvzoo.preset_files import FILES, MANIFEST, PresetError


def folder_of(reference, opened):
    """The folder of a preset.

    One that is pinned and cached needs no network. Another's server is asked for the
    manifest, and if that has not changed for nothing else.

    Args:
        reference: A `Reference`.
        opened: Gives a context manager, and that a source: see `sources`.

    Returns:
        A `Path` inside the cache.
    """
    home = environment.cache_home()
    try:
        return _folder_of(reference, opened, Entry(home, reference), home)
    except OSError as error:
        raise PresetError(
            f"The cache {home} cannot be used for {reference.text}: {error}. Make room "
            f"and let it be written, or set {environment.HOME} to another folder."
        ) from error


def _folder_of(reference, opened, entry, home):
    cached = entry.cached()
    if cached and (reference.is_pinned or environment.is_offline()):
        return cached.folder
    if environment.is_offline():
        raise PresetError(
            f"{reference.text} is not in the cache {home}, and {environment.OFFLINE} "
            "is set. Load it once without that, or copy the cache of another machine."
        )
    try:
        with opened() as source:
            if not _is_current(cached, reference, source):
                cached = _renewed(reference, source, entry)
    except Unreachable as error:
        if not cached:
            raise
        warnings.warn(
            f"{error} The preset that was downloaded before is used, {cached.folder}; "
            f"{environment.OFFLINE}=1 does so without a question.",
            stacklevel=2,
        )
    return cached.folder


def _is_current(cached, reference, source):
    return cached is not None and (
        reference.is_pinned or cached.manifest_sha256 == _sha256(source.manifest)
    )


def _renewed(reference, source, entry):
    """What is `Cached` after a download, by us or by a process that was faster."""
    with entry.locked():
        cached = entry.cached()
        if not _is_current(cached, reference, source):
            with entry.aside() as aside:
                _download(reference, source, aside)
                cached = entry.install(aside, _sha256(source.manifest))
    return cached


def _download(reference, source, aside):
    """Writes the five files of a preset, checked, into a folder."""
    manifest = preset_files.parse_manifest(
        source.manifest, f"{MANIFEST} of {reference.text}"
    )
    if manifest["name"] != reference.name:
        raise PresetError(
            f"{reference.text} holds the preset {manifest['name']!r:.100}; expected "
            f"{reference.name!r}, by the end of the address. Publish it under its name."
        )
    stated = manifest["files"]
    for name in FILES:
        preset_files.check_length(f"{reference.name}/{name}", stated[name]["bytes"])
    for name in FILES:
        expected = stated[name]["sha256"]
        with (aside / name).open("wb") as file:
            found = source.save(name, stated[name]["bytes"], file)
            _to_disk(file)
        if found != expected:
            raise PresetError(
                f"{name} of {reference.text} was altered or damaged. Expected sha256 "
                f"{expected}, found {found}. Try again; if that does not help, tell "
                "whoever published it."
            )
    with (aside / MANIFEST).open("wb") as file:
        file.write(source.manifest)
        _to_disk(file)


def _to_disk(file):
    """Waits until a file is on the disk: a record says later that it is whole."""
    file.flush()
    os.fsync(file.fileno())


def _sha256(data):
    return hashlib.sha256(data).hexdigest()
