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
# Largest difference from the model's outputs, by what is computed with.
TOLERANCES = {"float32": 1e-5, "float16": 1e-2, "bfloat16": 5e-2, "int8": 0.1}
QUANTIZE = (None, "int8")


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
        logits: Whether scores are logits. By default, unless the last layer is a
            softmax or a sigmoid.
        complex_inputs: Inputs called `NAME_real` and `NAME_imag` are served as one:
            `"complex64"`, or `"last_axis"`, with an axis of 2, which is also for inputs
            of complex64: requests in JSON have no complex numbers.
        examples: Real inputs to compare on as well: an array, or one for each input, as
            the model takes them, in a list or by name. Their sizes are tried where the
            model leaves any open (32 otherwise), and integers up to theirs (0 and 1
            otherwise).
        tolerance: Largest difference allowed between an output and the model's,
            relative to the largest output, or to 0.01 if that is above it; values of
            more than 100 times the median are as that. Defaults to 1e-5; to 0.01 and
            0.05 where layers compute in float16 and bfloat16, to 0.1 with `quantize`.
        overwrite: Whether an export that is there is replaced. A folder that holds
            anything else, at any depth, never is.

    Returns:
        What is in the folder's `export.json`: `format`, `quantize`, `files`, their
        `bytes`, `max_abs_error`, `batch_sizes`, `milliseconds` of a call by batch
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
            _tolerance(model, quantize) if tolerance is None else tolerance,
            batch_size,
        )
        report = {
            "format": format,
            "quantize": quantize,
            "files": folders.names(aside),
            "bytes": folders.size(aside),
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
    if quantize not in QUANTIZE or (quantize and format != "litert"):
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
            "A LiteRT file takes inputs as the model does; only a SavedModel joins or "
            f"parts them. Received: complex_inputs={complex_inputs!r}"
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
        raise ValueError(
            f"{path} exists. Give another folder, or `overwrite=True` (`--overwrite`)."
        )
    if not path.is_dir():
        raise ValueError(f"{path} is a file; an export is a folder.")
    try:
        report = json.loads((path / REPORT).read_text(encoding="utf-8"))
        known = {*report["files"], REPORT}
    except (OSError, ValueError, LookupError, TypeError):
        raise ValueError(
            f"{path} is no export: it has no {REPORT} of one. Only those are replaced."
        ) from None
    if others := sorted(set(folders.names(path)) - known):
        raise ValueError(
            f"{path} is not replaced: it also holds {others[:3]}, of no export."
        )


def _tolerance(model, quantize):
    if quantize:
        return TOLERANCES[quantize]
    computed = {layer.compute_dtype for layer in sparsity.flat_layers(model)}
    return max(TOLERANCES.get(one, TOLERANCES["float32"]) for one in computed)


def _of_preset(name, told, examples):
    """The model of a preset, what it says of its classes, and its examples."""
    if str(name).endswith((".keras", ".h5")):
        raise ValueError(
            "`model` must be a Keras model, or a preset. Received: the file "
            f"{str(name)!r}. Load it first: `keras.models.load_model`."
        )
    folder = catalogue.find(name)
    manifest = preset_files.read_manifest(folder)
    model = presets.from_preset(folder, compile=False, masked=False)
    kept = told_of_classes(manifest)
    told = {key: kept[key] if one is None else one for key, one in told.items()}
    if examples is None and manifest["examples"]:
        examples = stored_examples.examples(folder)
    return model, told, examples


def told_of_classes(manifest):
    """Arguments of `export` on the classes of a preset."""
    scores = manifest["outputs"]
    return {
        "classes": manifest["classes"],
        "outputs": scores["decode"],
        "logits": scores["logits"],
    }


def _write_saved_model(model, served, folder, batch_size):
    parts = splitting.split(model, "tf_saved_model")
    splitting.check(parts, model)
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
