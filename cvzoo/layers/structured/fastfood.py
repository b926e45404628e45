"""The Fastfood layer: diagonals between Hadamard transforms."""

import keras
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers.initializers import RandomSigns
from cvzoo.layers.structured.base import SquareDense
from cvzoo.layers.structured.permutation import check_seed, permutation


@keras.saving.register_keras_serializable("cvzoo")
class Fastfood(SquareDense):
    """`activation(S H G P H B x + b)`: 3n numbers, and a fixed permutation P.

    S, G and B are diagonal and trained. H is the Hadamard matrix over √n, which is
    orthogonal; without the √n, as in some codes, the matrix would be n times as large.
    n is the power of two that inputs and units fit in; inputs are padded and outputs
    cut.

    It begins as the random features of Le et al.: B random signs, G normal, and S as
    long as rows of a normal matrix are. So entries of the whole begin with variance
    1/n.

    Args:
        units: Number of outputs.
        activation: Name of, or, an activation.
        use_bias: Whether a bias is added.
        seed: Integer that P is made from; drawn when `None`. It is part of the
            configuration, so copies and saved layers have the same P.
        padding: Side of the inputs on which zeros are added, `"left"` or `"right"`.
        bias_initializer: Defaults to zeros.

    Call arguments:
        inputs: Tensor `(batch, ..., inputs)`.

    Returns:
        Tensor `(batch, ..., units)`.

    Raises:
        ValueError: At build, if the number of inputs is not known.

    Reference:
        Le et al., 2013, Fastfood; Yang et al., 2015, Deep Fried Convnets, who train
        the diagonals.
    """

    def __init__(self, units, *, seed=None, **kwargs):
        super().__init__(units, **kwargs)
        self.seed = check_seed(seed)

    def build_product(self):
        self.size = 2 ** (self.size - 1).bit_length()
        self.add_parts("signs", (self.size,), RandomSigns())
        self.add_parts("gaussian", (self.size,), self.normal(1.0))
        self.add_parts("scale", (self.size,), _row_norms)
        # After the weights, whose shapes presets check.
        self.order = permutation(self.size, self.seed)

    def square_product(self, inputs):
        signs, gaussian, scale = (
            kops.cast(diagonal, inputs.dtype)
            for diagonal in (self.signs, self.gaussian, self.scale)
        )
        mixed = kops.take(ops.hadamard_transform(signs * inputs), self.order, axis=-1)
        return scale * ops.hadamard_transform(gaussian * mixed)

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


def _row_norms(shape, dtype=None):
    """Norms of rows of n normal numbers, over √n, which is about G's norm."""
    size = shape[0]
    squared = 2 * keras.random.gamma(shape, size / 2, dtype="float32")
    return kops.cast(kops.sqrt(squared / size), dtype or keras.config.floatx())
