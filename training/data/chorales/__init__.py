"""Bach's chorales: REAL scores, SYNTHESISED sound, 84 notes to hear in it.

MusicNet's task where MusicNet is not at hand: which notes sound at a moment? The
scores are those of the package music21; nothing was recorded. Instruments and rooms
are models with numbers drawn for each rendering (`performance`, `instruments`, `rooms`,
`rendering`), and works are split by melody (`works`).

- `train`: each work in a key that is drawn.
- `validation` and `test`: works whose melodies are in no other split, as written.
- `test_unseen`: the works of `test`, played the same, on instruments and in rooms of
  families that no other split has.

There are 409 works: 287, 61 and 61 in the first three, in 107, 24 and 37 clusters of
melodies; and 3.35, 0.78, 0.67 and 0.69 hours of sound.

Sound and notes are rendered once, and kept in `chorales/VERSION` in the folder of all
data sets (`training.data.folders`). `python -m training.prepare chorales` takes some
four minutes of one core in all.
"""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from training.data.chorales import cache, rendering, scores
from training.data.recordings import HERTZ, NOTE_NAMES, Recordings, Writer

SPLITS = cache.SPLITS
CLASSES = NOTE_NAMES
ABOUT = {
    "name": "Bach's chorales, real scores and synthesised sound",
    "source": "scores of music21 (Greentree's encodings, jsbchorales.net), rendered by "
    "training/data/chorales",
    "licence": "compositions in the public domain; encodings of no named licence, "
    "perhaps with restrictions on commercial use, and not distributed here; sound "
    "Apache-2.0",
    "notice": "of the 409 encodings, 338 say: PDF © 2004 Margaret Greentree - used by "
    "permission; 24: PDF © 2003 or 2004 Margaret Greentree, www.jsbchorales.net; 47 "
    "nothing of rights. music21's corpus/license.txt: encodings are distributed with "
    "the permission of the encoders, and may be under copyright but have been licensed "
    "for use, though there may be restrictions on commercial use",
    "inputs": "synthesised sound, mono",
    "range": [-0.9, 0.9],
    "sample_rate": HERTZ,
}

# Recordings of random notes in each split, and their quarter lengths.
_SYNTHETIC, _SYNTHETIC_QUARTERS = 4, 4


def recordings(split, synthetic=0):
    """Sound and notes of a split; renders all splits where that was not done yet.

    Args:
        split: One of `SPLITS`.
        synthetic: 1 for four short recordings of random notes, which need no files and
            leave none.

    Returns:
        `training.data.recordings.Recordings`.

    Raises:
        MissingDataError: music21 is not installed, and nothing was rendered yet.
        DamagedDataError: The files are not those that were written.
    """
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {SPLITS}. Received: split={split!r}")
    if synthetic not in (0, 1):
        raise ValueError(f"`synthetic` must be 0 or 1. Received: synthetic={synthetic}")
    if synthetic:
        return _synthetic(split)
    return Recordings.open(cache.prepare() / split)


def prepare(data_dir=None, manual_dir=None):
    """Renders all splits, unless that was done, and checks them; returns their folder.

    Args:
        data_dir: Folder of all sets; see `training.data.folders`.
        manual_dir: Not used: there is nothing to download.
    """
    folder = cache.prepare(data_dir)
    for split in SPLITS:
        Recordings.open(folder / split)
    return folder


def _synthetic(split):
    with tempfile.TemporaryDirectory() as folder:
        with Writer(Path(folder) / split) as writer:
            for place in range(_SYNTHETIC):
                seed = SPLITS.index(split) * _SYNTHETIC + place
                score = _random_score(f"random{place}", np.random.default_rng(seed))
                found = rendering.render(score, seed, is_unseen=split == "test_unseen")
                cache.add(writer, score.name, found.audio, found.performance)
        found = Recordings.open(Path(folder) / split)
        return dataclasses.replace(found, audio=np.array(found.audio))


def _random_score(name, random):
    """Four voices of random quarter and eighth notes."""
    notes = []
    for voice, lowest in enumerate((60, 55, 48, 40)):
        times = np.arange(0, _SYNTHETIC_QUARTERS + 0.5, 0.5)
        times = times[(times % 1 == 0) | (random.random(len(times)) < 0.5)]
        pitches = random.integers(lowest, lowest + 19, len(times) - 1)
        notes += [
            (begin, voice, pitch, end)
            for begin, end, pitch in zip(times[:-1], times[1:], pitches, strict=True)
        ]
    return scores.Score.of(name, notes, [], ("Soprano", "Alto", "Tenor", "Bass"))
