"""A preset's card: a README for people, with the metadata that Hugging Face reads."""

import json
import re

# Identifiers as Hugging Face lists them; others it calls "other".
_IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9.-]*")
_FIELDS = {1: "real", 2: "complex"}


def field(manifest):
    """`"complex"` where a model has complex weights, else `"real"`."""
    parts = (spec["parts"] for spec in manifest["tensors"].values())
    return _FIELDS[max(parts, default=1)]


def card(manifest):
    """The text of README.md.

    Args:
        manifest: Of the current format; the card need not be among its files.
    """
    name = manifest["name"]
    lines = [
        "---",
        *_front_matter(manifest),
        "---",
        f"# {name}",
        "",
        *([manifest["description"], ""] if manifest["description"] else []),
        "| | |",
        "| --- | --- |",
        *(f"| {key} | {_cell(value)} |" for key, value in rows(manifest)),
        "",
        "```python",
        "import cvzoo",
        "",
        f'model = cvzoo.from_preset("{name}")',
        "```",
        "",
    ]
    return "\n".join(lines)


def rows(manifest):
    """`(heading, text)` of what a manifest tells, for people; empty ones left out."""
    counts, scores = manifest["counts"], dict(manifest["scores"])
    metric = scores.pop("metric", "")
    size = manifest["files"]["weights.safetensors"]["bytes"]
    found = [
        ("field", field(manifest)),
        *(("input " + key, _input(told)) for key, told in manifest["inputs"].items()),
        ("scores are of", _classes(manifest)),
        ("stored numbers", _numbers(counts)),
        ("weights file", f"{size:,} bytes"),
        ("score", metric),
        *((key.replace("_", " "), _rounded(one)) for key, one in scores.items()),
        *((f"data, {key}", one) for key, one in manifest["data"].items()),
        ("one call for one example", _latency(manifest["latency"])),
        ("licence", manifest["licence"]),
        ("made by", manifest["command"] and f"`{manifest['command']}`"),
    ]
    return [(key.strip(), value) for key, value in found if value not in ("", None)]


def _front_matter(manifest):
    """Lines of YAML; texts are JSON strings, which are YAML as well."""
    tags = ["keras", "tensorflow"]
    if field(manifest) == "complex":
        tags.append("complex-valued")
    if manifest["counts"]["nonzero"] < manifest["counts"]["baseline_parameters"]:
        tags.append("sparse")
    lines = ["library_name: cvzoo", f"tags: [{', '.join(tags)}]"]
    if licence := manifest["licence"]:
        if _IDENTIFIER.fullmatch(licence.lower()):
            lines.append(f"license: {licence.lower()}")
        else:
            lines += ["license: other", f"license_name: {json.dumps(licence)}"]
    test = manifest["scores"].get("test")
    if isinstance(test, int | float) and "name" in manifest["data"]:
        # As https://huggingface.co/docs/hub/model-cards asks for results.
        metric = str(manifest["scores"].get("metric", "score")).partition(",")[0]
        data = json.dumps(manifest["data"]["name"])
        lines += [
            "model-index:",
            f"- name: {json.dumps(manifest['name'])}",
            "  results:",
            "  - task: {type: other}",
            f"    dataset: {{type: other, name: {data}}}",
            "    metrics:",
            f"    - {{type: {json.dumps(metric)}, value: {test}}}",
        ]
    return lines


def _input(told):
    text = told["meaning"]
    if told["range"] is not None:
        low, high = told["range"]
        text += f"; from {low:g} to {high:g}"
    if told["sample_rate"] is not None:
        text += f"; {told['sample_rate']:,g} samples a second"
    return text


def _classes(manifest):
    classes = [str(name) for name in manifest["classes"]]
    if len(classes) > 12:
        return f"{len(classes)} classes, {classes[0]} to {classes[-1]}"
    return ", ".join(classes)


def _numbers(counts):
    text = f"{counts['nonzero']:,} that are not zero"
    if counts["nonzero"] < counts["baseline_parameters"]:
        text += (
            f", of {counts['baseline_parameters']:,} before compression "
            f"(×{counts['compression']:.1f})"
        )
    return text


def _latency(latency):
    if not latency:
        return ""
    return (
        f"{latency['milliseconds']:.3g} ms ({latency['hardware']}, {latency['date']})"
    )


def _rounded(value):
    return f"{value:.4g}" if isinstance(value, float) else value


def _cell(value):
    """A text that stays one cell of a table."""
    return " ".join(str(value).split()).replace("|", r"\|")
