"""What the tests of training share."""

import importlib.util

import pytest

from tests.training import youtube8m_samples
from tests.training.musicnet_samples import NAMES
from training.data import synthetic_musicnet
from training.data.chorales import scores


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Folder of the unpacked archive of three synthetic recordings, and these."""
    folder = tmp_path_factory.mktemp("written")
    recordings = [synthetic_musicnet.recording(name, 0.6) for name in NAMES]
    synthetic_musicnet.write_unpacked(folder, recordings)
    return folder, {one.name: one for one in recordings}


@pytest.fixture(scope="session")
def bach():
    """Folder of music21's files of Bach."""
    if importlib.util.find_spec("music21") is None:
        pytest.skip('music21 is not installed: pip install ".[music]"')
    return scores.folder()


@pytest.fixture
def sets(tmp_path, monkeypatch):
    """Folder of all data sets."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "sets"))
    return tmp_path / "sets"


@pytest.fixture
def downloads(tmp_path):
    """Folder of small shards of YouTube-8M's format."""
    return youtube8m_samples.downloads(tmp_path / "downloads")
