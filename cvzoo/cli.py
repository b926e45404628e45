"""The command `cvzoo`: `list`, `info NAME`, `export NAME DIR`."""

import argparse
import json
import sys

from cvzoo import catalogue


def main(arguments=None):
    """Runs the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="cvzoo", description="Compact networks: list, describe and export presets."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the shipped presets")
    info = commands.add_parser("info", help="the manifest of a preset, and its inputs")
    info.add_argument("name", help="a preset's name, folder or address")
    exporter = commands.add_parser("export", help="write a preset as a SavedModel")
    exporter.add_argument("name", help="a preset's name, folder or address")
    exporter.add_argument("folder", help="where to write it")
    options = parser.parse_args(arguments)
    try:
        {"list": _list, "info": _info, "export": _export}[options.command](options)
    except (ValueError, RuntimeError) as error:
        print(f"cvzoo: {error}", file=sys.stderr)
        return 2
    return 0


def _list(options):
    rows = catalogue.list_presets()
    width = max((len(row.name) for row in rows), default=4)
    print(f"{'name':{width}}   score     numbers  compression   bytes  metric")
    for row in rows:
        print(
            f"{row.name:{width}}  {row.score:6.3f}  {row.parameters:>10,}  "
            f"{'×' + format(row.compression, '.1f'):>11}  {row.bytes:>6,}  {row.metric}"
        )


def _info(options):
    folder = catalogue.find(options.name)
    manifest = catalogue.read_manifest(folder)
    manifest.pop("examples")
    files = catalogue.read_files(folder, manifest)
    described = catalogue.parse_json(
        files[catalogue.ARCHITECTURE], catalogue.ARCHITECTURE
    )
    manifest["inputs"] = described["inputs"]
    print(json.dumps(manifest, indent=2, ensure_ascii=False))


def _export(options):
    import cvzoo

    model = cvzoo.from_preset(options.name, compile=False, masked=False)
    report = cvzoo.export(model, options.folder)
    print(
        f"{options.folder}: {report['bytes']:,} bytes; largest difference "
        f"from the preset's outputs {report['max_abs_error']:.1e}"
    )


if __name__ == "__main__":
    sys.exit(main())
