"""What the tests of training share."""

import pytest

from tests.training.musicnet_samples import NAMES
from training.data import synthetic_musicnet


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Folder of the unpacked archive of three synthetic recordings, and these."""
    folder = tmp_path_factory.mktemp("written")
    recordings = [synthetic_musicnet.recording(name, 0.6) for name in NAMES]
    synthetic_musicnet.write_unpacked(folder, recordings)
    return folder, {one.name: one for one in recordings}
