"""Layers of circulant blocks."""

import keras
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers.linear import check_size
from cvzoo.layers.structured.base import StructuredDense, serialized


@keras.saving.register_keras_serializable("cvzoo")
class BlockCirculant(StructuredDense):
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

    def __init__(self, units, block_size, circulant_initializer=None, **kwargs):
        super().__init__(units, **kwargs)
        self.block_size = check_size("block_size", block_size)
        self.circulant_initializer = keras.initializers.get(circulant_initializer)

    def build_product(self):
        rows, columns = (-(-n // self.block_size) for n in (self.units, self.inputs))
        self.circulant = self.add_weight(
            name="circulant",
            shape=(rows, columns, self.block_size),
            initializer=self.circulant_initializer
            or keras.initializers.RandomNormal(
                stddev=(2 / (columns * self.block_size)) ** 0.5
            ),
            autocast=False,  # transforms need float32
        )

    def product(self, inputs):
        missing = self.circulant.shape[1] * self.block_size - self.inputs
        if missing:
            sides = [(0, 0)] * (len(inputs.shape) - 1) + [(0, missing)]
            inputs = kops.pad(inputs, sides)
        return ops.block_circulant_product(inputs, self.circulant)[..., : self.units]

    def get_config(self):
        return {
            **super().get_config(),
            "block_size": self.block_size,
            "circulant_initializer": serialized(self.circulant_initializer),
        }
