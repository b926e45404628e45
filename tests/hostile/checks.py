"""Which check of the loader has refused a preset, and which checks there are.

A check is a `raise` in a module that `from_preset` or `cvzoo info` runs. Its name is
that of module and function, with a number where the function has several.
"""

import ast
import functools
import importlib
import traceback
from pathlib import Path

MODULES = (
    *("strict_json", "preset_files", "catalogue", "manifest_checks", "manifests"),
    *("containers", "packing", "coding", "first_format", "weights", "architecture"),
    *("architecture_checks", "compiling", "stored_examples", "presets", "heads"),
    "commands.preset",
)
# Those which `from_preset(folder)` does not come to.
OF_OTHERS = ("heads.", "commands.preset.")
# Functions that check what a user gives, or is about to save.
NOT_OF_FILES = {
    *("architecture.describe", "architecture._describe_input"),
    *("architecture._describe_layer", "packing._encode", "weights.named_layers"),
    *("stored_examples.checked", "stored_examples.examples", "preset_files._plain"),
    "compiling.settings_of",
}
# What comes from other checks, or from a disk that does not work, is no check itself.
PASSED_ON = {
    "ContainerError",
    "PackingError",
    "ManifestError",
    "_WHAT_A_BAD_FILE_RAISES",
    "OSError",
}
# Checks that no file can fail, and why.
OUT_OF_REACH = {
    "catalogue.find 2": "a recipe's name, and no file",
    "catalogue.find 3": "an unknown name, and no file",
    "presets.from_preset 1": "arguments, and no file",
}


@functools.cache
def _raises():
    """File → `(first line, last line, name)` of each check."""
    found = {}
    for module in MODULES:
        path = importlib.import_module(f"cvzoo.{module}").__file__
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
        rows = []
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                name = f"{module}.{function.name}"
                rows += [(*lines, name) for lines in _lines(function)]
        names = [name for *_, name in rows]
        counted = {}
        found[path] = []
        for first, last, name in sorted(rows):
            counted[name] = counted.get(name, 0) + 1
            numbered = f"{name} {counted[name]}" if names.count(name) > 1 else name
            if name not in NOT_OF_FILES:
                found[path].append((first, last, numbered))
    return found


def _lines(function):
    """Of each check in a function, less those of functions nested in it."""
    left_out = {
        node
        for inner in ast.walk(function)
        if (isinstance(inner, ast.FunctionDef) and inner is not function)
        or (isinstance(inner, ast.ExceptHandler) and _name(inner.type) in PASSED_ON)
        for node in ast.walk(inner)
    }
    return [
        (node.lineno, node.end_lineno)
        for node in ast.walk(function)
        if isinstance(node, ast.Raise) and node.exc is not None and node not in left_out
    ]


def _name(expression):
    """Last part of a dotted name."""
    return ast.unparse(expression).rpartition(".")[2] if expression else ""


def names():
    """Names of all checks that a file can fail."""
    rows = [row for rows in _raises().values() for row in rows]
    return {name for *_, name in rows} - set(OUT_OF_REACH)


def check_of(error):
    """Name of the check that raised an error, or what led to it."""
    found = "another"
    while error is not None:
        frames = list(traceback.walk_tb(error.__traceback__))
        frame, line = frames[-1]
        for first, last, name in _raises().get(frame.f_code.co_filename, ()):
            if first <= line <= last:
                found = name
        error = error.__cause__ or error.__context__
    return found
