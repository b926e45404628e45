"""What will be assigned to which variable, all of it checked before anything is."""

import keras
import numpy as np
from keras import ops as kops

from cvzoo.importers import axes

_FLOATS = {"bfloat16", "float16", "float32", "float64"}


class Plan:
    """New values of variables, and what is wrong or left over.

    Attributes:
        values: Pairs of a variable and its value.
        loaded: Name of a variable → names of the tensors that it is made of.
        missing: Names of the variables that tensors are missing for.
        used: Names of tensors.
        problems: Sentences about tensors that cannot be used.
    """

    def __init__(self):
        self.values, self.loaded = [], {}
        self.missing, self.used, self.problems = [], set(), []

    def add(self, prefix, tensors, path, moves):
        """Adds the moves from a torch layer to a Keras layer.

        Args:
            prefix: Name of the torch layer.
            tensors: Name → array.
            path: Name of the Keras layer.
            moves: As `table.moves` gives them.
        """
        for move in moves:
            names = [f"{path}/{variable.name}" for variable in move.variables]
            if not all(name in tensors for name in move.tensors):
                self.missing += names
                continue
            keys = [full_name(prefix, name) for name in _needed(move, tensors)]
            self.used.update(keys)
            problems = [
                f"'{full_name(prefix, name)}' for layer '{path}' {problem}."
                for name in _needed(move, tensors)
                if (problem := _problem(tensors[name], move, name))
            ]
            # Values are looked at only if there are no such problems.
            arrays = [] if problems else _convert(move, tensors)
            for name, variable, array in zip(
                names, move.variables, arrays, strict=bool(arrays)
            ):
                value = _cast(array, variable)
                if value is None:
                    problems.append(
                        f"{', '.join(map(repr, keys))} is too large for the "
                        f"{variable.dtype} of '{name}'."
                    )
                self.values.append((variable, value))
                self.loaded[name] = _sources(move, keys, names.index(name))
            self.problems += problems


def full_name(prefix, name):
    """Name of a tensor in the state dict."""
    return f"{prefix}.{name}" if prefix else name


def _needed(move, tensors):
    return [*move.tensors, *([move.factor] if move.factor in tensors else [])]


def _sources(move, keys, position):
    """Names of the tensors that one of the variables is made of."""
    count = len(move.tensors)
    own = [keys[position]] if count == len(move.variables) else keys[:count]
    return tuple([*own, *keys[count:]])


def _problem(array, move, name):
    """What is wrong with a tensor, if anything."""
    is_mask = name == "mask"
    numbers = array.dtype.kind in "bui" if is_mask else False
    if array.dtype.name not in _FLOATS and not numbers:
        return (
            f"must hold floating-point numbers. Received dtype {array.dtype}: use "
            "`tensor.float()` in torch"
        )
    expected = axes.shape(move.axes, move.sizes)
    if array.shape != expected:
        return (
            f"must have shape {expected}. Received shape {array.shape}: the layers "
            "differ, or belong to others; see `names`"
        )
    wrong = np.size(array) - np.count_nonzero(np.isfinite(_widened(array)))
    if wrong:
        return f"must be finite. {wrong} of its {array.size} numbers are not"
    if is_mask and _widened(array).min(initial=0) < 0:
        return "must not be negative"
    return move.check and move.check(_widened(array))


def _widened(array):
    return array if array.dtype == np.float64 else array.astype(np.float32)


def _convert(move, tensors):
    arrays = [_widened(tensors[name]) for name in move.tensors]
    if move.factor in tensors:
        arrays = [array * _widened(tensors[move.factor]) for array in arrays]
    arrays = [axes.rearrange(array, move.axes, move.sizes) for array in arrays]
    return arrays if move.convert is None else move.convert(arrays)


def _cast(array, variable):
    """A tensor of the variable's dtype; `None` if it would be infinite."""
    dtype = keras.backend.standardize_dtype(variable.dtype)
    with np.errstate(over="ignore"):
        array = array.astype(np.float64 if dtype == "float64" else np.float32)
    value = kops.cast(kops.convert_to_tensor(array), dtype)
    if not np.isfinite(kops.convert_to_numpy(kops.cast(value, array.dtype.name))).all():
        return None
    return value
