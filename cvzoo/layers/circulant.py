"""Circulant and diagonal-circulant layers, real and complex."""

import keras
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers.initializers import ComplexSigns, RandomSigns
from cvzoo.layers.linear import check_choice
from cvzoo.layers.structured.base import (
    BIAS_DEVIATION,
    PADDINGS,
    ComplexStructuredDense,
    StructuredBase,
    StructuredDense,
    multiplied,
    padded,
    serialized,
)
from cvzoo.ops.shapes import leading

RECTANGULAR = ("pad", "blocks")
ORDERS = ("circulant_first", "diagonal_first")


class CirculantBase(StructuredBase):
    """Mixin of all of them. Values are tuples of one part, or two of a complex number.

    A class gives `field`, and has a real or a complex base after this one.
    """

    bias_deviation = BIAS_DEVIATION
    has_diagonal = False

    def __init__(
        self,
        units,
        *,
        rectangular="pad",
        padding="right",
        transpose=False,
        circulant_initializer=None,
        regularizer=None,
        **kwargs,
    ):
        super().__init__(units, **kwargs)
        self.rectangular = check_choice("rectangular", rectangular, RECTANGULAR)
        self.padding = check_choice("padding", padding, PADDINGS)
        self.transpose = transpose
        self.circulant_initializer = self.get_initializer(circulant_initializer)
        self.regularizer = keras.regularizers.get(regularizer)

    @property
    def circulant_parts(self):
        return self.parts("circulant")

    def build_product(self):
        if self.rectangular == "blocks":
            self.size, self.blocks = self.inputs, -(-self.units // self.inputs)
        else:
            self.size, self.blocks = max(self.inputs, self.units), 1
        stacked = (self.blocks,) if self.rectangular == "blocks" else ()
        # Paper 1, §5.
        initializer = self.circulant_initializer or self.normal(2 / self.size)
        self.add_parts("circulant", (*stacked, self.size), initializer)

    def product(self, inputs):
        parts = inputs if self.field == "complex" else (inputs,)
        if self.rectangular == "blocks":
            outputs = self._in_blocks(parts)
        else:
            outputs = self._padded(parts)
        return outputs if self.field == "complex" else outputs[0]

    def _padded(self, parts):
        parts = self._scaled(parts, first=True)
        parts = tuple(padded(part, self.size, self.padding) for part in parts)
        parts = self._convolved(parts)
        parts = tuple(part[..., : self.units] for part in parts)
        return self._scaled(parts, first=False)

    def _in_blocks(self, parts):
        """Square blocks of the same inputs, one after the other, cut to the units."""
        repeats = [1] * (len(parts[0].shape) - 1) + [self.blocks, 1]
        parts = tuple(kops.tile(kops.expand_dims(part, -2), repeats) for part in parts)
        parts = self._convolved(self._scaled(parts, first=True))
        parts = self._scaled(parts, first=False)
        shape = *leading(parts[0])[:-1], self.blocks * self.size
        return tuple(kops.reshape(part, shape)[..., : self.units] for part in parts)

    def _convolved(self, parts):
        kernel = self.circulant_parts
        if len(parts) == 1:
            return (ops.circulant_product(parts[0], kernel[0], self.transpose),)
        return ops.complex_circulant_product(parts, kernel, self.transpose)

    def _scaled(self, parts, first):
        """Times the diagonal, if that comes first, or does not."""
        if not self.has_diagonal or first != (self.order == "diagonal_first"):
            return parts
        dtype = parts[0].dtype
        diagonal = tuple(kops.cast(part, dtype) for part in self.diagonal_parts)
        return multiplied(parts, diagonal)

    def get_config(self):
        return {
            **super().get_config(),
            "rectangular": self.rectangular,
            "padding": self.padding,
            "transpose": self.transpose,
            "circulant_initializer": serialized(self.circulant_initializer),
            "regularizer": keras.regularizers.serialize(self.regularizer),
        }


class DiagonalBase(CirculantBase):
    """Mixin of those that have a diagonal too."""

    has_diagonal = True

    def __init__(
        self,
        units,
        *,
        order="circulant_first",
        diagonal_initializer=None,
        trainable_diagonal=True,
        **kwargs,
    ):
        super().__init__(units, **kwargs)
        self.order = check_choice("order", order, ORDERS)
        self.trainable_diagonal = trainable_diagonal
        signs = ComplexSigns() if self.field == "complex" else RandomSigns()
        self.diagonal_initializer = self.get_initializer(diagonal_initializer or signs)

    @property
    def diagonal_parts(self):
        return self.parts("diagonal")

    def build_product(self):
        super().build_product()
        shape = (self.blocks, self.size)
        if self.rectangular == "pad":
            is_first = self.order == "diagonal_first"
            shape = (self.inputs if is_first else self.units,)
        self.add_parts(
            "diagonal", shape, self.diagonal_initializer, self.trainable_diagonal
        )

    def get_config(self):
        return {
            **super().get_config(),
            "order": self.order,
            "diagonal_initializer": serialized(self.diagonal_initializer),
            "trainable_diagonal": self.trainable_diagonal,
        }


@keras.saving.register_keras_serializable("cvzoo")
class Circulant(CirculantBase, StructuredDense):
    """Dense layer whose matrix is circulant, `activation(circ(c) x + b)`.

    With n = max(inputs, units), inputs are padded with zeros to n and outputs cut: n
    numbers, and the bias. Any n will do; primes take about twice the time.

    Args:
        units: Number of outputs.
        activation: Name of, or, an activation.
        use_bias: Whether a bias is added.
        rectangular: What is done where inputs and units differ in number. `"pad"`: see
            above. `"blocks"`: square matrices of the size of the inputs, as many as it
            takes, whose outputs are put side by side and cut to `units`, as in the
            frame-level networks of paper 1.
        padding: `"right"`: zeros come after the inputs; `"left"`: before them, as in
            the TensorFlow code of paper 1. Both can express the same.
        transpose: Whether the matrix is transposed, as in the frame-level code. Both
            can express the same.
        circulant_initializer: Defaults to normal with variance 2/n (paper 1, §5).
        bias_initializer: Defaults to normal with deviation 0.01, that of its code.
        regularizer: Of all weights of the layer, the bias too, as in that code.

    Call arguments:
        inputs: Tensor `(batch, ..., inputs)`.

    Returns:
        Tensor `(batch, ..., units)`.

    Raises:
        ValueError: At build, if the number of inputs is not known.

    Reference:
        Paper 1, §3.
    """

    field = "real"
    complex_form = "ComplexCirculant"


@keras.saving.register_keras_serializable("cvzoo")
class DiagonalCirculant(DiagonalBase, StructuredDense):
    """Diagonal-circulant layer, `activation(D C x + b)`: 2n numbers in place of n².

    Args:
        units: Number of outputs.
        order: `"circulant_first"`: the diagonal scales the outputs (paper 1,
            definition 2). `"diagonal_first"`: it scales the inputs.
        diagonal_initializer: Defaults to random signs (paper 1, §5).
        trainable_diagonal: Whether the diagonal is trained.
        **kwargs: Those of `Circulant`.

    Call arguments:
        inputs: Tensor `(batch, ..., inputs)`.

    Returns:
        Tensor `(batch, ..., units)`.

    Reference:
        Paper 1, definition 2.
    """

    field = "real"
    complex_form = "ComplexDiagonalCirculant"


@keras.saving.register_keras_serializable("cvzoo")
class ComplexCirculant(CirculantBase, ComplexStructuredDense):
    """`Circulant` on pairs, with complex weights; initializers are complex.

    Call arguments:
        inputs: Pair, each part `(batch, ..., inputs)`.

    Returns:
        Pair, each part `(batch, ..., units)`. The activation acts on both parts.
    """

    field = "complex"


@keras.saving.register_keras_serializable("cvzoo")
class ComplexDiagonalCirculant(DiagonalBase, ComplexStructuredDense):
    """`DiagonalCirculant` on pairs: the AFDF layer, `A F D F⁻¹` with complex diagonals.

    The diagonal starts with modulus 1 and random phases.

    Call arguments:
        inputs: Pair, each part `(batch, ..., inputs)`.

    Returns:
        Pair, each part `(batch, ..., units)`. The activation acts on both parts, as
        in the theory of paper 1.

    Reference:
        Paper 1, §2 and §4; Moczulski et al., 2016.
    """

    field = "complex"
