"""What environment variables say."""

import os
from pathlib import Path

HOME = "CVZOO_HOME"
OFFLINE = "CVZOO_OFFLINE"
ALLOW_HTTP = "CVZOO_ALLOW_HTTP"


def cache_home():
    """The folder of the cache: `CVZOO_HOME`, or `cvzoo` where caches of a user are.

    The latter is `XDG_CACHE_HOME`, an absolute path by its
    [specification](https://specifications.freedesktop.org/basedir-spec/latest/), or
    `~/.cache`.
    """
    if chosen := os.environ.get(HOME):
        return Path(chosen).expanduser().absolute()
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (caches if caches.is_absolute() else Path.home() / ".cache") / "cvzoo"


def is_offline():
    """Whether no server may be asked."""
    return _is_set(OFFLINE)


def allows_http():
    """Whether this machine may be asked by http: for tests and local mirrors."""
    return _is_set(ALLOW_HTTP)


def _is_set(name):
    return os.environ.get(name, "").strip().lower() in {"1", "true", "yes", "on"}
