"""`cvzoo run NAME FILE`: what a preset's network says of a file."""

import json
import sys
from pathlib import Path

from cvzoo.commands.preset import Preset
from cvzoo.input_files import InputFileError, kinds

# Lines of a table in the terminal; `--json` has all.
LINES = 40
# Windows of sound that begin in the time of one.
OVERLAP = 8
TOP = 3
# Signals in a picture.
SHOWN = 4
PICTURES = (".png", ".pdf", ".svg")


def add_to(commands):
    """Adds the command to the parser's commands."""
    parser = commands.add_parser("run", help="what a network says of a file of yours")
    parser.add_argument("name", help="a preset's name, folder or address")
    parser.add_argument(
        "file", type=Path, help="a wav file, or a .npy file of IQ samples or images"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="PICTURE",
        help="where to draw it; sound is drawn in FILE_notes.png otherwise",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(options):
    """Runs the network and prints what it says; returns the exit status."""
    preset = Preset(options.name)
    taken = preset.taken()
    kinds.check_file(preset.name, taken, options.file)
    if options.out is not None:
        if taken.kind == "image":
            raise InputFileError(
                "`--out` is for sound and signals; images are not drawn."
            )
        if options.out.suffix not in PICTURES:
            raise InputFileError(
                f"`--out` must end in one of {', '.join(PICTURES)}. Received: "
                f"{options.out}"
            )
    answer = {"sound": _sound, "signal": _signals, "image": _images}[taken.kind]
    data, lines = answer(preset, taken, options)
    if options.json:
        asked = {"preset": preset.name, "file": str(options.file)}
        print(json.dumps({**asked, **data}, ensure_ascii=False))
    else:
        print("\n".join(lines))
    return 0


def heard(preset, taken, path):
    """Probabilities of the classes over time, in a wav file.

    Args:
        preset: `Preset`, of sound.
        taken: What it takes.
        path: Of the file.

    Returns:
        `(times, classes)`, and seconds `(times,)`: the middles of the windows.
    """
    import numpy as np

    from cvzoo.input_files import sound

    samples, rate = sound.read_wav(path)
    samples = sound.at_rate(samples, rate, taken.sample_rate)
    size = taken.shape[0]
    stride = max(size // OVERLAP, 1)
    windows = sound.windows(sound.scaled(samples, taken.range), size, stride)
    times = np.arange(len(windows)) * stride / taken.sample_rate
    return preset.probabilities(windows), times


def _sound(preset, taken, options):
    """Notes that are heard, or the class of each window."""
    probable, times = heard(preset, taken, options.file)
    if preset.manifest["outputs"]["decode"] == "each class":
        return _notes(preset, probable, times, options)
    return _classes(preset, [probable], times.round(3).tolist(), "sound")


def _notes(preset, probable, times, options):
    from cvzoo import decoding, piano_roll, sounding

    names = preset.manifest["classes"]
    found = sounding.notes(probable, times, names, decoding.LEAST)
    path = options.out or Path(f"{options.file.stem}_notes.png")
    title = f"{options.file.name}; {preset.manifest['name']}"
    picture = drawn(piano_roll.draw, probable, times, names, path, title=title)
    told = [
        {
            "start": round(note.start, 3),
            "end": round(note.end, 3),
            "name": note.name,
            "probability": round(note.probability, 4),
        }
        for note in found
    ]
    lines = [f"{len(found)} notes in {times[-1]:.1f} seconds", ""]
    lines += ["  start     end  note  probability"] if found else []
    lines += _shortened(
        f"{one['start']:7.2f} {one['end']:7.2f}  {one['name']:4} "
        f"{100 * one['probability']:9.1f} %"
        for one in told
    )
    lines += ["", f"Picture: {picture}"] if picture else []
    return {"notes": told, "picture": picture}, lines


def _signals(preset, taken, options):
    """The class of each window of each signal, and of their mean."""
    from cvzoo import constellation
    from cvzoo.input_files import arrays

    samples = taken.shape[0]
    windows = arrays.signals(arrays.read_npy(options.file), samples)
    n, count = windows.shape[:2]
    probable = preset.probabilities(windows.reshape(-1, *taken.shape))
    probable = probable.reshape(n, count, -1)
    starts = [samples * place for place in range(count)]
    data, lines = _classes(preset, probable, starts, "signal")
    if options.out is not None:
        titles = [_likely(one["classes"][:1]) for one in data["found"][:SHOWN]]
        shown = windows[:SHOWN].reshape(min(n, SHOWN), -1, 2)
        picture = drawn(constellation.draw, shown, titles, options.out)
        data["picture"] = picture
        lines += ["", f"Picture: {picture}"] if picture else []
    return data, lines


def _images(preset, taken, options):
    """The class of each image."""
    from cvzoo.input_files import arrays

    images = arrays.images(arrays.read_npy(options.file), taken.shape, taken.range)
    return _classes(preset, preset.probabilities(images)[:, None], [0], "image")


def _classes(preset, probable, starts, kind):
    """What is told of classes, as data and as lines.

    Args:
        probable: For each signal, sound or image, probabilities `(windows, classes)`.
        starts: Of the windows, in samples of a signal or seconds of a sound.
        kind: `"sound"`, `"signal"` or `"image"`.
    """
    found = [
        {
            "classes": _named(preset, one.mean(axis=0)),
            "windows": [
                {"start": start, "classes": _named(preset, window)}
                for start, window in zip(starts, one, strict=True)
            ],
        }
        for one in probable
    ]
    if len(found) > 1:
        lines = _shortened(
            f"{kind} {number}: {_likely(one['classes'])}"
            for number, one in enumerate(found)
        )
        return {"found": found}, lines
    lines = [_likely(found[0]["classes"])]
    if len(starts) > 1:
        unit = "s" if kind == "sound" else "samples"
        lines[0] += f", mean of {len(starts)} windows"
        lines += _shortened(
            f"from {one['start']:>9,} {unit}: {_likely(one['classes'])}"
            for one in found[0]["windows"]
        )
    return {"found": found}, lines


def _named(preset, probable):
    """`[name, probability]` of the likeliest classes."""
    from cvzoo import decoding

    several = preset.manifest["outputs"]["decode"] == "each class"
    classes = preset.manifest["classes"]
    top, least = (len(classes), decoding.LEAST) if several else (TOP, 0.0)
    return [
        [name, round(probability, 4)]
        for name, probability in decoding.named(probable, classes, top, least)
    ]


def _likely(named):
    return ", ".join(f"{name} {100 * p:.1f} %" for name, p in named) or "none"


def _shortened(lines):
    lines = list(lines)
    if len(lines) <= LINES:
        return lines
    return [*lines[:LINES], f"… and {len(lines) - LINES:,} more; --json has all"]


def drawn(draw, *arguments, **options):
    """The picture's path as text; a line on stderr and `None` without matplotlib.

    Args:
        draw: Draws it.
        *arguments, **options: What `draw` takes.
    """
    try:
        return str(draw(*arguments, **options))
    except ImportError as error:
        print(f"cvzoo: no picture. {error}", file=sys.stderr)
        return None
