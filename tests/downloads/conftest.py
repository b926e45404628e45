"""A server, a preset on it, and a cache of the test's own."""

import json
import os
import shutil

import pytest

from cvzoo import catalogue, preset_files
from cvzoo.downloads import environment, transfers
from tests.downloads import servers
from tests.downloads.servers import NAME


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """The folder of the cache, in a home of the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(environment.HOME, str(tmp_path / "cache"))
    monkeypatch.setenv(environment.ALLOW_HTTP, "1")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv(environment.OFFLINE, raising=False)
    monkeypatch.setattr(transfers, "PAUSE", 0)
    # Waiting for the disk takes most of the time, and shows nothing here.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    return tmp_path / "cache"


@pytest.fixture
def server():
    with servers.running() as server:
        yield server


@pytest.fixture
def folder(tmp_path_factory):
    """A copy of a shipped preset that a test may change."""
    copy = tmp_path_factory.mktemp("published") / NAME
    return shutil.copytree(catalogue.SHIPPED / NAME, copy)


@pytest.fixture
def url(server, folder):
    """Of the folder, on the server."""
    return server.publish(folder, f"/zoo/{NAME}")


@pytest.fixture
def renew(server, folder, url):
    """Publishes the preset once more, with another description."""

    def renew(description):
        path = folder / preset_files.MANIFEST
        manifest = json.loads(path.read_bytes())
        path.write_text(json.dumps({**manifest, "description": description}))
        server.publish(folder, f"/zoo/{NAME}")

    return renew


@pytest.fixture
def left(tmp_path):
    """Gives the files that are left, which a lock without a byte in it is not."""

    def left():
        files = [path for path in tmp_path.rglob("*") if not path.is_dir()]
        return [p for p in files if p.name != "lock" or p.stat().st_size]

    return left
