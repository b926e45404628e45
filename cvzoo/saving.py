"""`save_preset`: models → preset folders."""

import dataclasses
from importlib import metadata as packages
from pathlib import Path

import numpy as np

from cvzoo import (
    architecture,
    cards,
    compiling,
    folders,
    graph,
    manifest_checks,
    manifests,
    packing,
    preset_files,
    reporting,
    rounding,
    sparsifying,
    sparsity,
    stored_examples,
    weights,
)
from cvzoo.preset_files import PresetError

# Arguments that are dictionaries.
_DICTIONARIES = ("scores", "data", "inputs", "latency")
# Loss → what scores are.
_DECODE = {
    "sparse_categorical_crossentropy": "one class",
    "categorical_crossentropy": "one class",
    "binary_crossentropy": "each class",
    "multi_label_cross_entropy": "each class",
}


def save_preset(
    model,
    folder,
    name=None,
    description="",
    baseline=None,
    compile=None,
    config=None,
    scores=None,
    data=None,
    classes=(),
    examples=None,
    overwrite=False,
    values="float32",
    posterior=None,
    threshold=sparsifying.THRESHOLD,
    inputs=None,
    outputs=None,
    licence="",
    command="",
    latency=None,
):
    """Keeps a model as a preset folder, written aside and then renamed.

    Args:
        model: A Functional or Sequential model of layers that presets can keep.
            Sparsifiers and masks are left out; zeros in kernels are packed.
        folder: The folder to make.
        name: Name of the preset: letters, digits, `_`, `-`, `.`. Defaults to the
            folder's name.
        description: A sentence for people.
        baseline: The uncompressed model, for the counts.
        compile: How `from_preset` compiles it: a dictionary with the keys `loss`,
            `from_logits`, `metrics`, `learning_rate` and `global_clipnorm`, or `False`
            for not at all. Defaults to the model's own settings, where these are Adam,
            a cross-entropy and accuracy.
        config: The recipe, as JSON data.
        scores: For example `{"metric": "accuracy", "test": 0.93}`; numbers by split.
        data: Where training data came from: name, licence, split.
        classes: Names of the classes.
        examples: A few example inputs, one real array, or a list of one for each input
            where there are several; their outputs are stored too.
        overwrite: Whether a preset that exists is replaced. A folder with anything
            else in it, or without a manifest that can be read, never is.
        values: How weights are rounded before they are stored; see
            `cvzoo.round_weights`. How far that moves the outputs on `examples` is kept
            among the manifest's counts.
        posterior: Sparsified model, for `values="posterior"`.
        threshold: The one that was given to `cvzoo.prune`, likewise.
        inputs: What the model takes, for people and for `cvzoo run`: a dictionary with
            `meaning`, a text, and perhaps `range`, `[lowest, highest]`, and
            `sample_rate` in hertz; or name of input → such a dictionary.
        outputs: What scores are, for `cvzoo.decode`: `"one class"`, the highest of the
            classes; `"each class"`, each by itself; `"values"`. Defaults to what the
            loss says.
        licence: Of the preset, an SPDX identifier such as `"Apache-2.0"`.
        command: The command that makes the preset again.
        latency: Of one call for one example: `milliseconds`, `hardware`, `date`.

    Returns:
        The folder, as a `Path`.

    Raises:
        ValueError: The model, or what is told of it, cannot be kept; nothing was
            written then. Its classes say where: `PresetError`, what is given, or the
            folder; `ManifestError`, what the manifest would say;
            `ArchitectureError`, a layer or its arguments; `PackingError`, the weights.
    """
    graph.check_is_model("model", model)
    if baseline is not None:
        graph.check_is_model("baseline", baseline)
    sparsity.warn_if_unpruned(model, "cvzoo.save_preset")
    _check_json(
        **{"scores": scores, "data": data, "inputs": inputs, "latency": latency},
        **{"classes": list(classes), "config": config, "description": description},
        **{"licence": licence, "command": command},
    )
    folder = Path(folder)
    name = folder.name if name is None else name
    manifest_checks.check_name(name)
    _check_replaceable(folder, overwrite)
    architecture.describe(model)  # Refuses what no preset keeps, before it is copied.
    _check_classes(model, classes)
    settings = {"recipe": config or {}, "compile": compiling.chosen(compile, model)}
    fed = stored_examples.checked(model, examples)
    exact = model
    model = sparsity.without_sparsifiers(
        rounding.round_weights(model, values, posterior, threshold)
        if values != "float32" or posterior is not None
        else model
    )
    tensors = weights.named_tensors(model)
    described = architecture.describe(model)
    report = reporting.compression_report(model, baseline)
    manifest = {
        "format": manifests.FORMAT,
        "name": name,
        "description": description,
        "versions": {p: packages.version(p) for p in ("cvzoo", "keras", "tensorflow")},
        "tensors": {
            key: {"shape": list(spec.shape), "parts": spec.parts}
            for key, spec in weights.specs(model).items()
        },
        "scores": dict(scores or {}),
        "counts": {
            "parameters": report.parameters,
            "nonzero": report.nonzero,
            "baseline_parameters": report.baseline_parameters,
            "compression": report.compression,
            **_rounding(model, exact, fed, values),
        },
        "data": dict(data or {}),
        "inputs": told_inputs([tensor.name for tensor in model.inputs], inputs),
        "outputs": told_outputs(outputs, settings["compile"]),
        "licence": licence,
        "command": command,
        "latency": dict(latency or {}),
        "classes": list(classes),
        "examples": _run_examples(described, tensors, fed),
    }
    files = files_of(manifest, described, settings, packing.pack(tensors))
    folders.write(
        folder,
        lambda aside: write_files(aside, files),
        # Making a preset takes a while, in which files may have come.
        check=lambda: _check_replaceable(folder, overwrite),
    )
    return folder


def _check_classes(model, classes):
    scores = [tensor.shape[-1] for tensor in model.outputs]
    if classes and scores != [len(classes)]:
        raise PresetError(
            f"`classes` must have a name for each score. Received: {len(classes)} "
            f"names, and outputs of {scores} scores"
        )


def files_of(manifest, described, settings, packed):
    """File name → bytes, the manifest with the hashes of the others among them.

    Args:
        manifest: All but its `files`.
        described: Of the architecture.
        settings: Recipe and compile settings.
        packed: The weights file.
    """
    files = {
        preset_files.ARCHITECTURE: preset_files.to_json(described).encode(),
        preset_files.CONFIG: preset_files.to_json(settings).encode(),
        preset_files.WEIGHTS: packed,
    }
    hashes = {key: preset_files.describe_bytes(data) for key, data in files.items()}
    # As it will be read: numpy's numbers are Python's, and tuples are lists.
    text = preset_files.to_json({**manifest, "files": hashes})
    manifest = manifests.checked(preset_files.parse_json(text, preset_files.MANIFEST))
    files[preset_files.CARD] = cards.card(manifest, described, settings).encode()
    hashes = {key: preset_files.describe_bytes(files[key]) for key in sorted(files)}
    manifest["files"] = hashes
    files[preset_files.MANIFEST] = preset_files.to_json(manifest).encode()
    # What is written can be read.
    preset_files.parse_manifest(files[preset_files.MANIFEST], manifest["name"])
    for key, data in files.items():
        preset_files.check_length(key, len(data))
    for key in (preset_files.ARCHITECTURE, preset_files.CONFIG):
        preset_files.parse_json(files[key], key)
    return files


def _check_json(**given):
    """Raises unless each is plain data, and dictionaries or `None` where it must be."""
    for name, value in given.items():
        if name in _DICTIONARIES and not isinstance(value, dict | None):
            raise PresetError(f"`{name}` must be a dictionary. Received: {value!r}")
        try:
            preset_files.to_json(value)
        except (TypeError, ValueError) as error:
            raise PresetError(
                f"`{name}` must hold text, finite numbers, lists and dictionaries of "
                f"them, which JSON can keep; NaN and infinity it cannot. Received: "
                f"{value!r}"
            ) from error


def _check_replaceable(folder, overwrite):
    """Raises unless there is no folder, or an empty one or a preset to overwrite."""
    if not folder.exists():
        return
    if not overwrite:
        raise PresetError(f"{folder} exists. Pass `overwrite=True` to replace it.")
    if not folder.is_dir():
        raise PresetError(f"{folder} is a file; a preset is a folder.")
    present = {path.name for path in folder.iterdir()}
    if others := present - {*preset_files.FILES, preset_files.MANIFEST}:
        raise PresetError(
            f"{folder} is not replaced: it holds what is no part of a preset: "
            f"{sorted(others)[:5]}. Give another folder."
        )
    if present:
        try:
            preset_files.read_manifest(folder)
        except PresetError as error:
            raise PresetError(
                f"{folder} is not replaced: its files {sorted(present)} are of no "
                f"preset that can be read. Give another folder, or remove it. {error}"
            ) from error


def told_inputs(names, told):
    """Name of each input that something is told of → meaning, range, sample rate.

    Args:
        names: Of all inputs.
        told: As `save_preset` takes it.
    """
    told = told or {}
    if set(told) & {"meaning", "range", "sample_rate"}:
        told = dict.fromkeys(names, told)
    if unknown := sorted(set(told) - set(names)):
        raise PresetError(
            f"`inputs` must tell of the model's inputs {names}. Received: {unknown}"
        )
    for name, one in told.items():
        if not isinstance(one, dict):
            raise PresetError(
                "`inputs` must give a dictionary for each input, with the key "
                f"`meaning`. Received: {name!r}: {one!r:.200}"
            )
    nothing = {"meaning": "", "range": None, "sample_rate": None}
    return {name: {**nothing, **one} for name, one in told.items()}


def told_outputs(decode, settings):
    """What the manifest says of scores.

    Args:
        decode: What they are; by the loss for `None`.
        settings: Compile settings, or `None`.
    """
    settings = settings or {"loss": None, "from_logits": False}
    if decode is None:
        decode = _DECODE.get(settings["loss"], "values")
    return {"decode": decode, "logits": settings["from_logits"]}


def _run_examples(described, tensors, inputs):
    """Examples and outputs of the model that the preset gives, which is float32."""
    if inputs is None:
        return {}
    shapes = {
        name: np.shape(value[0] if isinstance(value, tuple) else value)
        for name, value in tensors.items()
    }
    model = architecture.build(described, shapes)
    weights.assign(model, tensors)
    outputs = stored_examples.run(model, inputs)
    is_list = isinstance(inputs, list)
    stored = (
        [stored_examples.flat(one) for one in inputs]
        if is_list
        else stored_examples.flat(inputs)
    )
    return {"inputs": stored, "outputs": stored_examples.flat(outputs)}


def _rounding(model, exact, inputs, values):
    """What the manifest says of rounded weights."""
    if values == "float32":
        return {}
    if inputs is None:
        return {"values": values}
    change = reporting.compression_report(model, reference=exact, inputs=inputs).change
    return {"values": values, "change_of_outputs": dataclasses.asdict(change)}


def write_files(folder, files):
    """Writes files, name → bytes, into a folder."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
