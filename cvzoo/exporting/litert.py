"""LiteRT files of built-in operations, zeros left out."""

import importlib.util
import re

from cvzoo import sparsity
from cvzoo.exporting import serving, splitting
from cvzoo.exporting.errors import ExportError
from cvzoo.exporting.signatures import LABELS

FILE = "model.tflite"
# Of the transforms it has RFFT2D alone.
_MISSING = {
    f"{inverse}{real}FFT{rank}"
    for inverse in ("", "I")
    for real in ("", "R")
    for rank in ("", "2D", "3D")
} - {"RFFT2D"}
# How the converter's messages name what it could not convert.
_NOT_BUILT_IN = re.compile(r"\btf\.([A-Z]\w+)")


def is_installed():
    """Whether LiteRT is there, which exports are compared in."""
    return importlib.util.find_spec("ai_edge_litert") is not None


def check_installed():
    """Raises where it is missing."""
    if not is_installed():
        raise ExportError(
            'LiteRT is needed to compare the export in: pip install "cvzoo[litert]"'
        )


def write(model, served, folder, quantize):
    """Writes `model.tflite`, and `labels.txt` where there are classes.

    Args:
        model: A Functional model.
        served: `signatures.Served`.
        folder: An empty folder.
        quantize: `None` or `"int8"`.
    """
    import tensorflow as tf

    try:
        parts = splitting.split(model, "litert")
    except ValueError as error:
        # Keras writes errors of layers in bold.
        told = re.sub(r"\x1b\[\d*m", "", str(error))
        raise ExportError(f"LiteRT cannot run this network: {told}") from error
    splitting.check(parts, model)
    _check_transforms(parts.serve.graph, model)
    prepared = [value.numpy() for value in parts.prepared()]

    def infer(inputs):
        return list(parts.serve(*inputs, *map(tf.constant, prepared)))

    module = tf.Module()
    module.scores = served.scores(infer)
    try:
        (folder / FILE).write_bytes(_converted(module, module.scores, quantize))
    except Exception as error:  # of many classes, some of them private
        unknown = set(_NOT_BUILT_IN.findall(str(error)))
        named = " or ".join(_named(parts.serve.graph, model, unknown))
        types = sorted({one.compute_dtype for one in sparsity.flat_layers(model)})
        raise ExportError(
            f"LiteRT has no built-in operation for {named or 'this network'}, as it is "
            f"used there, in {', '.join(types)}. Nothing was kept. Its converter says: "
            f"{str(error)[:500]}"
        ) from error
    if served.classes:
        (folder / LABELS).write_text(served.labels, encoding="utf-8")


def _check_transforms(graph, model):
    """Raises where there are transforms that LiteRT does not have, by layer."""
    if found := _named(graph, model, _MISSING):
        raise ExportError(
            f"LiteRT has no built-in operation for {', '.join(found)}. Nothing was "
            "kept."
        )


def _named(graph, model, operations):
    """Those of some operations that a graph has, and the layers that they are of."""
    found = {
        f"{node.op} of layer '{splitting.layer_of(node, model)}'"
        for node in serving.nodes(graph.as_graph_def())
        if node.op in operations
    }
    return sorted(found)


def _converted(module, concrete, quantize):
    import tensorflow as tf

    if quantize:
        # Its runtime refuses weights that are sparse and of 8 bits.
        return _optimized(module, concrete, [tf.lite.Optimize.DEFAULT])
    without_zeros = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    content = _optimized(module, concrete, without_zeros)
    return _optimized(module, concrete, []) if _has_cut_blocks(content) else content


def _has_cut_blocks(content):
    """Whether zeros are left out in blocks that do not divide an axis.

    The converter chooses blocks of 4 for some matrices, and then gives wrong numbers.
    """
    from ai_edge_litert.interpreter import Interpreter

    for tensor in Interpreter(model_content=content).get_tensor_details():
        for axis in tensor["sparsity_parameters"].get("block_map", ()):
            if tensor["shape"][axis] % 4:
                return True
    return False


def _optimized(module, concrete, optimizations):
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    converter.optimizations = optimizations
    return converter.convert()
