"""Toeplitz layers, without and with a diagonal."""

import keras
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers.initializers import RandomSigns
from cvzoo.layers.structured.base import BIAS_DEVIATION, SquareDense, serialized


@keras.saving.register_keras_serializable("cvzoo")
class Toeplitz(SquareDense):
    """Dense layer whose matrix is Toeplitz, `activation(T x + b)`: 2n numbers.

    `T[j, k] = t[j − k]`, of which 2n − 1 differ. As in the code of paper 1, whose
    published numbers of weights are met so, 2n are stored, `(t₀, …, tₙ₋₁, unused,
    t₋₍ₙ₋₁₎, …, t₋₁)`; the unused one changes nothing. n = max(inputs, units).

    Args:
        units: Number of outputs.
        activation: Name of, or, an activation.
        use_bias: Whether a bias is added.
        padding: `"right"`: zeros come after the inputs; `"left"`: before them, as in
            the code of paper 1. Both can express the same.
        kernel_initializer: Defaults to normal with variance 2/units, as in that code.
        bias_initializer: Defaults to normal with deviation 0.01, as in that code.

    Call arguments:
        inputs: Tensor `(batch, ..., inputs)`.

    Returns:
        Tensor `(batch, ..., units)`.

    Raises:
        ValueError: At build, if the number of inputs is not known.

    Reference:
        Paper 1, §6 (Figure 4a), and its code.
    """

    bias_deviation = BIAS_DEVIATION

    def __init__(self, units, *, kernel_initializer=None, **kwargs):
        super().__init__(units, **kwargs)
        self.kernel_initializer = self.get_initializer(kernel_initializer)

    def build_product(self):
        initializer = self.kernel_initializer or self.normal(2 / self.units)
        self.add_parts("toeplitz", (2 * self.size,), initializer)

    def square_product(self, inputs):
        return ops.toeplitz_product(inputs, self.toeplitz)

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_initializer": serialized(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable("cvzoo")
class DiagonalToeplitz(Toeplitz):
    """Toeplitz layer times a diagonal, `activation(D T x + b)`: 2n + units numbers.

    Args:
        units: Number of outputs.
        diagonal_initializer: Defaults to random signs, as in the code of paper 1.
        **kwargs: Those of `Toeplitz`.

    Call arguments:
        inputs: Tensor `(batch, ..., inputs)`.

    Returns:
        Tensor `(batch, ..., units)`.

    Raises:
        ValueError: At build, if the number of inputs is not known.

    Reference:
        Paper 1, §6 (Figure 4a, DTNN), and its code.
    """

    def __init__(self, units, *, diagonal_initializer=None, **kwargs):
        super().__init__(units, **kwargs)
        self.diagonal_initializer = self.get_initializer(
            diagonal_initializer or RandomSigns()
        )

    def build_product(self):
        super().build_product()
        self.add_parts("diagonal", (self.units,), self.diagonal_initializer)

    def product(self, inputs):
        outputs = super().product(inputs)
        return outputs * kops.cast(self.diagonal, outputs.dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "diagonal_initializer": serialized(self.diagonal_initializer),
        }
