"""Where data sets are kept."""

import os
from pathlib import Path


def sets_folder(data_dir=None):
    """Folder of all sets.

    Args:
        data_dir: The folder, where one is asked for. Defaults to the environment
            variable TFDS_DATA_DIR, or else ~/tensorflow_datasets.
    """
    known = os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
    return Path(data_dir or known).expanduser()
