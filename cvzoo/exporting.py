"""`export`: files that are served without cvzoo."""

import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import ops as kops

from cvzoo import folders, graph, sparsity

FORMATS = ("tf_saved_model",)
TOLERANCE = 1e-5
# Sizes at which the result is compared with the model.
BATCH_SIZES = (1, 5)
_RUNNER = Path(__file__).with_name("run_saved_model.py")


class ExportError(RuntimeError):
    """An export that cannot be served, or gives other outputs than the model."""


def export(model, path, format="tf_saved_model", tolerance=TOLERANCE):
    """Writes a SavedModel with one copy of the weights, and checks it.

    Inputs and outputs are named as the model's; the batch size is free. The result is
    loaded in a fresh process that imports tensorflow only and compared with the model
    on random inputs, at batch sizes 1 and 5, before it gets its name.

    Args:
        model: A Functional or Sequential Keras model. Sparsifiers and masks are left
            out.
        path: Folder to make. It must not exist.
        format: `"tf_saved_model"`.
        tolerance: Largest difference allowed between an output and the model's,
            relative to the largest output if that is above 1.

    Returns:
        Dictionary: `max_abs_error`, and `bytes` of the folder.

    Raises:
        ExportError: The outputs differ, or the fresh process fails. Nothing is left.
    """
    if format not in FORMATS:
        raise ValueError(f"`format` must be one of {FORMATS}. Received: {format!r}")
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "A SavedModel is written with the TensorFlow backend of Keras. "
            f"KERAS_BACKEND is {keras.backend.backend()!r}; set it to 'tensorflow'."
        )
    path = Path(path)
    if path.exists():
        raise ValueError(f"{path} exists. Give another folder, or remove it first.")
    plain = sparsity.without_sparsifiers(graph.functional(model))
    _check_names(plain)

    def write(aside):
        _write_saved_model(plain, aside)
        error = _largest_error(plain, aside, tolerance)
        size = sum(file.stat().st_size for file in aside.rglob("*") if file.is_file())
        return {"max_abs_error": error, "bytes": size}

    return folders.write(path, write)


def run_saved_model(folder, batches):
    """Outputs of a SavedModel, from a fresh process that never imports cvzoo.

    Args:
        folder: The SavedModel.
        batches: List of dictionaries, name → numpy array.

    Returns:
        List of dictionaries, name → numpy array.
    """
    with tempfile.TemporaryDirectory() as scratch:
        inputs_file, outputs_file = Path(scratch, "in.npz"), Path(scratch, "out.npz")
        named = {
            f"{number}/{name}": value
            for number, inputs in enumerate(batches)
            for name, value in inputs.items()
        }
        np.savez(inputs_file, **named)
        command = [sys.executable, "-c", _RUNNER.read_text(encoding="utf-8")]
        command += [str(folder), str(inputs_file), str(outputs_file)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise ExportError(
                f"The SavedModel {folder} does not run in a process of its own:\n"
                f"{done.stderr[-2000:]}"
            )
        outputs = [{} for _ in batches]
        with np.load(outputs_file) as stored:
            for key in stored.files:
                number, _, name = key.partition("/")
                outputs[int(number)][name] = stored[key]
        return outputs


def _check_names(model):
    names = [tensor.name for tensor in model.inputs]
    if len(set(model.output_names)) < len(model.output_names) or not all(
        name.isidentifier() for name in names
    ):
        raise ExportError(
            "Inputs and outputs are served under their names: input names must be "
            "identifiers, and each output needs a layer of its own. Received inputs "
            f"{names}, outputs {model.output_names}."
        )


def _write_saved_model(model, folder):
    import tensorflow as tf

    def serve(**inputs):
        values = [inputs[tensor.name] for tensor in model.inputs]
        outputs = model(values[0] if len(values) == 1 else values, training=False)
        return dict(zip(model.output_names, keras.tree.flatten(outputs), strict=True))

    # A module that holds the variables themselves: `model.export` keeps them twice,
    # and a fitted model would bring its optimizer along.
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    signature = {
        tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, tensor.name)
        for tensor in model.inputs
    }
    module.serve = tf.function(serve, autograph=False)
    concrete = module.serve.get_concrete_function(**signature)
    random = [op.type for op in concrete.graph.get_operations() if "Random" in op.type]
    if random:
        raise ExportError(f"The exported graph would hold random operations: {random}")
    tf.saved_model.save(module, str(folder), signatures={"serving_default": concrete})


def _largest_error(model, folder, tolerance):
    generator = np.random.default_rng(0)
    batches = [
        {tensor.name: _random_input(generator, tensor, size) for tensor in model.inputs}
        for size in BATCH_SIZES
    ]
    largest = 0.0
    for inputs, served in zip(batches, run_saved_model(folder, batches), strict=True):
        values = list(inputs.values())
        expected = model(values[0] if len(values) == 1 else values, training=False)
        for name, value in zip(
            model.output_names, keras.tree.flatten(expected), strict=True
        ):
            value = kops.convert_to_numpy(value)
            error = float(np.max(np.abs(served[name] - value)))
            scale = max(1.0, float(np.max(np.abs(value))))
            if not error <= tolerance * scale:
                raise ExportError(
                    f"Output '{name}' of the SavedModel differs from the model's by "
                    f"{error:.2g}; at most {tolerance * scale:.2g} is allowed. Nothing "
                    "was kept."
                )
            largest = max(largest, error)
    return largest


def _random_input(generator, tensor, batch):
    shape = (batch, *(size or 7 for size in tensor.shape[1:]))
    if "int" in tensor.dtype:
        return generator.integers(0, 100, size=shape).astype(tensor.dtype)
    values = generator.uniform(size=shape)
    if "complex" in tensor.dtype:
        values = values + 1j * generator.uniform(size=shape)
    return values.astype(tensor.dtype)
