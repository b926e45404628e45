"""Exports are run where they will be, and compared with the model."""

import contextlib
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
        tolerance: Largest difference allowed, relative to the largest output, or to
            `SMALLEST_SCALE` if that is above it.
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
            largest_output = np.max(np.abs(np.nan_to_num(value)), initial=0.0)
            scale = max(SMALLEST_SCALE, float(largest_output))
            if not error <= tolerance * scale:
                raise ExportError(
                    f"Output '{name}' of the export differs from the model's by "
                    f"{error:.2g}; at most {tolerance * scale:.2g} is allowed. Nothing "
                    "was kept."
                )
            largest = max(largest, error)
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
        outputs: For each batch, name → numpy array.
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
            f"{number}/{name}": value
            for number, inputs in enumerate(batches)
            for name, value in inputs.items()
        }
        np.savez(inputs_file, **named)
        command = [sys.executable, "-c", _RUNNER.read_text(encoding="utf-8"), format]
        command += [str(folder), str(inputs_file), str(outputs_file), str(calls)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_MOST_SECONDS
        )
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
