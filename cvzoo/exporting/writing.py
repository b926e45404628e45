"""`export`: a network as a SavedModel or a LiteRT file, compared where it will run."""

import json
from pathlib import Path

import keras

from cvzoo import (
    catalogue,
    folders,
    graph,
    preset_files,
    presets,
    shrinking,
    sparsity,
    stored_examples,
)
from cvzoo.exporting import (
    kernels,
    litert,
    saved_model,
    serving,
    signatures,
    splitting,
    verification,
)

FORMATS = ("tf_saved_model", "litert")
REPORT = "export.json"
# What is in the folder of an export.
_WRITTEN = {
    *("saved_model.pb", "fingerprint.pb", "variables", "assets", "assets.extra"),
    *(serving.BATCHING, litert.FILE, litert.LABELS, REPORT),
}
# Largest difference from the model's outputs: of float32, and of weights in int8.
TOLERANCES = {None: 1e-5, "int8": 0.1}


def export(
    model,
    path,
    format="tf_saved_model",
    *,
    batch_size=1,
    quantize=None,
    classes=None,
    outputs=None,
    logits=None,
    complex_inputs=None,
    examples=None,
    tolerance=None,
    overwrite=False,
):
    """Writes a folder with what a server or a device runs without cvzoo, and checks it.

    The model is shrunk, batch norm folded, and whatever depends on weights alone, such
    as spectra of circulant kernels, is computed once. Each dense layer is computed as
    it is, or without its zeros, and each circulant one by Fourier transforms or as a
    dense one, whichever is faster for `batch_size` examples
    (`cvzoo.exporting.costs`). Inputs and outputs are named as the model's; a batch may
    have any size. The result is run in a fresh process that imports nothing but its
    runtime, on random inputs and on `examples`, before it gets its name.

    Args:
        model: A Functional or Sequential Keras model; or the name or folder of a
            preset, whose classes and examples are taken along. Sparsifiers and masks
            are left out.
        path: Folder to make. It must not exist.
        format: `"tf_saved_model"`: a SavedModel, whose weights stay packed on the disk.
            `"litert"`: `model.tflite`, of built-in operations only; this needs the
            extra `litert`.
        batch_size: Examples of a call, for which it should be fast.
        quantize: `"int8"`: LiteRT's weights of 8 bits, dynamic range.
        classes: Names of the classes. A SavedModel then also has the signature
            `classify` or `transcribe`, which names them, and the asset `labels.txt`.
        outputs: What scores are: `"one class"`, which is the default where there are
            classes, `"each class"`, each by itself, or `"values"`.
        logits: Whether scores are logits, which is the default.
        complex_inputs: Inputs called `NAME_real` and `NAME_imag` are served as one:
            `"complex64"`, or `"last_axis"`, with an axis of 2.
        examples: Real inputs to compare on as well: an array, or one for each input, as
            the model takes them. Their sizes are tried where the model leaves any open
            (32 otherwise), and integers up to theirs (0 and 1 otherwise).
        tolerance: Largest difference allowed between an output and the model's,
            relative to the largest output, or to 0.01 if that is above it. Defaults to
            1e-5, and to 0.1 with `quantize`.
        overwrite: Whether an export that is there is replaced. A folder with anything
            else in it never is.

    Returns:
        What is in the folder's `export.json`: `format`, `quantize`, `bytes` of the
        other files, `max_abs_error`, `batch_sizes`, `milliseconds` of a call by batch
        size, `inputs`, `outputs`, how `layers` are computed, `versions`.

    Raises:
        ExportError: The target cannot run the network, outputs differ, or the fresh
            process fails. Nothing is left.
    """
    _check_arguments(format, quantize, batch_size, complex_inputs)
    path = Path(path)
    _check_path(path, overwrite)
    told = {"classes": classes, "outputs": outputs, "logits": logits}
    if not isinstance(model, keras.Model):
        model, told, examples = _of_preset(model, told, examples)
    model = graph.functional(model)
    served = signatures.Served(
        model, **told, complex_inputs=complex_inputs, examples=examples
    )
    sparsity.warn_if_unpruned(model, "cvzoo.export")
    small = shrinking.shrink(sparsity.without_sparsifiers(model))
    plain, chosen = kernels.choose(small, batch_size, format)

    def write(aside):
        if format == "litert":
            litert.write(plain, served, aside, quantize)
        else:
            _write_saved_model(plain, served, aside, batch_size)
        checked = verification.check(
            *(model, served, aside, format),
            TOLERANCES[quantize] if tolerance is None else tolerance,
            batch_size,
        )
        report = {
            "format": format,
            "quantize": quantize,
            "bytes": saved_model.size_of(aside),
            **checked,
            "inputs": {
                name: [list(shape), dtype]
                for name, (shape, dtype) in served.inputs.items()
            },
            "outputs": served.outputs,
            "layers": chosen,
            "versions": _versions(format),
        }
        (aside / REPORT).write_text(json.dumps(report, indent=1) + "\n", "utf-8")
        return report

    # Files may come while it is written and run.
    return folders.write(path, write, check=lambda: _check_path(path, overwrite))


def _check_arguments(format, quantize, batch_size, complex_inputs):
    if format not in FORMATS:
        raise ValueError(f"`format` must be one of {FORMATS}. Received: {format!r}")
    if quantize not in TOLERANCES or (quantize and format != "litert"):
        raise ValueError(
            "`quantize` must be None, or 'int8' with format='litert'. Received: "
            f"{quantize!r} with {format!r}"
        )
    if type(batch_size) is not int or batch_size < 1:
        raise ValueError(
            f"`batch_size` must be a positive integer. Received: {batch_size!r}"
        )
    if complex_inputs and format == "litert":
        raise ValueError(
            "LiteRT has no complex inputs: it takes `NAME_real` and `NAME_imag`. "
            f"Received: complex_inputs={complex_inputs!r}"
        )
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Exports are written with the TensorFlow backend of Keras. "
            f"KERAS_BACKEND is {keras.backend.backend()!r}; set it to 'tensorflow'."
        )
    if format == "litert":
        litert.check_installed()


def _check_path(path, overwrite):
    if path.suffix == ".tflite":
        raise ValueError(
            f"`path` is a folder to make, with model.tflite in it. Received: {path}"
        )
    if not path.exists():
        return
    if not overwrite:
        raise ValueError(f"{path} exists. Give another folder, or `overwrite=True`.")
    others = sorted({one.name for one in path.iterdir()} - _WRITTEN)
    if others or not _is_report(path / REPORT):
        what = f"it also holds {others[:3]}" if others else f"it has no {REPORT}"
        raise ValueError(f"{path} is no export: {what}. Only exports are replaced.")


def _is_report(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))["format"] in FORMATS
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _of_preset(name, told, examples):
    """The model of a preset, what it says of its classes, and its examples."""
    manifest = preset_files.read_manifest(catalogue.find(name))
    model = presets.from_preset(name, compile=False, masked=False)
    scores = manifest["outputs"]
    kept = {
        "classes": manifest["classes"],
        "outputs": scores["decode"],
        "logits": scores["logits"],
    }
    told = {key: kept[key] if one is None else one for key, one in told.items()}
    if examples is None and manifest["examples"]:
        examples = stored_examples.examples(name)
    return model, told, examples


def _write_saved_model(model, served, folder, batch_size):
    parts = splitting.split(model, "tf_saved_model")
    saved_model.check_deterministic(parts, model)
    saved_model.write(parts, served, folder)
    asked = [(signatures.DEFAULT, served.shapes(batch_size))]
    if served.labelled:
        asked.append((served.labelled, served.shapes(1)))
    serving.write_warmup(folder, asked)
    serving.write_batching(folder, max(batch_size, serving.SMALLEST_BATCH))


def _versions(format):
    from importlib import metadata

    names = ["cvzoo", "tensorflow", "keras"]
    names += ["ai-edge-litert"] if format == "litert" else []
    return {name: metadata.version(name) for name in names}
