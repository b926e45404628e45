"""The rendered data set on disk: made once, whole or not at all."""

import itertools
import shutil

import numpy as np

from training import workers
from training.data import once
from training.data.chorales import rendering, scores, works
from training.data.folders import sets_folder
from training.data.recordings import Writer

SPLITS = ("train", "validation", "test", "test_unseen")
# Names the folder. Whatever changes the sound or the notes must change it, too.
VERSION = "1.0.1"
# Renderings of each work in training, each in a key of its own.
TRAIN_RENDERINGS = 1


def prepare(data_dir=None, table=None):
    """Renders what is not there yet.

    Two processes may ask at once: one waits until the other is done.

    Args:
        data_dir: Folder of all sets; see `sets_folder`.
        table: Works to render, of `works.Work`. Defaults to all.

    Returns:
        Folder that has one of each split.
    """
    folder = sets_folder(data_dir) / "chorales" / VERSION
    if not folder.exists():
        scores.folder()  # Raises where music21 is not installed.
        once.make(
            folder, lambda aside: _render(aside, table or works.used()), "chorales"
        )
    return folder


def add(writer, name, audio, performance):
    """Adds a rendering to a `training.data.recordings.Writer`."""
    writer.add(name, [audio], performance.begins, performance.ends, performance.pitches)


def renderings_of(split):
    """`(split, copy)` of all renderings of a work of a split of `works`."""
    if split == "train":
        return [("train", copy) for copy in range(TRAIN_RENDERINGS)]
    return [(one, 0) for one in SPLITS if one.split("_")[0] == split]


def _render(folder, table):
    """Renders works into a folder."""
    pieces = folder / "pieces"
    pieces.mkdir()
    with workers.pool(with_tensorflow=False) as pool:
        jobs = [pool.submit(_render_work, work, pieces) for work in table]
        found = workers.wait(jobs, f"rendering {len(jobs)} chorales")
    done = list(itertools.chain.from_iterable(found))
    for split in SPLITS:
        with Writer(folder / split) as writer:
            for part, name, path, performance in done:
                if part == split:
                    add(writer, name, np.load(path), performance)
    shutil.rmtree(pieces)


def _render_work(work, folder):
    """All renderings of a work: `(split, name, path of the sound, performance)` each.

    The sound goes through files, so that memory does not grow with the data set.
    """
    score = works.score(work)
    found = []
    for split, copy in renderings_of(work.split):
        rendered = rendering.render(
            score, copy, is_transposed=split == "train", is_unseen="_" in split
        )
        key = rendered.performance.transposition
        name = f"{score.name} {key:+d}" if split == "train" else score.name
        path = folder / f"{split}_{score.name}_{copy}.npy"
        np.save(path, rendered.audio)
        found.append((split, name, path, rendered.performance))
    return found
