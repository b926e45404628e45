"""What a preset hears in a recording of its data, below what is played: a picture.

    python -m training.piano_roll NAME|FOLDER [--split test] [--recording NAME]

Prints the average precision of the part that is drawn.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import scipy.special

import cvzoo
from cvzoo import piano_roll
from training import evaluate, windows
from training.data.recordings import HERTZ, NOTE_NAMES

# Samples from one column of the picture to the next: 47 milliseconds.
STRIDE = 512


def excerpt(recordings, name, begin, seconds, window):
    """Where the windows of a part of a recording start, in `recordings.audio`.

    Args:
        recordings: `Recordings`.
        name: Of the recording; `None` for the first.
        begin, seconds: Of the part: windows' middles are in it, and windows inside the
            recording.
        window: Samples of a window.
    """
    if name is None:
        name = recordings.names[0]
    if name not in recordings.names:
        raise ValueError(
            f"No recording of the split is called {name!r}. There are: "
            f"{', '.join(recordings.names)}"
        )
    which = recordings.names.index(name)
    start, end = recordings.starts[which], recordings.starts[which + 1]
    first = max(start, start + round(begin * HERTZ) - window // 2)
    last = min(end - window, start + round((begin + seconds) * HERTZ) - window // 2)
    starts = np.arange(first, last + 1, STRIDE)
    if len(starts) < 2:
        raise ValueError(
            f"Recording {name!r} has {(end - start) / HERTZ:.1f} seconds: too little "
            f"is left of `--seconds {seconds:g}` from `--begin {begin:g}` on."
        )
    return name, starts


def draw(preset, split, recording, begin, seconds, path):
    """Draws the picture; returns its path and the part's average precision."""
    data = evaluate.data_of(preset, split)
    if not isinstance(data, windows.Windows):
        raise ValueError(f"Preset {preset} does not hear notes.")
    recordings = data.recordings[split]
    name, starts = excerpt(recordings, recording, begin, seconds, data.window)
    model = cvzoo.from_preset(preset, compile=False)
    logits = model.predict(recordings.windows(starts, data.window), verbose=0)
    middles = starts + data.window // 2
    truth = recordings.labels(middles)
    metric = cvzoo.PooledAveragePrecision()
    metric.update_state(truth, logits)
    first = recordings.starts[recordings.names.index(name)]
    title = f"{data.about['name']}, {split}: {name}; {Path(preset).name}"
    piano_roll.draw(
        *(scipy.special.expit(logits), (middles - first) / HERTZ, NOTE_NAMES, path),
        **{"truth": truth, "title": title},
    )
    return path, metric.result()


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.piano_roll",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("preset", help="a name of `cvzoo list`, or a preset folder")
    parser.add_argument("--split", default="test")
    parser.add_argument("--recording", help="its name; default: the first")
    parser.add_argument("--begin", type=float, default=0, help="seconds")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--out", type=Path, default=Path("out/piano_roll.png"))
    options = parser.parse_args(arguments)
    try:
        path, score = draw(
            *(options.preset, options.split, options.recording),
            *(options.begin, options.seconds, options.out),
        )
    except ValueError as error:
        print(f"training.piano_roll: {error}", file=sys.stderr)
        return 2
    print(f"Average precision of this part: {100 * score:.1f} %. Picture: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
