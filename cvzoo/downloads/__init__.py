"""Presets from elsewhere: `https://host/path/folder`, `hf://owner/name`.

References are read strictly, files are fetched into a cache, each of the size and the
sha256 that its manifest states. Nothing outside the cache is written.
"""
