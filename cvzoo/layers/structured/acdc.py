"""The ACDC layer: diagonals, and one between two cosine transforms."""

import keras
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers.linear import check_choice
from cvzoo.layers.structured.base import SquareDense, serialized
from cvzoo.layers.structured.permutation import check_seed, permutation

DIAGONALS = ("inputs", "outputs", "both")


@keras.saving.register_keras_serializable("cvzoo")
class ACDC(SquareDense):
    """`activation(C⁻¹ D C A P x + b)`, C being the discrete cosine transform.

    A and D are diagonal; P is a fixed permutation, or left out. 2n numbers, with n =
    max(inputs, units), and less where A has fewer. The norm of C has no effect.

    Args:
        units: Number of outputs.
        activation: Name of, or, an activation.
        use_bias: Whether a bias is added.
        diagonal_at: Where A is. `"inputs"`: see above. `"outputs"`: `A C⁻¹ D C P x`,
            as in paper 1's code for CIFAR-10. `"both"`: `A C⁻¹ D C A P x` with one A,
            as in its linear regression; units must be as many as inputs.
        permute: Whether there is a P, of the inputs. Between layers, it keeps a stack
            of them from being one smooth filter.
        seed: Integer that P is made from; drawn when `None`. It is part of the
            configuration, so copies and saved layers have the same P.
        padding: Side of the inputs on which zeros are added, `"left"` or `"right"`.
        diagonal_initializer: Of A. Defaults to uniform on 1 ± 0.01, near the identity.
        kernel_initializer: Of D. The same.
        bias_initializer: Defaults to zeros.

    Call arguments:
        inputs: Tensor `(batch, ..., inputs)`.

    Returns:
        Tensor `(batch, ..., units)`.

    Raises:
        ValueError: At build, if the number of inputs is not known, or with
            `diagonal_at="both"` is not `units`.

    Reference:
        [Moczulski et al., 2016](https://arxiv.org/abs/1511.05946); paper 1, §2 and
        its code.
    """

    def __init__(
        self,
        units,
        *,
        diagonal_at="inputs",
        permute=False,
        seed=None,
        diagonal_initializer=None,
        kernel_initializer=None,
        **kwargs,
    ):
        super().__init__(units, **kwargs)
        self.diagonal_at = check_choice("diagonal_at", diagonal_at, DIAGONALS)
        self.permute = permute
        self.seed = check_seed(seed)
        self.diagonal_initializer = self.get_initializer(diagonal_initializer)
        self.kernel_initializer = self.get_initializer(kernel_initializer)

    def build_product(self):
        if self.diagonal_at == "both" and self.inputs != self.units:
            raise ValueError(
                f"ACDC '{self.name}' with diagonal_at=\"both\" needs as many inputs as "
                f"units. Received: {self.inputs} inputs, units={self.units}. Use "
                '"inputs" or "outputs".'
            )
        scaled = self.units if self.diagonal_at == "outputs" else self.inputs
        self._add_diagonal("diagonal", scaled, self.diagonal_initializer)
        self._add_diagonal("response", self.size, self.kernel_initializer)
        # After the weights, whose shapes presets check.
        self.order = permutation(self.inputs, self.seed) if self.permute else None

    def _add_diagonal(self, name, size, initializer):
        initializer = initializer or keras.initializers.RandomUniform(0.99, 1.01)
        self.add_parts(name, (size,), initializer)

    def product(self, inputs):
        diagonal = kops.cast(self.diagonal, inputs.dtype)
        if self.permute:
            inputs = kops.take(inputs, self.order, axis=-1)
        if self.diagonal_at != "outputs":
            inputs = inputs * diagonal
        outputs = super().product(inputs)
        return outputs if self.diagonal_at == "inputs" else outputs * diagonal

    def square_product(self, inputs):
        return ops.cosine_product(inputs, self.response)

    def get_config(self):
        return {
            **super().get_config(),
            "diagonal_at": self.diagonal_at,
            "permute": self.permute,
            "seed": self.seed,
            "diagonal_initializer": serialized(self.diagonal_initializer),
            "kernel_initializer": serialized(self.kernel_initializer),
        }
