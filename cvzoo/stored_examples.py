"""Example inputs that presets keep, with their outputs."""

import numpy as np

from cvzoo import catalogue
from cvzoo.catalogue import PresetError

# Outputs of stored examples on another machine differ by rounding only: by this much
# of the largest of them.
TOLERANCE = 1e-4


def examples(name):
    """Example inputs that a preset keeps, to try it on.

    Args:
        name: As for `from_preset`.

    Returns:
        float32 array `(examples, …)`, or a list of one for each input of the model.

    Raises:
        PresetError: There is no such preset, or it keeps no examples.
    """
    stored = catalogue.read_manifest(catalogue.find(name))["examples"]
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
    outputs = model.predict(inputs, verbose=0)
    largest = np.max(np.abs(outputs - expected))
    allowed = TOLERANCE * (np.max(np.abs(expected)) or 1)
    if not largest <= allowed:
        raise PresetError(
            f"outputs on the stored examples differ by {largest:.2g}; at most "
            f"{allowed:.2g} was expected."
        )
