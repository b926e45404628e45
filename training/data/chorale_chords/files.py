"""The shards of the data set on disk: made once, whole or not at all."""

import itertools
import json

from training import workers
from training.data import DamagedDataError, once
from training.data.chorale_chords import chords, spectra
from training.data.chorales import rendering, scores, works
from training.data.folders import sets_folder
from training.data.youtube8m.records import quantize, write_frames

SPLITS = ("train", "validation", "test")
# Names the folder. Whatever changes the spectra or the chords must change it, too.
VERSION = "1.0.0"
# Renderings of each work, each in a key that is drawn, so that roots are balanced.
RENDERINGS = 4
SHARDS = 4
_INDEX = "index.json"


def prepare(data_dir=None):
    """Renders all works, unless that was done.

    Args:
        data_dir: Folder of all sets; see `sets_folder`.

    Returns:
        Folder of the shards.
    """
    folder = sets_folder(data_dir) / "chorale_chords" / VERSION
    if not folder.exists():
        scores.folder()  # Raises where music21 is not installed.
        _make(folder, works.used())
    return folder


def _make(folder, table):
    """Renders some works, of `works.Work`, into a folder that is not there yet."""
    once.make(folder, lambda aside: _write(aside, table), "chorale_chords")


def write_index(folder, counts):
    """Writes what `shards` reads: file's name → number of its records."""
    found = {
        name: {"records": count, "bytes": (folder / name).stat().st_size}
        for name, count in counts.items()
    }
    text = json.dumps(found, indent=1) + "\n"
    (folder / _INDEX).write_text(text, encoding="utf-8")


def shards(folder, split):
    """Path of each shard of a split → number of its records.

    Raises:
        DamagedDataError: Files are missing, or not as they were written.
    """
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        of_split = {
            folder / name: entry
            for name, entry in index.items()
            if name.startswith(split)
        }
        wrong = [
            path.name
            for path, entry in of_split.items()
            if not path.is_file() or path.stat().st_size != entry["bytes"]
        ]
        if wrong or not of_split:
            raise ValueError(f"{', '.join(wrong) or split} is not as it was written")
        return {path: entry["records"] for path, entry in of_split.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedDataError(
            f"The data set 'chorale_chords' in {folder} is damaged: {error}. Delete "
            "that folder, and run `python -m training.prepare chorale_chords` again."
        ) from error


def record(score, copy):
    """`(id, labels, features)` of a rendering of a score, as `write_frames` takes them.

    Args:
        score: A `training.data.chorales.scores.Score`.
        copy: Number of the rendering, which says what is drawn for it.
    """
    # Numbers of which the data set `chorales` has none.
    rendered = rendering.render(score, 1000 + copy, is_transposed=True)
    semitones = rendered.performance.transposition
    triads = chords.transposed(chords.sounding(score), semitones)
    features = quantize(spectra.spectra(rendered.audio))
    name = f"{score.name} {semitones:+d} {copy}"
    return name, triads.nonzero()[0].tolist(), {"rgb": features}


def _write(folder, table):
    with workers.pool(with_tensorflow=False) as pool:
        jobs = [pool.submit(_records, work) for work in table]
        found = workers.wait(jobs, f"rendering {len(jobs)} chorales")
    counts = {}
    for split in SPLITS:
        of_split = [
            records
            for work, records in zip(table, found, strict=True)
            if work.split == split
        ]
        records = list(itertools.chain.from_iterable(of_split))
        for shard in range(SHARDS):
            path = folder / f"{split}{shard:02}.tfrecord"
            counts[path.name] = write_frames(path, records[shard::SHARDS])
    write_index(folder, counts)


def _records(work):
    score = works.score(work)
    return [record(score, copy) for copy in range(RENDERINGS)]
