"""What the entries of a preset's manifest may be, apart from each other and together.

Only Python's own types are known here: neither files nor models.
"""

import math
import re

LARGEST_SHAPE = 16
LARGEST_SIZE = 2**31
LARGEST_COUNT = 2**53
LARGEST_FLOAT32 = 3.4028235e38
# A part of an address, and of a file's name on every system.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")
_SHA256 = re.compile("[0-9a-f]{64}")
# Type of an input → whether a number is of it. Of complex ones no examples are kept.
_NUMBERS_OF = {
    "float32": lambda value: True,
    "complex64": lambda value: False,
    "int32": lambda value: value == int(value) and -(2**31) <= value < 2**31,
    "uint8": lambda value: value == int(value) and 0 <= value < 2**8,
}
_COUNTS = {"parameters", "nonzero", "baseline_parameters", "compression"}
_COUNTS_OF_ROUNDED = {"values", "change_of_outputs"}


class ManifestError(ValueError):
    """A manifest that contradicts itself, or holds what no preset has."""


def check(manifest):
    """Raises unless each entry is as `save_preset` writes it, and they agree.

    What is for people only, such as scores, may be anything.
    """
    check_name(manifest["name"])
    for library, version in manifest["versions"].items():
        _check_text(f"version of {library!r:.100}", version)
    for name, stated in manifest["files"].items():
        _check_file(name, stated)
    for name, stated in manifest["tensors"].items():
        _check_tensor(name, stated)
    _check_counts(manifest["counts"])
    for name in manifest["classes"]:
        is_line = isinstance(name, str) and "\n" not in name
        if not is_line and not is_integer(name):
            raise ManifestError(
                f"`classes` must be texts of one line. Found: {name!r:.200}"
            )
    check_examples(manifest["examples"])


def check_name(name):
    """Raises unless a preset can have a name."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ManifestError(
            "the `name` of a preset must be letters from A to z, digits, `_`, `-` and "
            f"`.`, the first neither of the last two. Found: {name!r:.300}"
        )


def check_examples(examples):
    """Raises unless stored examples are nothing, or arrays of finite numbers."""
    if not examples:
        return
    if sorted(examples) != ["inputs", "outputs"]:
        raise ManifestError(
            "`examples` must have the keys ['inputs', 'outputs']. Found: "
            f"{sorted(examples)!r:.200}"
        )
    stored_inputs = input_list(examples)
    if not stored_inputs:
        raise ManifestError("`examples` must have an array for each input. Found: []")
    for stored in (*stored_inputs, examples["outputs"]):
        _check_array(stored)


def check_examples_fit(examples, inputs, outputs):
    """Raises unless stored examples are what a model takes and gives.

    Args:
        examples: Those of a manifest.
        inputs: The model's inputs, with shape and dtype.
        outputs: Its outputs, with shapes.
    """
    if not examples:
        return
    stored = input_list(examples)
    shapes = [tuple(one["shape"]) for one in stored]
    found = tuple(examples["outputs"]["shape"])
    batch = shapes[0][:1]
    expected = [(*batch, *one.shape[1:]) for one in inputs]
    # Outputs of several are stacked.
    wanted = (*batch, *outputs[0].shape[1:])
    wanted = (len(outputs), *wanted) if len(outputs) > 1 else wanted
    if (
        len(shapes) != len(expected)
        or not all(map(_fits, shapes, expected))
        or not _fits(found, wanted)
    ):
        raise ManifestError(
            f"the stored examples have inputs of {shapes} and outputs of {found}; "
            f"the model takes {expected} and gives {wanted}"
        )
    for one, tensor in zip(stored, inputs, strict=True):
        if not all(map(_NUMBERS_OF[tensor.dtype], one["values"])):
            raise ManifestError(
                f"stored examples hold numbers that no {tensor.dtype} is"
            )


def input_list(examples):
    """The stored array of each input."""
    stored = examples["inputs"]
    return stored if isinstance(stored, list) else [stored]


def largest_weights_file(tensors):
    """Bytes that a file of some tensors can have at most.

    Each number as it is takes four; the rest is for headers.
    """
    size = sum(_size(stated) for stated in tensors.values())
    return 4 * size + sum(2**10 + 40 * len(name) for name in tensors) + 2**12


def _check_text(what, value):
    # A path is longer than 255 characters only where it is meant to break something.
    if not isinstance(value, str) or not 0 < len(value) < 256 or "\n" in value:
        raise ManifestError(f"the {what} must be a short text. Found: {value!r:.300}")


def _check_file(name, stated):
    if (
        not isinstance(stated, dict)
        or sorted(stated) != ["bytes", "sha256"]
        or not is_integer(stated["bytes"])
        or not isinstance(stated["sha256"], str)
        or not _SHA256.fullmatch(stated["sha256"])
    ):
        raise ManifestError(
            f"file {name!r:.100} must have `bytes` and `sha256`. Found: {stated!r:.300}"
        )


def _check_tensor(name, stated):
    if (
        not isinstance(stated, dict)
        or sorted(stated) != ["parts", "shape"]
        or not _is_shape(stated["shape"])
        or not is_integer(stated["parts"])
        or stated["parts"] not in (1, 2)
    ):
        raise ManifestError(
            f"tensor {name!r:.100} must have a `shape` and 1 or 2 `parts`. Found: "
            f"{stated!r:.300}"
        )


def _check_counts(counts):
    keys = set(counts)
    if not _COUNTS <= keys <= _COUNTS | _COUNTS_OF_ROUNDED:
        raise ManifestError(
            f"`counts` must have the keys {sorted(_COUNTS)}, and those of rounded "
            f"weights {sorted(_COUNTS_OF_ROUNDED)}. Found: {sorted(counts)!r:.300}"
        )
    whole = ("parameters", "nonzero", "baseline_parameters")
    if not all(is_integer(counts[key]) for key in whole) or not is_number(
        counts["compression"]
    ):
        raise ManifestError(f"`counts` must be numbers. Found: {counts!r:.300}")
    parameters, nonzero, baseline = (counts[key] for key in whole)
    if nonzero > parameters or not math.isclose(
        counts["compression"], baseline / max(1, nonzero)
    ):
        raise ManifestError(f"`counts` do not add up: {counts!r:.300}")
    change = counts.get("change_of_outputs", {"largest": 0, "relative": 0})
    if (
        not isinstance(counts.get("values", ""), str)
        or not isinstance(change, dict)
        or sorted(change) != ["largest", "relative"]
        or not all(map(is_number, change.values()))
    ):
        raise ManifestError(
            f"`counts` of rounded weights must be a text and a change. Found: "
            f"{counts!r:.300}"
        )


def _check_array(stored):
    if (
        not isinstance(stored, dict)
        or sorted(stored) != ["shape", "values"]
        or not _is_shape(stored["shape"])
        or not isinstance(stored["values"], list)
        or math.prod(stored["shape"]) != len(stored["values"])
        or not all(map(is_number, stored["values"]))
    ):
        raise ManifestError(
            "a stored example must have a `shape`, and as many finite `values`. "
            f"Found: {stored!r:.300}"
        )


def _fits(shape, expected):
    return len(shape) == len(expected) and all(
        wanted in (None, size) for size, wanted in zip(shape, expected, strict=True)
    )


def _size(stated):
    return stated["parts"] * math.prod(stated["shape"])


def _is_shape(value):
    return (
        isinstance(value, list)
        and len(value) <= LARGEST_SHAPE
        and all(is_integer(size) and 0 < size <= LARGEST_SIZE for size in value)
    )


def is_integer(value):
    return type(value) is int and 0 <= value <= LARGEST_COUNT


def is_number(value):
    return type(value) in (int, float) and abs(value) <= LARGEST_FLOAT32
