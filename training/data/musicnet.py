"""MusicNet: which notes sound in 330 recordings of classical music?

Its archive must be downloaded by hand. `python -m training.prepare musicnet
--manual-dir DIR` writes it to the files of TensorFlow Datasets, at 11 kHz, and beside
them to files that are mapped into memory.

Splits and the sampling rate are those of paper 2 and of Trabelsi et al., 2018, Deep
Complex Networks, https://arxiv.org/abs/1705.09792, and so are the times of the labels.
Their resampler was another one, of the same bandwidth: see `training.data.resampling`.
"""

import atexit
import functools
import itertools
import shutil
import tempfile
import warnings
from pathlib import Path

from training.data import once, synthetic_musicnet
from training.data.musicnet_builder import INSTRUCTIONS, MusicNet
from training.data.musicnet_recordings import PUBLISHED
from training.data.recordings import HERTZ, NOTE_NAMES, Recordings, Writer
from training.data.tfds_files import Files

SPLITS = ("train", "validation", "test")
CLASSES = NOTE_NAMES
ABOUT = {
    "name": "MusicNet",
    "source": "Thickstun, Harchaoui and Kakade, 2017, zenodo.org/records/5120004",
    "licence": "CC BY 4.0",
    "inputs": "sound, mono, full scale -1 to 1",
    "range": [-1, 1],
    "sample_rate": HERTZ,
}


def recordings(split, synthetic=0):
    """Recordings of a split, with the notes that sound in them.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        synthetic: 1 for SYNTHETIC recordings, a few seconds of simple tones, which need
            no files: written as those of MusicNet are published, and prepared as they.

    Returns:
        `training.data.recordings.Recordings`.

    Raises:
        MissingDataError: The set was not prepared.
        DamagedDataError: Its files are not those that were written.
    """
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {SPLITS}. Received: split={split!r}")
    if synthetic not in (0, 1) or isinstance(synthetic, bool):
        raise ValueError(
            f"`synthetic` must be 0 or 1. Received: synthetic={synthetic!r}"
        )
    return _mapped(_files(_synthetic() if synthetic else None), split)


def prepare(data_dir=None, manual_dir=None):
    """Writes the set from what was downloaded by hand; returns its folder.

    Args:
        data_dir: Folder of all sets. Defaults to that of `tfds_files.Files`.
        manual_dir: Folder of the archive, or of what else `INSTRUCTIONS` name.

    Raises:
        DataError: It could not be, and nothing was written.
    """
    files = _files(data_dir)
    files.prepare(manual_dir)
    for split in SPLITS:
        count = len(_mapped(files, split).names)
        if count != PUBLISHED[split]:
            warnings.warn(
                f"{files.folder} has {count} recordings for {split}; of what was "
                f"published, it should have {PUBLISHED[split]}.",
                stacklevel=2,
            )
    return files.folder


def _files(data_dir=None):
    return Files("musicnet", MusicNet.name, data_dir, INSTRUCTIONS)


def _mapped(files, split):
    """The recordings of a split; writes the files that are mapped, the first time."""
    folder = files.version_folder / "recordings" / split
    if not folder.exists():
        records = files.records(split)  # raises where the set was not prepared

        def fill(aside):
            with Writer(aside) as writer:
                for recording in _recordings(files, records):
                    writer.add(*recording)

        once.make(folder, fill, "musicnet")
    return Recordings.open(folder)


def _recordings(files, records):
    """What `Writer.add` takes of each recording, in the order of the records."""
    for name, group in itertools.groupby(records, key=lambda record: record["name"]):
        yield name.decode(), *_contents(files, group)


def _contents(files, records):
    """The sound and the notes of a recording; the first record has all of these."""
    first = next(records)
    notes = [first["notes"][key] for key in ("begin", "end", "note")]
    return _pieces(files, itertools.chain([first], records)), *notes


def _pieces(files, records):
    """The sound of a recording, of records that must follow each other."""
    place = 0
    for record in records:
        if record["start"] != place:
            raise files.damaged(f"records of {record['name'].decode()} are missing")
        yield record["audio"]
        place += len(record["audio"])
    if place != record["length"]:
        raise files.damaged(f"records of {record['name'].decode()} are missing")


@functools.cache
def _synthetic():
    """A folder of data sets with synthetic recordings, until this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="synthetic_musicnet_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    synthetic_musicnet.write(folder / "manual")
    _files(folder).prepare(folder / "manual")
    return folder
