"""The labels of videos, as the competitions of YouTube-8M took them: a CSV file.

    python -m training.predict_videos NAME|FOLDER [--out predictions.csv]

Its header is `VideoId,LabelConfidencePairs`; a line has the id of a video and up to 20
labels, each with its probability, the likeliest first. Videos are those of the `test`
shards, which have no labels; `--split test` has those that networks are tested on.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import rich.progress
import scipy.special

import cvzoo
import training.data
from training import evaluate, videos
from training.workers import console

HEADER = "VideoId,LabelConfidencePairs"
BATCH = 64


def lines(ids, scores, top):
    """A line for each of some videos.

    Args:
        ids: Their ids, bytes.
        scores: Probabilities `(videos, classes)`.
        top: Labels of a video, at most.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    for name, row, places in zip(ids, scores, order, strict=True):
        pairs = " ".join(f"{place} {row[place]:g}" for place in places)
        yield f"{name.decode()},{pairs}"


def predict(preset, split, path, top=20):
    """Writes the file, whole or not at all.

    Args:
        preset: Name or folder of a preset whose recipe has videos as data.
        split: Whose videos: `"inference"`, or one of the data set's splits.
        path: The file.
        top: Labels of a video, at most.

    Returns:
        Number of videos written, and of those that there should be.

    Raises:
        ValueError: The preset is not one of videos, or they are not here.
    """
    recipe = evaluate.recipe_of(preset)
    if not training.data.has_videos(training.data.find(recipe["data"]["name"])):
        raise ValueError(f"Preset {preset} does not label videos.")
    model = cvzoo.from_preset(preset, compile=False)
    found = videos.videos_of(recipe, split)
    batches = found.batches(BATCH, audio=videos.hears(recipe["model"]), with_ids=True)
    path, count = Path(path), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.part")
    try:
        with open(aside, "w", encoding="utf-8") as file:
            file.write(f"{HEADER}\n")
            for inputs, _, ids in _shown(batches, found.steps(BATCH)):
                scores = model.predict_on_batch(inputs)
                if recipe.get("from_logits", True):
                    scores = scipy.special.expit(scores)
                file.writelines(f"{line}\n" for line in lines(ids.numpy(), scores, top))
                count += len(scores)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return count, found.count


def _shown(batches, steps):
    """Batches, with a progress bar of so many."""
    columns = (
        rich.progress.TextColumn("batches of videos"),
        rich.progress.BarColumn(bar_width=24),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=console) as bar:
        yield from bar.track(batches, total=steps)


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.predict_videos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("preset", help="a name of `cvzoo list`, or a preset folder")
    parser.add_argument("--split", default="inference")
    parser.add_argument("--top", type=int, default=20, help="labels of a video")
    parser.add_argument("--out", type=Path, default=Path("predictions.csv"))
    options = parser.parse_args(arguments)
    try:
        if options.top < 1:
            raise ValueError(f"`--top` must be positive. Received: {options.top}")
        count, wanted = predict(options.preset, options.split, options.out, options.top)
    except (ValueError, OSError) as error:
        print(f"training.predict_videos: {error}", file=sys.stderr)
        return 2
    if count < wanted:
        print(
            f"training.predict_videos: {wanted - count} of {wanted} videos are missing "
            f"from {options.out}: they could not be read. TensorFlow's log above names "
            "their files, where TF_CPP_MIN_LOG_LEVEL is below 2.",
            file=sys.stderr,
        )
    print(f"{count} videos: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
