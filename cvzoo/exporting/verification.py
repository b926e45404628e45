"""Exports are run where they will be, and compared with the model."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cvzoo.exporting import signatures
from cvzoo.exporting.errors import ExportError

# Sizes of batches, none of which the graph was made with.
BATCH_SIZES = (1, 5)
# Where all outputs are smaller, differences are compared with this.
SMALLEST_SCALE = 0.01
_MOST_SECONDS = 600
_RUNNER = Path(__file__).with_name("runner.py")


def check(model, served, folder, format, tolerance, batch_size):
    """Runs an export in a process of its own and compares its outputs.

    Args:
        model: The model, with the weights that were exported.
        served: `signatures.Served`.
        folder: The export.
        format: Of it.
        tolerance: Largest difference allowed, relative to the size of outputs; see
            `_scale`.
        batch_size: A size of batches besides `BATCH_SIZES`.

    Returns:
        Dictionary for `export.json`: `max_abs_error`, `batch_sizes`, `milliseconds`.

    Raises:
        ExportError: Outputs differ by more, or the process fails.
    """
    generator = np.random.default_rng(0)
    sizes = sorted({*BATCH_SIZES, batch_size})
    batches = [served.random(size, generator) for size in sizes]
    if served.examples is not None:
        batches.append(served.examples)
    found = run(folder, batches, format)
    largest = 0.0
    for inputs, outputs in zip(batches, found.outputs, strict=True):
        with _without_tensor_float_32():
            expected = signatures.expected(model, served, inputs)
        for name, value in expected.items():
            error = _difference(outputs, name, value)
            allowed = tolerance * _scale(value)
            if not error <= allowed:
                raise ExportError(
                    f"Output '{name}' of the export differs from the model's by "
                    f"{error:.2g}; at most {allowed:.2g} is allowed. Nothing was kept."
                )
            largest = max(largest, error)
    if served.labelled and format == "tf_saved_model":
        for outputs in found.outputs:
            _check_named(served, outputs, tolerance)
    return {
        "max_abs_error": largest,
        "batch_sizes": sizes,
        "milliseconds": {
            str(size): round(float(median), 4)
            for size, (median, _) in zip(sizes, found.milliseconds, strict=False)
        },
    }


@contextlib.contextmanager
def _without_tensor_float_32():
    """Float32 as such on GPUs, which else keep 10 of its bits in products."""
    import tensorflow as tf

    config = tf.config.experimental
    before = config.tensor_float_32_execution_enabled()
    config.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        config.enable_tensor_float_32_execution(before)


class Found(NamedTuple):
    """What a run of an export gave.

    Attributes:
        outputs: For each batch, name → numpy array; of other signatures than that of
            scores, `SIGNATURE/NAME`.
        milliseconds: For each batch, the median and the 99th percentile of a call's
            time, `(batches, 2)`.
        peak: The most memory that the process held, in bytes; 0 where it is not known.
    """

    outputs: list
    milliseconds: np.ndarray
    peak: int


def run(folder, batches, format, calls=9):
    """Runs an export in a fresh process that never imports cvzoo.

    Args:
        folder: The export.
        batches: List of dictionaries, name → numpy array.
        format: `"tf_saved_model"` or `"litert"`.
        calls: How often each batch is run, for the times.

    Returns:
        `Found`.
    """
    with tempfile.TemporaryDirectory() as scratch:
        inputs_file, outputs_file = Path(scratch, "in.npz"), Path(scratch, "out.npz")
        named = {
            f"{number}/{name}": _without_bfloat16(value)
            for number, inputs in enumerate(batches)
            for name, value in inputs.items()
        }
        np.savez(inputs_file, **named)
        command = [sys.executable, "-c", _RUNNER.read_text(encoding="utf-8"), format]
        command += [str(folder), str(inputs_file), str(outputs_file), str(calls)]
        # This process may hold all memory of a GPU.
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
        try:
            done = subprocess.run(
                command,
                **{"capture_output": True, "text": True, "timeout": _MOST_SECONDS},
                env=environment,
            )
        except subprocess.TimeoutExpired as error:
            raise ExportError(
                f"The export {folder} did not run within {_MOST_SECONDS} seconds in a "
                "process of its own. Nothing was kept."
            ) from error
        if done.returncode:
            raise ExportError(
                f"The export {folder} does not run in a process of its own:\n"
                f"{done.stderr[-2000:]}"
            )
        outputs = [{} for _ in batches]
        with np.load(outputs_file) as stored:
            milliseconds, peak = stored["milliseconds"], 1024 * int(stored["peak"])
            for key in stored.files:
                number, is_output, name = key.partition("/")
                if is_output:
                    outputs[int(number)][name] = stored[key]
        return Found(outputs, milliseconds, peak)


def _without_bfloat16(value):
    """An array as files of numpy can hold it; the runner casts it back."""
    return value.astype(np.float32) if value.dtype.name == "bfloat16" else value


def _scale(value):
    """What differences of an output's values are relative to.

    The largest, but no more than 100 times the median, above which there are values
    such as −1e9 of what was masked; infinite ones and zeros aside. At least
    `SMALLEST_SCALE`.
    """
    sizes = np.abs(value[np.isfinite(value) & (value != 0)]).astype(np.float64)
    if not sizes.size:
        return SMALLEST_SCALE
    return max(SMALLEST_SCALE, min(float(sizes.max()), 100 * float(np.median(sizes))))


def _check_named(served, outputs, tolerance):
    """Raises unless names and probabilities are those of the scores."""
    (scores,) = (outputs[name] for name in served.outputs)
    scores = scores.astype(np.float64)
    if served.logits and served.labelled == "classify":
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
    elif served.logits:
        scores = 1 / (1 + np.exp(-scores))
    classes = outputs[f"{served.labelled}/classes"].astype(str)
    found = outputs[f"{served.labelled}/probabilities"].astype(np.float64)
    names = np.array(served.classes)
    if served.labelled == "classify":
        expected = -np.sort(-scores, axis=-1)[..., : found.shape[-1]]
        # Of classes that are as likely, or of one name, any is right.
        apart = np.abs(scores[..., None, :] - expected[..., None])
        is_named = np.where(classes[..., None] == names, apart, 1.0).min(axis=-1)
        wrong = max(np.abs(found - expected).max(), is_named.max())
    else:
        wrong = np.abs(found - scores).max() + np.any(classes != names)
    if not wrong <= max(tolerance, 1e-5):
        raise ExportError(
            f"Signature '{served.labelled}' of the export does not name what its "
            "scores say. Nothing was kept."
        )


def _difference(outputs, name, value):
    found = outputs[name]
    if found.shape != value.shape:
        raise ExportError(
            f"Output '{name}' of the export has the shape {found.shape}, the model's "
            f"{value.shape}. Nothing was kept."
        )
    wide = "complex128" if "c" in (found.dtype.kind, value.dtype.kind) else "float64"
    found, value = found.astype(wide), value.astype(wide)
    is_same = (found == value) | (np.isnan(found) & np.isnan(value))
    # NaN or infinity on one side only is no small difference.
    with np.errstate(invalid="ignore"):
        apart = np.nan_to_num(np.abs(found - value), nan=np.inf, posinf=np.inf)
    return float(np.max(np.where(is_same, 0.0, apart), initial=0.0))
