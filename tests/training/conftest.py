"""What the tests of training share."""

import importlib.util

import pytest

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
