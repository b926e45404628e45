"""The README's table of presets, from their metadata.

    python -m training.zoo_table

Rewrites what is between the two comments in README.md.
"""

import sys
from pathlib import Path

from cvzoo import cards, catalogue, preset_files
from training import results

README = Path(__file__).parent.parent / "README.md"
BEGIN = "<!-- zoo table, written by `python -m training.zoo_table` -->\n"
END = "<!-- end of the zoo table -->\n"
HEADINGS = ("preset", "field", "data", "input", "test score", "numbers", "weights file")
LATENCY = "one call"
# Of the repository, from the README.
CARD = "cvzoo/zoo/{name}/README.md"


def table(manifests):
    """The table, in Markdown, and below it the licences.

    How long a call takes is a column once that was measured of any.
    """
    timed = any(manifest["latency"] for manifest in manifests)
    headings = (*HEADINGS, LATENCY) if timed else HEADINGS
    rows = [_cells(manifest)[: len(headings)] for manifest in manifests]
    return results.markdown(headings, rows, words=4) + "\n" + _licences(manifests)


def _licences(manifests):
    of_presets = sorted({manifest["licence"] for manifest in manifests})
    return (
        f"Licence of the presets: {', '.join(of_presets)}. Those of their data, the "
        "recipes and\nall else are in the cards, where the names lead.\n"
    )


def _cells(manifest):
    counts, scores = manifest["counts"], manifest["scores"]
    metric, _, _ = scores["metric"].partition(",")
    score = f"{metric} {100 * scores['test']:.1f} %"
    if "test before compression" in scores:
        score += f" (before: {100 * scores['test before compression']:.1f})"
    numbers = f"{counts['nonzero']:,}"
    if counts["compression"] > 1:
        numbers += f" of {counts['baseline_parameters']:,} "
        numbers += f"(×{counts['compression']:.1f})"
    size = manifest["files"][preset_files.WEIGHTS]["bytes"]
    inputs = manifest["examples"]["inputs"]
    first = inputs[0] if isinstance(inputs, list) else inputs
    shape = first["shape"][1:]
    latency = manifest["latency"]
    return (
        f"[`{manifest['name']}`]({CARD.format(name=manifest['name'])})",
        cards.field(manifest),
        manifest["data"]["name"],
        cards.size_text(shape),
        score,
        numbers,
        f"{size:,} bytes",
        f"{latency['milliseconds']:.2g} ms" if latency else "",
    )


def shipped():
    """Manifests of the shipped presets."""
    return [
        preset_files.read_manifest(catalogue.SHIPPED / name)
        for name in catalogue.preset_names()
    ]


def rewritten(text, new):
    """A text whose part between the comments is new."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(
            f"README.md must hold {BEGIN.strip()!r} and {END.strip()!r} once each."
        )
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


def main():
    """The command; returns the exit status."""
    text = README.read_text(encoding="utf-8")
    README.write_text(rewritten(text, table(shipped())), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
