"""Several processes that want the same preset."""

import subprocess
import sys
import threading

import pytest

from cvzoo import preset_files
from tests.downloads.servers import send

LOAD = """
import sys
sys.argv[0] = "cvzoo"  # as the command, without Keras
from cvzoo import downloads
print(downloads.folder_of(sys.argv[1]))
"""


def load(url):
    """A process that asks for the folder of an address."""
    return subprocess.Popen(
        [sys.executable, "-c", LOAD, url], stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def gate(server, url):
    """Set: whether the weights are sent at last; `asked` is set at the first wish."""
    gate, asked = threading.Event(), threading.Event()
    path = f"{url.removeprefix(server.url)}/{preset_files.WEIGHTS}"
    data = server.answers[path]

    def answer(handler):
        asked.set()
        gate.wait(60)
        send(handler, data)

    server.answers[path] = answer
    gate.asked = asked
    return gate


def test_each_file_is_downloaded_once(server, url, gate):
    first, second = load(url), load(url)
    assert gate.asked.wait(60)
    gate.set()
    folders = {process.communicate(timeout=60)[0] for process in (first, second)}
    assert len(folders) == 1
    times = {name: 0 for name in (preset_files.MANIFEST, *preset_files.FILES)}
    for path in server.paths():
        times[path.rsplit("/", 1)[1]] += 1
    # Each process may ask whether the preset has changed.
    assert times.pop(preset_files.MANIFEST) <= 2
    assert set(times.values()) == {1}


def test_a_killed_process_leaves_no_lock(server, url, gate, home):
    killed = load(url)
    assert gate.asked.wait(60)
    assert list(home.rglob("aside"))
    killed.kill()
    killed.communicate(timeout=60)
    gate.set()
    after = load(url)
    assert after.communicate(timeout=60)[0].strip()
    assert list(home.rglob("aside")) == []
