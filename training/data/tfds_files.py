"""Data sets in the files of TensorFlow Datasets: made once, then read."""

import dataclasses
import importlib.resources.abc
import importlib.util
import logging
import re
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from google.protobuf import json_format
from tensorflow_datasets.core import download, hashing

from training.data import DamagedDataError, DataError, MissingDataError
from training.data.folders import sets_folder

# What downloading may end with; errors of `requests` are errors of the system.
_FAILURES = (
    OSError,
    tf.errors.OpError,
    download.download_manager.NonMatchingChecksumError,
    download.extractor.ExtractError,
    download.extractor.UnsafeArchiveError,
    download.util.DownloadError,
)


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of a data set.

    Attributes:
        name: What it is called here.
        tfds_name: What TensorFlow Datasets calls it.
        data_dir: Folder of all sets. Defaults to the environment variable
            TFDS_DATA_DIR, or else ~/tensorflow_datasets.
    """

    name: str
    tfds_name: str
    data_dir: Path | None = None

    @property
    def folder(self):
        """Where the files are, or will be."""
        return self._data_dir / self.tfds_name

    def prepare(self, manual_dir=None):
        """Downloads the set and writes its files, whole or not at all.

        Args:
            manual_dir: Folder of downloads that are there already.
        """
        if importlib.util.find_spec("importlib_resources") is None:
            # Version 4.9.10 needs it, and requires it of Python 3.8 only: later, it is
            # a part of Python.
            sys.modules["importlib_resources"] = importlib.resources
        # Each try is told of at once, and what it ends with below.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        config = tfds.download.DownloadConfig(manual_dir=manual_dir)
        try:
            self._builder().download_and_prepare(download_config=config)
        except _FAILURES as error:
            raise DataError(
                f"The data set {self.name!r} could not be prepared, and none of it is "
                f"in {self.folder}: {error}. Once that is put right, start the same "
                "command again; files that were downloaded whole are kept. A folder "
                "that was prepared on another machine may be copied there instead."
            ) from error

    def read(self, part):
        """`(inputs, labels)` of a part: two arrays, in the published order.

        Args:
            part: `"train"` or `"test"`.

        Raises:
            MissingDataError: The set was not prepared.
            DamagedDataError: Its files are not those that were written.
        """
        builder = self._builder()
        if not builder.data_path.exists():
            raise MissingDataError(
                f"The data set {self.name!r} is not here: there is no "
                f"{builder.data_path}. Run `{self._command}` once; it downloads the "
                "set. Where DIR is given, commands that read it need TFDS_DATA_DIR=DIR."
            )
        if not (builder.data_path / "dataset_info.json").exists():
            raise self.damaged("there is no dataset_info.json")
        splits = builder.info.splits
        count = splits[part].num_examples if part in splits else 0
        if not count:
            raise self.damaged(f"its dataset_info.json tells of no {part!r} examples")
        # One file after the other.
        config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
        try:
            examples = builder.as_dataset(
                split=part, read_config=config, as_supervised=True
            )
            batches = list(examples.batch(count).as_numpy_iterator())
        except tf.errors.OpError as error:
            # Without the name of TensorFlow's function.
            what = re.sub(r"^\{\{.*?\}\}\s*", "", error.message)
            raise self.damaged(what) from error
        found = sum(len(labels) for _, labels in batches)
        if found != count:
            raise self.damaged(
                f"it has {found} {part!r} examples, and should have {count}"
            )
        ((inputs, labels),) = batches
        places = original_places(part, count)
        return inputs[places], labels[places]

    def damaged(self, what):
        """The error of a set whose files are not what they should be."""
        return DamagedDataError(
            f"The data set {self.name!r} in {self.folder} is damaged: {what}. Delete "
            f"that folder, and run `{self._command}` again."
        )

    @property
    def _data_dir(self):
        return sets_folder(self.data_dir)

    def _builder(self):
        try:
            return tfds.builder(self.tfds_name, data_dir=self._data_dir)
        except (json_format.ParseError, AssertionError, RuntimeError) as error:
            raise self.damaged(f"dataset_info.json cannot be read: {error}") from error

    @property
    def _command(self):
        return f"python -m training.prepare {self.name} [--data-dir DIR]"


def original_places(part, count):
    """Places in the files of TensorFlow Datasets, in the order of the published ones.

    It sorts examples by a hash of their keys, salted with the name of the split; keys
    of the sets that are read here are places in the published files.
    """
    hasher = hashing.Hasher(part)
    return np.argsort(sorted(range(count), key=hasher.hash_key))
