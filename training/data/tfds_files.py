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
        manual: What --manual-dir must hold, of a set that must be downloaded by hand.
    """

    name: str
    tfds_name: str
    data_dir: Path | None = None
    manual: str = ""

    @property
    def folder(self):
        """Where the files are, or will be."""
        return self._data_dir / self.tfds_name

    def prepare(self, manual_dir=None):
        """Downloads the set and writes its files, whole or not at all.

        Args:
            manual_dir: Folder of downloads that are there already.
        """
        supply_importlib_resources()
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
        builder, count = self._opened(part)
        try:
            examples = builder.as_dataset(
                split=part, read_config=_in_order(), as_supervised=True
            )
            batches = list(examples.batch(count).as_numpy_iterator())
        except tf.errors.OpError as error:
            raise self.damaged(_plainly(error)) from error
        found = sum(len(labels) for _, labels in batches)
        if found != count:
            raise self.damaged(
                f"it has {found} {part!r} examples, and should have {count}"
            )
        ((inputs, labels),) = batches
        places = original_places(part, count)
        return inputs[places], labels[places]

    def records(self, part):
        """The examples of a part, which may be more than memory holds.

        Raises:
            MissingDataError, DamagedDataError: As `read`; at once, of the former.

        Returns:
            Iterator over dictionaries of arrays, in the order of the files.
        """
        return self._records(part, *self._opened(part))

    def _records(self, part, builder, count):
        found = 0
        try:
            # As few are read ahead as can be.
            config = _in_order(
                interleave_block_length=1,
                num_parallel_calls_for_decode=1,
                skip_prefetch=True,
            )
            examples = builder.as_dataset(split=part, read_config=config)
            for example in examples.as_numpy_iterator():
                found += 1
                yield example
        except tf.errors.OpError as error:
            raise self.damaged(_plainly(error)) from error
        if found != count:
            raise self.damaged(
                f"it has {found} {part!r} examples, and should have {count}"
            )

    @property
    def version_folder(self):
        """Where the files of the version are that is read; it may not be there yet."""
        return Path(self._builder().data_path)

    def _opened(self, part):
        """The builder, and the number of examples of a part."""
        builder = self._builder()
        if not builder.data_path.exists():
            raise MissingDataError(
                f"The data set {self.name!r} is not here: there is no "
                f"{builder.data_path}. Run `{self._command}` once. "
                f"{self.manual or 'It downloads the set.'} Where DIR is given, "
                "commands that read it need TFDS_DATA_DIR=DIR."
            )
        if not (builder.data_path / "dataset_info.json").exists():
            raise self.damaged("there is no dataset_info.json")
        splits = builder.info.splits
        count = splits[part].num_examples if part in splits else 0
        if not count:
            raise self.damaged(f"its dataset_info.json tells of no {part!r} examples")
        return builder, count

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
        manual = "--manual-dir MANUAL " if self.manual else ""
        return f"python -m training.prepare {self.name} {manual}[--data-dir DIR]"


def supply_importlib_resources():
    """Lets TensorFlow Datasets find `importlib_resources` where it is not installed.

    Version 4.9.10 needs it, and requires it of Python 3.8 only: later, it is a part of
    Python.
    """
    if importlib.util.find_spec("importlib_resources") is None:
        sys.modules["importlib_resources"] = importlib.resources


def _in_order(**options):
    """How examples are read: one file after the other."""
    return tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False, **options)


def _plainly(error):
    """What TensorFlow says, without the name of its function."""
    return re.sub(r"^\{\{.*?\}\}\s*", "", error.message)


def original_places(part, count):
    """Places in the files of TensorFlow Datasets, in the order of the published ones.

    It sorts examples by a hash of their keys, salted with the name of the split; keys
    of the sets that are read here are places in the published files.
    """
    hasher = hashing.Hasher(part)
    return np.argsort(sorted(range(count), key=hasher.hash_key))
