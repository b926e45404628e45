"""Layers of circulant blocks, real and complex."""

import keras

from cvzoo import ops
from cvzoo.layers.linear import check_size
from cvzoo.layers.structured.base import (
    ComplexStructuredDense,
    StructuredBase,
    StructuredDense,
    padded,
    serialized,
)


class BlockCirculantBase(StructuredBase):
    """Mixin of both."""

    def __init__(self, units, block_size, *, circulant_initializer=None, **kwargs):
        super().__init__(units, **kwargs)
        self.block_size = check_size("block_size", block_size)
        self.circulant_initializer = self.get_initializer(circulant_initializer)

    def build_product(self):
        rows, columns = (-(-n // self.block_size) for n in (self.units, self.inputs))
        self.size = columns * self.block_size
        self.add_parts(
            "circulant",
            (rows, columns, self.block_size),
            self.circulant_initializer or self.normal(2 / self.size),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "block_size": self.block_size,
            "circulant_initializer": serialized(self.circulant_initializer),
        }


@keras.saving.register_keras_serializable("cvzoo")
class BlockCirculant(BlockCirculantBase, StructuredDense):
    """Dense layer whose matrix consists of circulant blocks: `inputs · units / b`.

    Between a dense layer (b = 1) and a circulant one. Inputs are padded with zeros on
    the right, and outputs cut, to multiples of the block size b.

    Args:
        units: Number of outputs.
        block_size: b. Powers of two are fastest.
        activation: Name of, or, an activation.
        use_bias: Whether a bias is added.
        circulant_initializer: Defaults to normal with variance 2 over the number of
            inputs, padded: what paper 1, §5, is for one block.
        bias_initializer: Defaults to zeros.

    Call arguments:
        inputs: Tensor `(batch, ..., inputs)`.

    Returns:
        Tensor `(batch, ..., units)`.

    Raises:
        ValueError: At build, if the number of inputs is not known.

    Reference:
        Ding et al., 2017, CirCNN.
    """

    complex_form = "ComplexBlockCirculant"

    def product(self, inputs):
        inputs = padded(inputs, self.size)
        return ops.block_circulant_product(inputs, self.circulant)[..., : self.units]


@keras.saving.register_keras_serializable("cvzoo")
class ComplexBlockCirculant(BlockCirculantBase, ComplexStructuredDense):
    """`BlockCirculant` on pairs, with complex weights; initializers are complex.

    Call arguments:
        inputs: Pair, each part `(batch, ..., inputs)`.

    Returns:
        Pair, each part `(batch, ..., units)`. The activation acts on both parts.
    """

    def product(self, inputs):
        inputs = tuple(padded(part, self.size) for part in inputs)
        kernel = self.parts("circulant")
        outputs = ops.complex_block_circulant_product(inputs, kernel)
        return tuple(part[..., : self.units] for part in outputs)
