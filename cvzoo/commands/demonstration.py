"""`cvzoo demo`: the shipped presets on their stored examples, and some at work."""

import statistics
import time
from pathlib import Path

from cvzoo import catalogue, preset_files
from cvzoo.commands import running
from cvzoo.commands.preset import Preset
from cvzoo.input_files import InputFileError

CALLS = 10
# From no ink to much.
SHADES = " .:-=+*#%@"


def add_to(commands):
    """Adds the command to the parser's commands."""
    parser = commands.add_parser("demo", help="the shipped networks at work")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("cvzoo_demo"),
        metavar="FOLDER",
        help="where pictures go; default: cvzoo_demo",
    )
    parser.set_defaults(run=run)


def run(options):
    """Loads, measures and shows the presets; returns the exit status."""
    begin = time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)
    print("Importing Keras and TensorFlow, which takes some seconds …", flush=True)
    presets = [Preset(name) for name in catalogue.preset_names()]
    _print_table(presets)
    show = {"image": _show_image, "signal": _show_signal, "sound": _show_sound}
    for kind, shown in show.items():
        if (preset := _smallest(presets, kind)) is not None:
            print()
            shown(preset, options.out)
    print(f"\n{time.perf_counter() - begin:.0f} seconds. On files of your own:")
    print("    cvzoo list")
    print("    cvzoo run NAME FILE      (sound .wav, IQ samples or images .npy)")
    return 0


def _smallest(presets, kind):
    """The preset with the smallest weights file of those that take a kind of input."""
    fitting = [preset for preset in presets if _kind(preset) == kind]
    return min(fitting, key=_bytes, default=None)


def _kind(preset):
    try:
        return preset.taken().kind
    except InputFileError:
        return None


def _bytes(preset):
    return preset.manifest["files"][preset_files.WEIGHTS]["bytes"]


def _print_table(presets):
    """A line for each preset: sizes, time of a call, error on its stored examples."""
    for preset in presets:
        took, error = _milliseconds(preset), _error(preset)
        if preset is presets[0]:
            print(f"\n{'':49}  float32 → file        ms error")
        before = _size(4 * preset.manifest["counts"]["baseline_parameters"])
        after = _size(_bytes(preset))
        print(
            f"{preset.manifest['name']:49} {before:>8} → {after:8}"
            f"{took:5.1f} {error:5.0e}",
            flush=True,
        )
    print(
        "float32: the uncompressed network, 4 bytes a number. ms: one call for one "
        "example,\nhere and now. error: largest difference from the stored outputs."
    )


def _size(n):
    return f"{n / 1e6:.1f} MB" if n >= 1e6 else f"{n / 1e3:.1f} kB"


def _milliseconds(preset):
    example = _examples(preset)[:1]
    times = []
    for _ in range(CALLS + 1):
        start = time.perf_counter()
        preset.model.predict_on_batch(example)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[1:])  # the first one compiles


def _error(preset):
    import numpy as np

    from cvzoo import stored_examples

    stored = stored_examples.shaped(preset.manifest["examples"]["outputs"])
    return float(np.abs(preset.scores(_examples(preset)) - stored).max())


def _examples(preset):
    from cvzoo import stored_examples

    return stored_examples.examples(preset.folder)


def _said(preset):
    """The likeliest class of each stored example, with its probability."""
    from cvzoo import decoding

    scores = preset.scores(_examples(preset))
    named = decoding.decode(preset.folder, scores, top=1)
    return [f"{name}, {100 * probability:.1f} %" for ((name, probability),) in named]


def _show_image(preset, out):
    """Stored images as characters, side by side."""
    drawn = [_characters(image) for image in _examples(preset)]
    for line in zip(*drawn, strict=True):
        print("    ".join(line))
    width = len(drawn[0][0])
    said = [f"{text:{width}}" for text in _said(preset)]
    print("    ".join(said).rstrip(), "says", preset.manifest["name"])


def _characters(image):
    """Lines of text of an image `(height, width, channels)`, two characters a pixel."""
    import numpy as np

    grey = image.mean(axis=-1)
    grey = (grey - grey.min()) / max(np.ptp(grey), 1e-9)
    places = np.round(grey * (len(SHADES) - 1)).astype(int)
    return ["".join(2 * SHADES[place] for place in row) for row in places]


def _show_signal(preset, out):
    """The stored signals in the plane of I and Q."""
    from cvzoo import constellation

    said = _said(preset)
    titles = [f"network: {one}" for one in said]
    path = running.drawn(
        constellation.draw, _examples(preset), titles, out / "constellation.png"
    )
    print(f"Radio signals of {preset.manifest['name']}: {'; '.join(said)}.")
    if path:
        print(f"    {path}")


def _show_sound(preset, out):
    """A synthesised melody: what is played, and what the network hears."""
    import numpy as np

    from cvzoo import decoding, piano_roll
    from cvzoo.commands import melody

    taken = preset.taken()
    rate = int(taken.sample_rate)
    melody.write(out / "melody.wav", melody.sound(rate), rate)
    probable, times = running.heard(preset, taken, out / "melody.wav")
    names = preset.manifest["classes"]
    played = melody.truth(times, names)
    heard = probable >= decoding.LEAST
    found, right = np.mean(heard[played == 1]), np.mean(played[heard])
    title = f"Ode to Joy, synthesised; {preset.manifest['name']}"
    path = running.drawn(
        *(piano_roll.draw, probable, times, names, out / "piano_roll.png"),
        **{"truth": played, "title": title},
    )
    print(
        f"A melody, synthesised: {preset.manifest['name']}\nhears {100 * found:.0f} % "
        f"of what is played; of what it hears, {100 * right:.0f} % is played."
    )
    if path:
        print(f"    {path}")
    print(f"    again: cvzoo run {preset.manifest['name']} {out / 'melody.wav'}")
