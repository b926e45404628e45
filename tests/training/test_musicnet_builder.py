"""The builder of MusicNet, as TensorFlow Datasets tests its own."""

import importlib.util
import shutil
import sys
import tempfile
import types

import tensorflow_datasets as tfds

from training.data import synthetic_musicnet, tfds_files
from training.data.musicnet_builder import MusicNet

tfds_files.supply_importlib_resources()
if importlib.util.find_spec("dill") is None:
    # Imported by tests of features beside this one; not used in it.
    sys.modules["dill"] = types.ModuleType("dill")


class TestMusicNet(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = MusicNet
    # Records: recordings are shorter than a minute.
    SPLITS = {"train": 6, "validation": 2, "test": 1}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.EXAMPLE_DIR)
        recordings = map(synthetic_musicnet.recording, synthetic_musicnet.NAMES)
        synthetic_musicnet.write(cls.EXAMPLE_DIR, recordings)
        super().setUpClass()
