"""Writes manifests and cards of shipped presets anew; weights stay as they are.

    python -m training.refresh [NAME …] [--latency HARDWARE]

To be run after what data sets tell of themselves, the manifest's format or the card's
text has changed. With `--latency`, one call for one example is timed too, which wants a
machine that does nothing else; HARDWARE is what it is called in the manifest.
"""

import argparse
import datetime
import functools
import sys

import training.data
from cvzoo import catalogue, folders, preset_files, saving
from training import notes


def refreshed(folder, latency=None):
    """The files of a preset, name → bytes, with what is told of it written anew.

    Args:
        folder: The preset's.
        latency: What the manifest says of it; `None` keeps what it says.
    """
    manifest = preset_files.read_manifest(folder)
    files = preset_files.read_files(folder, manifest)
    described, settings = (
        preset_files.parse_json(files[name], name)
        for name in (preset_files.ARCHITECTURE, preset_files.CONFIG)
    )
    recipe = settings["recipe"]
    told = {
        **notes.of_data(training.data.find(recipe["data"]["name"]).ABOUT),
        **notes.of_recipe(recipe),
    }
    names = [one["name"] for one in described["inputs"]]
    told["inputs"] = saving.told_inputs(names, told["inputs"])
    told["outputs"] = saving.told_outputs(None, settings["compile"])
    if latency is not None:
        told["latency"] = latency
    packed = files[preset_files.WEIGHTS]
    return saving.files_of({**manifest, **told}, described, settings, packed)


def measured(folder, hardware):
    """What a manifest says of the time of one call for one example."""
    import cvzoo
    from training.latency import one_example

    model = cvzoo.from_preset(folder, compile=False, masked=False)
    (milliseconds,) = one_example([model])
    return {
        "milliseconds": round(milliseconds, 3),
        "hardware": hardware,
        "date": datetime.date.today().isoformat(),
    }


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.refresh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help="presets; all that ship if left out")
    parser.add_argument("--latency", metavar="HARDWARE")
    options = parser.parse_args(arguments)
    try:
        for name in options.names or catalogue.preset_names():
            folder = catalogue.find(name)
            latency = options.latency and measured(folder, options.latency)
            files = refreshed(folder, latency)
            folders.write(folder, functools.partial(saving.write_files, files=files))
            print(folder)
    except ValueError as error:
        print(f"training.refresh: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
