"""Presets from elsewhere: `https://host/path/folder`, `hf://owner/name`.

References are read strictly, files are fetched into a cache, each of the size and the
sha256 that its manifest states. Nothing outside the cache is written.
"""


def is_reference(name):
    """Whether a preset's name is an address rather than a name or a folder."""
    return isinstance(name, str) and "://" in name


def folder_of(name):
    """The local folder of a preset that lies elsewhere, downloaded where needed.

    Args:
        name: `https://host/path/folder[#sha256=…]`, the sha256 being that of the
            manifest; or `hf://owner/name[/sub/folder][@revision]`.

    Returns:
        A `Path` inside the cache.

    Raises:
        PresetError: The address is none, nothing answers and nothing is cached, or what
            came is not a preset.
    """
    # Here, so that `cvzoo list` starts without what talks to servers.
    from cvzoo.downloads import cache, references, sources

    reference = references.parse(name)
    return cache.folder_of(reference, lambda: sources.opened(reference))
