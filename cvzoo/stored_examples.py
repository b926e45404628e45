"""Example inputs that presets keep, with their outputs."""

import math

import keras
import numpy as np

from cvzoo import catalogue, graph, preset_files
from cvzoo.preset_files import PresetError

# Outputs of stored examples on another machine differ by rounding only: by this much
# of the largest of them.
TOLERANCE = 1e-4
# What all layers give together for the examples that are run at once, 256 MiB.
MOST_NUMBERS = 2**26


def examples(name):
    """Example inputs that a preset keeps, to try it on.

    Args:
        name: As for `from_preset`.

    Returns:
        float32 array `(examples, …)`, or a list of one for each input of the model.

    Raises:
        PresetError: There is no such preset, or it keeps no examples.
    """
    stored = preset_files.read_manifest(catalogue.find(name))["examples"]
    if not stored:
        raise PresetError(f"Preset {name} keeps no examples.")
    inputs = inputs_of(stored)
    return inputs if len(inputs) > 1 else inputs[0]


def inputs_of(stored):
    """List of an array for each input, from the manifest's `examples`."""
    inputs = stored["inputs"]
    return list(map(shaped, inputs if isinstance(inputs, list) else [inputs]))


def checked(model, examples):
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
    return typed(model, given)


def typed(model, arrays):
    """Arrays as a model's inputs take them; the array where there is one input."""
    typed = [
        np.asarray(one, tensor.dtype if "int" in tensor.dtype else np.float32)
        for one, tensor in zip(arrays, model.inputs, strict=True)
    ]
    return typed if len(typed) > 1 else typed[0]


def flat(values):
    """An array as the manifest keeps it."""
    values = np.asarray(values, np.float32)
    # The shortest decimals that give back the float32.
    shortest = [float(str(value)) for value in values.ravel()]
    return {"shape": list(values.shape), "values": shortest}


def shaped(stored):
    """The array that `flat` was given."""
    return np.asarray(stored["values"], np.float32).reshape(stored["shape"])


def verify(model, stored):
    """Raises unless a model gives the outputs that are stored with the examples.

    Args:
        model: A preset's model.
        stored: The manifest's `examples`.
    """
    if not stored:
        raise PresetError("it stores no examples to verify.")
    inputs, expected = typed(model, inputs_of(stored)), shaped(stored["outputs"])
    outputs = run(model, inputs)
    largest = np.max(np.abs(outputs - expected))
    allowed = TOLERANCE * (np.max(np.abs(expected)) or 1)
    if not largest <= allowed:
        raise PresetError(
            f"outputs on the stored examples differ by {largest:.2g}; at most "
            f"{allowed:.2g} was expected."
        )


def run(model, inputs):
    """A model's outputs on examples, of which as many are run at once as memory allows.

    Args:
        model: A preset's model.
        inputs: Result of `typed`.

    Raises:
        PresetError: One example takes too much memory, or the model cannot be run.
    """
    try:
        numbers = _numbers(model, inputs)
        if numbers <= MOST_NUMBERS:
            batch = min(32, MOST_NUMBERS // max(numbers, 1))
            return model.predict(inputs, batch_size=batch, verbose=0)
    except Exception as error:  # of Keras and TensorFlow, which are of many classes
        raise PresetError(
            "the model cannot be run on the stored examples: "
            f"{type(error).__name__}, {error!s:.500}"
        ) from error
    raise PresetError(
        f"the layers give {numbers} numbers together for a stored example; at most "
        f"{MOST_NUMBERS} are run. Keep smaller examples, or none."
    )


def _numbers(model, inputs):
    """How many numbers all layers give together for one example."""
    plan = graph.read(model)
    arrays = inputs if isinstance(inputs, list) else [inputs]
    values = {
        name: keras.KerasTensor((1, *array.shape[1:]), tensor.dtype)
        for name, tensor, array in zip(plan.inputs, model.inputs, arrays, strict=True)
    }
    layers = {
        name: layer.compute_output_spec
        for name, layer in plan.layers.items()
        if name not in values
    }
    found = graph.run(plan, {**layers, **values}).values()
    return sum(math.prod(size or 1 for size in one.shape) for one in found)
