"""What the tests of `chorales` share."""

import importlib.util

import pytest

from training.data.chorales import scores


@pytest.fixture(scope="session")
def bach():
    """Folder of music21's files of Bach."""
    if importlib.util.find_spec("music21") is None:
        pytest.skip('music21 is not installed: pip install ".[music]"')
    return scores.folder()
