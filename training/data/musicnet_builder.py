"""MusicNet in the files of TensorFlow Datasets, from what was downloaded by hand."""

import contextlib
import csv
import functools
import itertools
import tempfile
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from training.data import DataError, MissingDataError, musicnet_h5, musicnet_wav
from training.data.musicnet_recordings import COLUMNS, split_of
from training.data.recordings import HERTZ
from training.data.resampling import load_soxr

ARCHIVE, METADATA = "musicnet.tar.gz", "musicnet_metadata.csv"
RESAMPLED = [f"musicnet_11khz_{part}.h5" for part in ("train", "valid", "test")]
INSTRUCTIONS = f"""\
The folder of --manual-dir must hold {ARCHIVE} of https://zenodo.org/records/5120004 \
(11 GB, md5 844764911fa0d5b97c97da944a057590), and may hold its {METADATA}. The \
archive is unpacked for the time being, which takes 25 GB where data sets are kept. \
Instead of it, there may be the folder that it unpacks to, `musicnet`; or \
`musicnet.h5`, at 44.1 kHz; or {", ".join(RESAMPLED)}, as \
paper 2 resampled it."""
# Samples of a record: a minute. Records of a file: what is in memory at a time.
PIECE = 60 * HERTZ
PIECES_PER_FILE = 16
TOLD = ("composer", "composition", "movement", "ensemble")


class MusicNet(tfds.core.ShardBasedBuilder):
    """MusicNet at 11 kHz: a record is a minute of a recording.

    Not a `GeneratorBasedBuilder`: that keeps up to 1 000 MiB of examples in memory, and
    a whole split where they are not shuffled. This keeps one file of them.

    Records of a recording follow each other. The first of them has all of its notes.
    """

    name = "musicnet"
    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = INSTRUCTIONS

    def _info(self):
        column = tfds.features.Tensor(shape=(None,), dtype=np.int64)
        # As a list of floats, it takes longer to write than to resample.
        sound = tfds.features.Tensor(
            shape=(None,), dtype=np.float32, encoding=tfds.features.Encoding.BYTES
        )
        features = {
            "name": tfds.features.Text(doc="Number of the recording."),
            "start": tfds.features.Scalar(np.int64, doc="First sample of `audio`."),
            "length": tfds.features.Scalar(np.int64, doc="Samples of the recording."),
            "audio": sound,
            "notes": dict.fromkeys(COLUMNS, column),
            **{key: tfds.features.Text() for key in TOLD},
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=__doc__,
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,
            homepage="https://zenodo.org/records/5120004",
            license="CC BY 4.0",
            citation=_CITATION,
        )

    def _download_and_prepare(self, *args, **options):
        # What is unpacked on the way is removed, whatever happens.
        with contextlib.ExitStack() as self._until_done:
            super()._download_and_prepare(*args, **options)

    def _shard_iterators_per_split(self, dl_manager):
        about = _metadata(dl_manager)
        recordings = {"train": [], "validation": [], "test": []}
        for recording in self._recordings(dl_manager):
            recordings[split_of(recording.name)].append(recording)
        empty = [split for split, found in recordings.items() if not found]
        if empty:
            raise DataError(
                f"There are no recordings of {empty} in {_manual_dir(dl_manager)}."
            )
        return {
            split: _files(split, found, about) for split, found in recordings.items()
        }

    def _recordings(self, dl_manager):
        """What the manual folder has, in the first form of it that is there."""
        folder = _manual_dir(dl_manager)
        for unpacked in (folder, folder / "musicnet"):
            if musicnet_wav.is_folder(unpacked):
                return musicnet_wav.recordings(unpacked)
        if (folder / ARCHIVE).exists():
            # Without it, there is no use in unpacking.
            load_soxr()
            scratch = tempfile.TemporaryDirectory(dir=self.data_dir)
            unpacked = Path(self._until_done.enter_context(scratch))
            musicnet_wav.unpack(folder / ARCHIVE, unpacked)
            return musicnet_wav.recordings(unpacked)
        if (folder / "musicnet.h5").exists():
            return musicnet_h5.recordings(folder / "musicnet.h5")
        resampled = [folder / name for name in RESAMPLED if (folder / name).exists()]
        if resampled:
            found = [musicnet_h5.recordings(path, HERTZ) for path in resampled]
            return itertools.chain.from_iterable(found)
        raise MissingDataError(f"No MusicNet is in {folder}. {INSTRUCTIONS}")


def _manual_dir(dl_manager):
    try:
        return Path(dl_manager.manual_dir)
    except AssertionError as error:
        # There is no such folder, or nothing in it.
        raise MissingDataError(str(error)) from error


def _metadata(dl_manager):
    """Number of a recording → what the table of the archive tells of it."""
    path = _manual_dir(dl_manager) / METADATA
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return {
            row.get("id"): {key: row.get(key) or "" for key in TOLD}
            for row in csv.DictReader(file)
        }


def _files(split, recordings, about):
    """Functions that give the records of one file after the other."""
    count = sum(-(-recording.length // PIECE) for recording in recordings)

    def shown():
        records = _records(recordings, about)
        bar = {"total": count, "desc": f"{split}, minutes", "leave": False}
        yield from tfds.core.utils.tqdm(records, **bar)

    # All of them take from the same, as one file is written after the other.
    records = shown()
    files = -(-count // PIECES_PER_FILE)
    return [functools.partial(itertools.islice, records, PIECES_PER_FILE)] * files


def _records(recordings, about):
    """`(key, record)` of all recordings, a minute of one after the other."""
    unknown = dict.fromkeys(TOLD, "")
    for recording in recordings:
        notes, start = recording.resampled_notes(), 0
        for piece in recording.pieces(PIECE):
            yield (
                f"{recording.name}_{start}",
                {
                    "name": recording.name,
                    "start": start,
                    "length": recording.length,
                    "audio": piece,
                    "notes": notes,
                    **about.get(recording.name, unknown),
                },
            )
            notes = {key: column[:0] for key, column in notes.items()}
            start += len(piece)


_CITATION = """\
@inproceedings{thickstun2017learning,
  title = {Learning Features of Music from Scratch},
  author = {John Thickstun and Zaid Harchaoui and Sham Kakade},
  booktitle = {International Conference on Learning Representations},
  year = {2017}
}"""
