"""`multiply_adds`: how much a network computes for an example, counted in its graph."""

import contextlib
import math
import re

from cvzoo import graph
from cvzoo.exporting import splitting

_TRANSFORM = re.compile(r"I?R?FFT(2D|3D)?")
_RANKS = {None: 1, "2D": 2, "3D": 3}
# Operations with such names that are not counted below are not known, rather than 0.
_LIKE_COUNTED = re.compile("MatMul|Conv|FFT|RNN")


class _Unknown(Exception):
    """Of an operation whose number cannot be told."""


def multiply_adds(model, served):
    """Multiply-adds of a model's inference.

    Those of matrix products, convolutions and transforms, and of elementwise products
    of complex tensors, four each. A transform of n points is 2.5 n log₂ n of them (5 n
    log₂ n floating-point operations), a real one half of that. Other elementwise
    operations are not counted, nor is what depends on weights alone, which exports
    compute once.

    Args:
        model: A Keras model of plain layers.
        served: Its `signatures.Served`, by which open sizes are filled in.

    Returns:
        Their number for one example, products with zeros included; `None` if it is not
        known, as that of loops is not.
    """
    model = graph.functional(model)
    shapes = [shape for shape, _ in served.shapes(1).values()]
    with _without_functions():
        serve = splitting.split(model, "tf_saved_model", shapes).serve
    computed = splitting.reached(serve.graph, serve.inputs[: len(shapes)])
    try:
        return round(
            sum(
                _of(operation)
                for operation in serve.graph.get_operations()
                if any(one.ref() in computed for one in operation.outputs)
            )
        )
    except _Unknown:
        return None


@contextlib.contextmanager
def _without_functions():
    """Within, what `tf.function`s do is traced as part of what calls them."""
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _of(operation):
    """Multiply-adds of one operation; raises `_Unknown`."""
    attributes = operation.node_def.attr.values()
    if any(one.HasField("func") or one.list.func for one in attributes):
        raise _Unknown  # a loop or a branch
    count = _COUNTS.get(operation.type)
    transform = _TRANSFORM.fullmatch(operation.type)
    is_complex = operation.outputs[0].dtype.is_complex
    if operation.type == "Mul" and is_complex:
        count = _elementwise
    if not (count or transform):
        if _LIKE_COUNTED.search(operation.type):
            raise _Unknown
        return 0
    tensors = [*operation.inputs, *operation.outputs]
    if not all(one.shape.is_fully_defined() for one in tensors):
        raise _Unknown
    *inputs, output = (one.shape.as_list() for one in tensors)
    if transform:
        return _transform(operation, output, _RANKS[transform[1]])
    return count(operation, inputs, output) * (4 if is_complex else 1)


def _elementwise(operation, inputs, output):
    return math.prod(output)


def _matrix_product(operation, inputs, output):
    is_plain = operation.type == "MatMul"
    is_transposed = operation.get_attr("transpose_a" if is_plain else "adj_x")
    return math.prod(output) * inputs[0][-2 if is_transposed else -1]


def _einsum(operation, inputs, output):
    """Sizes of all labels, multiplied; none of one tensor, which is only summed."""
    if len(inputs) == 1:
        return 0
    terms = operation.get_attr("equation").decode().partition("->")[0].split(",")
    sizes = {}
    for term, shape in zip(terms, inputs, strict=True):
        first, _, last = term.partition("...")
        others = range(len(shape) - len(first) - len(last), 0, -1)  # of the ellipsis
        for label, size in zip([*first, *others, *last], shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
    return math.prod(sizes.values())


def _convolution(operation, inputs, output):
    return math.prod(output) * math.prod(inputs[1][:-1])


def _depthwise(operation, inputs, output):
    return math.prod(output) * math.prod(inputs[1][:-2])


def _transposed(operation, inputs, output):
    _, kernel, given = inputs
    return math.prod(given) * math.prod(kernel[:-1])


def _transform(operation, output, rank):
    import tensorflow as tf

    size = output[-rank:]
    if operation.type.startswith("R"):
        size = tf.get_static_value(operation.inputs[1])
        if size is None:
            raise _Unknown
    points = math.prod(int(one) for one in size)
    share = 1.25 if "R" in operation.type else 2.5
    return math.prod(output[:-rank]) * share * points * math.log2(max(points, 1))


_COUNTS = {
    **dict.fromkeys(("MatMul", "BatchMatMul"), _matrix_product),
    **dict.fromkeys(("BatchMatMulV2", "BatchMatMulV3"), _matrix_product),
    "Einsum": _einsum,
    **dict.fromkeys(("Conv2D", "Conv3D"), _convolution),
    "DepthwiseConv2dNative": _depthwise,
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInputV2"), _transposed),
}
