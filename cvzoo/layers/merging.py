"""Layers that merge several pairs: residual, dense and gating connections."""

import functools

import keras
from keras import ops as kops

from cvzoo import ops


class PairMerge(keras.layers.Layer):
    """Base of layers on a list of pairs.

    A subclass sets `stock`, the layer of Keras whose rules for shapes and masks hold
    for each part. By default that layer also merges the parts.
    """

    fewest = 1

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def __call__(self, inputs, *args, **kwargs):
        receiver = f"{type(self).__name__} '{self.name}'"
        is_list = isinstance(inputs, (tuple, list)) and len(inputs) >= self.fewest
        if not is_list or not all(isinstance(pair, (tuple, list)) for pair in inputs):
            raise ValueError(
                f"{receiver} takes a list of pairs, `[(real, imag), ...]`, at least "
                f"{self.fewest} of them. Received {_describe(inputs)}. One pair is no "
                "list of pairs, and `z1 + z2` joins two pairs into a tuple of four."
            )
        pairs = [
            ops.check_pair(pair, f"{receiver} (input {number})")
            for number, pair in enumerate(inputs)
        ]
        return super().__call__(pairs, *args, **kwargs)

    def build(self, input_shape):
        # Keras' own check of the shapes.
        self.stock.build(_real_shapes(input_shape))
        self.built = True

    def call(self, inputs):
        real, imag = zip(*inputs, strict=True)
        return self.stock(list(real)), self.stock(list(imag))

    def compute_mask(self, inputs, previous_mask):
        if previous_mask is None:
            return None
        real = [part for part, _ in inputs]
        mask = self.stock.compute_mask(real, [mask for mask, _ in previous_mask])
        return None if mask is None else (mask, mask)

    def compute_output_shape(self, input_shape):
        part = tuple(self.stock.compute_output_shape(_real_shapes(input_shape)))
        return part, part


def _describe(inputs):
    if not isinstance(inputs, (tuple, list)):
        return f"a {type(inputs).__name__}"
    kinds = ", ".join(type(one).__name__ for one in inputs)
    return f"a {type(inputs).__name__} of {len(inputs)}: {kinds}"


def _real_shapes(input_shape):
    """Shapes of the real parts; a saved model gives nested lists."""
    return [tuple(real) for real, _ in input_shape]


@keras.saving.register_keras_serializable("cvzoo")
class ComplexAdd(PairMerge):
    """Sum of pairs, as in a residual connection: `ComplexAdd()([shortcut, z])`.

    Shapes are broadcast, and masks joined, as in `keras.layers.Add`.

    Call arguments:
        inputs: List of pairs.

    Returns:
        Pair.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stock = keras.layers.Add(dtype=self.dtype_policy)


@keras.saving.register_keras_serializable("cvzoo")
class ComplexConcatenate(PairMerge):
    """Pairs side by side along one axis, with masks as in `keras.layers.Concatenate`.

    Args:
        axis: The axis. Defaults to the last.

    Call arguments:
        inputs: List of pairs of equal shapes, but for that axis.

    Returns:
        Pair.
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self.stock = keras.layers.Concatenate(axis=axis, dtype=self.dtype_policy)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


@keras.saving.register_keras_serializable("cvzoo")
class ComplexMultiply(PairMerge):
    """Elementwise product of pairs, as in a complex gate.

    Shapes are broadcast, and masks joined, as in `keras.layers.Multiply`.

    Args:
        conjugate: With `True` the first of exactly two pairs is multiplied by the
            conjugate of the second, `z₁ z̄₂`: a common phase makes no difference.

    Call arguments:
        inputs: List of at least two pairs.

    Returns:
        Pair.
    """

    fewest = 2

    def __init__(self, conjugate=False, **kwargs):
        super().__init__(**kwargs)
        self.conjugate = conjugate
        self.stock = keras.layers.Multiply(dtype=self.dtype_policy)

    def build(self, input_shape):
        if self.conjugate and len(input_shape) != 2:
            raise ValueError(
                f"ComplexMultiply '{self.name}' with conjugate=True takes exactly two "
                f"pairs. Received {len(input_shape)}."
            )
        super().build(input_shape)

    def call(self, inputs):
        rank = max(len(real.shape) for real, _ in inputs)
        first, *others = (
            tuple(_with_rank(part, rank) for part in pair) for pair in inputs
        )
        if self.conjugate:
            real, imag = others[0]
            return ops.complex_multiply(first, (real, -imag))
        return functools.reduce(ops.complex_multiply, others, first)

    def get_config(self):
        return {**super().get_config(), "conjugate": self.conjugate}


def _with_rank(part, rank):
    """Keras' merge layers put the missing axes after the batch."""
    for _ in range(rank - len(part.shape)):
        part = kops.expand_dims(part, axis=1)
    return part
