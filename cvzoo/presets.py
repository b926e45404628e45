"""`from_preset` and `save_preset`: models ↔ preset folders."""

import dataclasses
import functools
import os
import shutil
import tempfile
from importlib import metadata as packages
from pathlib import Path

import numpy as np

from cvzoo import (
    architecture,
    catalogue,
    compiling,
    graph,
    packing,
    reporting,
    rounding,
    sparsifying,
    sparsity,
    weights,
)
from cvzoo.catalogue import PresetError

_WHAT_A_BAD_FILE_RAISES = (
    *(ValueError, TypeError, LookupError, OverflowError, RecursionError),
    *(AttributeError, MemoryError),
)

# Outputs of stored examples on another machine differ by rounding only.
EXAMPLE_TOLERANCE = 1e-4


def from_preset(name, compile=True, masked=True, verify=False):
    """A model with the weights of a preset.

    Every file is compared with the sha256 of the manifest, and layers and arguments
    with a closed list, before any object is made. No code is loaded.

    Args:
        name: A name of `cvzoo.list_presets()`, or a preset folder.
        compile: Whether the model is compiled as the preset says (Adam).
        masked: Whether weights that are zero stay zero while training goes on.
        verify: Whether the stored example inputs are run and their outputs compared.

    Returns:
        A `keras.Model`.

    Raises:
        PresetError: The preset is unknown, damaged, or holds something unexpected.
    """
    folder = catalogue.find(name)
    manifest = catalogue.read_manifest(folder)
    files = catalogue.read_files(folder, manifest)
    try:
        stated = {
            tensor: packing.Spec(tuple(entry["shape"]), entry["parts"])
            for tensor, entry in manifest["tensors"].items()
        }
        # Before anything is made: what the manifest states is what the file holds.
        packing.check_layout(files[catalogue.WEIGHTS], stated)
        shapes = {tensor: spec.shape for tensor, spec in stated.items()}
        described = catalogue.parse_json(
            files[catalogue.ARCHITECTURE], catalogue.ARCHITECTURE
        )
        tensors = packing.unpack(files[catalogue.WEIGHTS], stated)
        masks = _masks_of_zeros(tensors) if masked else {}
        # Masks are there from the start: a masked copy would take the memory twice.
        model = architecture.build(described, shapes, masks)
        found = weights.specs(model)
        packing.check_names(found, stated, "manifest")
        if found != stated:
            raise PresetError(f"the manifest states {stated}; the layers have {found}.")
        weights.assign(model, tensors)
        del tensors
        for layer in sparsity.sparse_layers(model):
            layer.mask.assign(masks[layer.name])
        if verify:
            _verify(model, manifest["examples"])
        settings = catalogue.parse_json(files[catalogue.CONFIG], "config.json")
        if compile and settings["compile"] is not None:
            compiling.compile_model(model, settings["compile"])
    except _WHAT_A_BAD_FILE_RAISES as error:
        raise PresetError(f"Preset {folder}: {error}") from error
    return model


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
):
    """Keeps a model as a preset folder, written aside and then renamed.

    Args:
        model: A Functional or Sequential model of layers that presets can keep.
            Sparsifiers and masks are left out; zeros in kernels are packed.
        folder: The folder to make.
        name: Name of the preset. Defaults to the folder's name.
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
            else in it never is.
        values: How weights are rounded before they are stored; see
            `cvzoo.round_weights`. How far that moves the outputs on `examples` is kept
            among the manifest's counts.
        posterior: Sparsified model, for `values="posterior"`.
        threshold: The one that was given to `cvzoo.prune`, likewise.

    Returns:
        The folder, as a `Path`.
    """
    graph.check_is_model("model", model)
    if baseline is not None:
        graph.check_is_model("baseline", baseline)
    sparsity.warn_if_unpruned(model, "cvzoo.save_preset")
    _check_json(scores=scores, data=data, classes=list(classes), config=config)
    folder = Path(folder)
    if folder.exists() and not overwrite:
        raise PresetError(f"{folder} exists. Pass `overwrite=True` to replace it.")
    _check_replaceable(folder)
    settings = {"recipe": config or {}, "compile": compiling.chosen(compile, model)}
    inputs = _example_inputs(model, examples)
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
        "format": catalogue.FORMAT,
        "name": name or folder.name,
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
            **_rounding(model, exact, inputs, values),
        },
        "data": dict(data or {}),
        "classes": list(classes),
        "examples": _run_examples(described, tensors, inputs),
    }
    files = _files(manifest, described, settings, tensors)
    write_folder(folder, lambda aside: _write_files(aside, files))
    return folder


def _files(manifest, described, settings, tensors):
    """File name → bytes, the manifest with the hashes of the others among them."""
    texts = {
        catalogue.ARCHITECTURE: catalogue.to_json(described),
        catalogue.CONFIG: catalogue.to_json(settings),
        catalogue.CARD: _card(manifest),
    }
    files = {key: text.encode() for key, text in texts.items()}
    files[catalogue.WEIGHTS] = packing.pack(tensors)
    hashes = {key: catalogue.describe_bytes(files[key]) for key in sorted(files)}
    manifest = {**manifest, "files": hashes}
    return {**files, catalogue.MANIFEST: catalogue.to_json(manifest).encode()}


def _check_json(**given):
    """Raises unless each is plain data; `scores` and `data` dictionaries or `None`."""
    for name, value in given.items():
        if name in ("scores", "data") and not isinstance(value, dict | None):
            raise PresetError(f"`{name}` must be a dictionary. Received: {value!r}")
        try:
            catalogue.to_json(value)
        except (TypeError, ValueError) as error:
            raise PresetError(
                f"`{name}` must hold text, finite numbers, lists and dictionaries of "
                f"them, which JSON can keep; NaN and infinity it cannot. Received: "
                f"{value!r}"
            ) from error


def _check_replaceable(folder):
    if not folder.exists():
        return
    if not folder.is_dir():
        raise PresetError(f"{folder} is a file; a preset is a folder.")
    others = {path.name for path in folder.iterdir()}
    others -= {*catalogue.FILES, catalogue.MANIFEST}
    if others:
        raise PresetError(
            f"{folder} is not replaced: it holds what is no part of a preset: "
            f"{sorted(others)[:5]}. Give another folder."
        )


def write_folder(folder, write):
    """Makes a folder whole or not at all: `write(aside)`, then a rename.

    A folder of that name is replaced, and kept when writing fails.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        result = write(aside)
        aside.chmod(0o755)  # mkdtemp makes folders that only their owner may read
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
            os.replace(folder, old)
            os.replace(aside, folder)
            shutil.rmtree(old)
        else:
            os.replace(aside, folder)
        return result
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _masks_of_zeros(tensors):
    """Name of each layer whose kernel has zeros → where it has none."""
    masks = {}
    for name, value in tensors.items():
        layer, _, variable = name.rpartition("/")
        if variable == "kernel":
            parts = value if isinstance(value, tuple) else (value,)
            mask = functools.reduce(np.logical_or, (part != 0 for part in parts))
            if not mask.all():
                masks[layer] = mask
    return masks


def _example_inputs(model, examples):
    """Arrays of the types of the model's inputs: one, or a list of several."""
    if examples is None:
        return None
    shapes = {tensor.shape for tensor in model.outputs}
    given = list(examples) if len(model.inputs) > 1 else [examples]
    if (
        len(given) != len(model.inputs)
        or len(shapes) > 1
        or any(np.iscomplexobj(one) for one in given)
    ):
        raise PresetError(
            "Examples are kept of models with real inputs, a list of one array for "
            f"each where there are several, and outputs of one shape. Received "
            f"{len(given)} arrays of {[np.asarray(one).dtype.name for one in given]} "
            f"for {len(model.inputs)} inputs, and outputs of {shapes}. Pass "
            "`examples=None`."
        )
    return _typed(model, given)


def _typed(model, arrays):
    """Arrays as a model's inputs take them; the array where there is one input."""
    typed = [
        np.asarray(one, tensor.dtype if "int" in tensor.dtype else np.float32)
        for one, tensor in zip(arrays, model.inputs, strict=True)
    ]
    return typed if len(typed) > 1 else typed[0]


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
    outputs = model.predict(inputs, verbose=0)
    is_list = isinstance(inputs, list)
    stored = [_flat(one) for one in inputs] if is_list else _flat(inputs)
    return {"inputs": stored, "outputs": _flat(outputs)}


def _rounding(model, exact, inputs, values):
    """What the manifest says of rounded weights."""
    if values == "float32":
        return {}
    if inputs is None:
        return {"values": values}
    change = reporting.compression_report(model, reference=exact, inputs=inputs).change
    return {"values": values, "change_of_outputs": dataclasses.asdict(change)}


def _flat(values):
    values = np.asarray(values, np.float32)
    # The shortest decimals that give back the float32.
    shortest = [float(str(value)) for value in values.ravel()]
    return {"shape": list(values.shape), "values": shortest}


def _shaped(stored):
    return np.asarray(stored["values"], np.float32).reshape(stored["shape"])


def _verify(model, examples):
    if not examples:
        raise PresetError("it stores no examples to verify.")
    stored = examples["inputs"]
    inputs = [
        _shaped(one) for one in (stored if isinstance(stored, list) else [stored])
    ]
    outputs = model.predict(_typed(model, inputs), verbose=0)
    error = np.max(np.abs(outputs - _shaped(examples["outputs"])))
    if not error <= EXAMPLE_TOLERANCE:
        raise PresetError(
            f"outputs on the stored examples differ by {error:.2g}; at most "
            f"{EXAMPLE_TOLERANCE} was expected."
        )


def _write_files(folder, files):
    for name, data in files.items():
        (folder / name).write_bytes(data)


def _card(manifest):
    is_complex = any(spec["parts"] == 2 for spec in manifest["tensors"].values())
    counts, data = manifest["counts"], manifest["data"]
    scores = dict(manifest["scores"])
    metric = scores.pop("metric", "score")
    tags = ["keras", "tensorflow", *(["complex-valued"] if is_complex else [])]
    parameters = f"{counts['nonzero']:,}"
    if counts["nonzero"] < counts["baseline_parameters"]:
        tags.append("sparse")
        parameters += (
            " numbers that are not zero, of "
            f"{counts['baseline_parameters']:,} before compression "
            f"(×{counts['compression']:.1f})"
        )
    lines = [
        "---",
        "library_name: cvzoo",
        f"tags: [{', '.join(tags)}]",
        "---",
        f"# {manifest['name']}",
        "",
        *([manifest["description"], ""] if manifest["description"] else []),
        f"- Parameters: {parameters}.",
        *[f"- {metric}, {key}: {_rounded(value)}" for key, value in scores.items()],
        *[f"- Data, {key}: {value}" for key, value in data.items()],
        "",
        "```python",
        "import cvzoo",
        "",
        f'model = cvzoo.from_preset("{manifest["name"]}")',
        "```",
        "",
    ]
    return "\n".join(lines)


def _rounded(value):
    return f"{value:.4g}" if isinstance(value, float) else value
