"""A preset's card: a README for people, with the metadata that Hugging Face reads."""

import json

# Of the identifiers that the Hub knows; with others it wants "other".
_LICENCES = {
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "mpl-2.0", "gpl-3.0"),
    *("agpl-3.0", "lgpl-3.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0"),
    *("cc-by-3.0", "cc-by-sa-3.0", "unlicense"),
}
_FIELDS = {1: "real", 2: "complex"}


def field(manifest):
    """`"complex"` where a model has complex weights, else `"real"`."""
    parts = (spec["parts"] for spec in manifest["tensors"].values())
    return _FIELDS[max(parts, default=1)]


def card(manifest, described, settings):
    """The text of README.md.

    Args:
        manifest: Of the current format; the card need not be among its files.
        described: What `architecture.json` holds.
        settings: What `config.json` holds.
    """
    lines = [
        "---",
        *_front_matter(manifest),
        "---",
        f"# {manifest['name']}",
        "",
        *([manifest["description"], ""] if manifest["description"] else []),
        "| | |",
        "| --- | --- |",
        *(
            f"| {_cell(key)} | {_cell(value)} |"
            for key, value in rows(manifest, described, settings)
        ),
        "",
        "```python",
        "import cvzoo",
        "",
        f'name = "{manifest["name"]}"',
        "model = cvzoo.from_preset(name)",
        *_trial(manifest),
        "```",
        "",
    ]
    return "\n".join(lines)


def rows(manifest, described, settings):
    """`(heading, text)` of what a preset tells, for people; empty ones left out.

    Args:
        manifest, described, settings: As of `card`.
    """
    counts, scores = manifest["counts"], dict(manifest["scores"])
    metric = scores.pop("metric", "")
    recipe = settings["recipe"]
    found = [
        ("architecture", described["name"]),
        ("field", field(manifest)),
        *(
            (f"input {one['name']}", _input(one["shape"], told_of(manifest, one)))
            for one in described["inputs"]
        ),
        ("scores are of", _classes(manifest)),
        ("score", metric),
        *((key.replace("_", " "), _rounded(one)) for key, one in scores.items()),
        *_sizes(counts, manifest["files"]["weights.safetensors"]["bytes"]),
        ("one call for one example", _latency(manifest["latency"])),
        *((f"data, {key}", one) for key, one in manifest["data"].items()),
        ("licence", manifest["licence"]),
        ("recipe", recipe.get("name") if isinstance(recipe, dict) else None),
        ("made by", manifest["command"] and f"`{manifest['command']}`"),
    ]
    return [(key.strip(), value) for key, value in found if value not in ("", None)]


def _trial(manifest):
    """Lines of Python that try a preset on its stored examples."""
    says_what_scores_are = manifest["outputs"]["decode"] != "values"
    if not (manifest["examples"] and manifest["classes"] and says_what_scores_are):
        return []
    return [
        "scores = model.predict(cvzoo.examples(name))",
        "print(cvzoo.decode(name, scores))",
    ]


def _front_matter(manifest):
    """Lines of YAML; texts are JSON strings, which are YAML as well."""
    tags = ["keras", "tensorflow"]
    if field(manifest) == "complex":
        tags.append("complex-valued")
    if manifest["counts"]["nonzero"] < manifest["counts"]["baseline_parameters"]:
        tags.append("sparse")
    lines = ["library_name: cvzoo", f"tags: [{', '.join(tags)}]"]
    if licence := manifest["licence"]:
        if licence.lower() in _LICENCES:
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


def told_of(manifest, tensor):
    """What a manifest says of an input; the first format did not say of which."""
    nothing = {"meaning": "", "range": None, "sample_rate": None}
    told = manifest["inputs"]
    return told.get(tensor["name"]) or told.get("") or nothing


def _input(shape, told):
    parts = [size_text(shape), told["meaning"]]
    if told["range"] is not None:
        low, high = told["range"]
        parts.append(f"from {low:g} to {high:g}")
    if told["sample_rate"] is not None:
        parts.append(f"{told['sample_rate']:,g} hertz")
    return "; ".join(part for part in parts if part)


def size_text(shape):
    """The shape of an example, such as `28×28×1`."""
    return "×".join("any" if size is None else str(size) for size in shape)


def _classes(manifest):
    classes = [str(name) for name in manifest["classes"]]
    if len(classes) > 12:
        return f"{len(classes)} classes, {classes[0]} to {classes[-1]}"
    return ", ".join(classes)


def _sizes(counts, size):
    """Rows on numbers and bytes; a complex weight is two numbers."""
    before = counts["baseline_parameters"]
    found = [
        ("parameters", f"{counts['parameters']:,}"),
        ("that are not zero", f"{counts['nonzero']:,}"),
    ]
    if counts["nonzero"] < before:
        found.insert(0, ("parameters before compression", f"{before:,}"))
        found.append(("compression", f"×{counts['compression']:.1f}"))
    text = f"{size:,} bytes"
    if counts["nonzero"] < before:
        text += f" (float32 before compression: {4 * before:,})"
    return [*found, ("weights file", text)]


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
