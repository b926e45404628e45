"""Which triads sound in a chorale of Bach's? REAL scores, SYNTHESISED sound.

YouTube-8M's task where YouTube-8M is not at hand: many labels for a bag of frames. The
works, their splits by melody and their sound are those of `training.data.chorales`;
each is rendered four times, in keys that are drawn, so that all roots are as frequent.

Frames are at most 300 spectra of a rendering (`spectra`), written as YouTube-8M's are.
Labels are the 36 major, minor and diminished triads that sound for a quarter or longer
(`chords`): ten of a work, in the mean. No frame tells whether it belongs to a chord
that lasted.
"""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from training.data.chorale_chords import chords, files, spectra
from training.data.chorales import ABOUT as CHORALES
from training.data.youtube8m.reading import Videos
from training.data.youtube8m.records import write_frames
from training.data.youtube8m.synthetic import Synthetic

SPLITS = files.SPLITS
CLASSES = chords.NAMES
ABOUT = {
    **CHORALES,
    "name": "chords in Bach's chorales, real scores and synthesised sound",
    "inputs": "at most 300 spectra of 256 bands, 36 an octave, as bytes",
    "range": [0, 255],
    "sample_rate": None,
}
_SYNTHETIC_VIDEOS, _SYNTHETIC_LENGTHS = 16, (10, 30)


def videos(split, level="frame", synthetic=0):
    """Spectra of a split's works, and their chords; makes the set the first time.

    Args:
        split: One of `SPLITS`.
        level: `"frame"`: there are no means.
        synthetic: 1 for a few SYNTHETIC videos of this shape, which need no scores.

    Returns:
        `training.data.youtube8m.reading.Videos`.

    Raises:
        MissingDataError: music21 is not installed, and nothing was rendered yet.
        DamagedDataError: The files are not those that were written.
    """
    if level != "frame":
        raise ValueError(
            "The data set 'chorale_chords' has frames only: give a network of frames, "
            f"such as 'video_classifier'. Received: level={level!r}"
        )
    for name, value, choices in (
        ("split", split, SPLITS),
        ("synthetic", synthetic, (0, 1)),
    ):
        if value not in choices:
            raise ValueError(
                f"`{name}` must be one of {choices}. Received: {name}={value!r}"
            )
    found = files.shards(_synthetic() if synthetic else files.prepare(), split)
    return Videos(
        files=tuple(map(str, found)),
        counts=tuple(found.values()),
        classes=len(CLASSES),
        level="frame",
        features={"rgb": spectra.BANDS},
        max_frames=spectra.LARGEST_COUNT,
    )


def prepare(data_dir=None, manual_dir=None):
    """Renders all splits, unless that was done, and checks them; returns their folder.

    Args:
        data_dir: Folder of all sets; see `training.data.folders`.
        manual_dir: Not used: there is nothing to download.
    """
    folder = files.prepare(data_dir)
    for split in SPLITS:
        files.shards(folder, split)
    return folder


@functools.cache
def _synthetic():
    """A folder of synthetic videos, until this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="synthetic_chords_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source = Synthetic(
        classes=len(CLASSES),
        features={"rgb": spectra.BANDS},
        lengths=_SYNTHETIC_LENGTHS,
    )
    counts = {}
    for split in SPLITS:
        path = folder / f"{split}00.tfrecord"
        drawn = source.videos(split, 0, _SYNTHETIC_VIDEOS)
        counts[path.name] = write_frames(path, drawn)
    files.write_index(folder, counts)
    return folder
