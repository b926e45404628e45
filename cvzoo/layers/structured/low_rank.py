"""Low-rank layers."""

import keras
from keras import ops as kops

from cvzoo.layers.linear import check_size
from cvzoo.layers.structured.base import (
    BIAS_DEVIATION,
    StructuredDense,
    serialized,
)


@keras.saving.register_keras_serializable("cvzoo")
class LowRank(StructuredDense):
    """`activation(x U V + b)` with U `(inputs, rank)` and V `(rank, units)`.

    Args:
        units: Number of outputs.
        rank: Number of columns of U.
        activation: Name of, or, an activation.
        use_bias: Whether a bias is added.
        overcomplete: Whether the rank may be larger than inputs or units, where a dense
            layer does the same with fewer numbers. The output layers of paper 1's
            Figure 4a are such.
        kernel_initializer: Of U and of V. Defaults to normal with variance 2/units, as
            in the code of paper 1.
        bias_initializer: Defaults to normal with deviation 0.01, as in that code.

    Call arguments:
        inputs: Tensor `(batch, ..., inputs)`.

    Returns:
        Tensor `(batch, ..., units)`.

    Raises:
        ValueError: At build, if the number of inputs is not known, or the rank is
            larger than inputs or units.

    Reference:
        Paper 1, §6 (Figure 4a), and its code.
    """

    bias_deviation = BIAS_DEVIATION

    def __init__(
        self, units, rank, *, overcomplete=False, kernel_initializer=None, **kwargs
    ):
        super().__init__(units, **kwargs)
        self.rank = check_size("rank", rank)
        self.overcomplete = overcomplete
        self.kernel_initializer = self.get_initializer(kernel_initializer)

    def build_product(self):
        most = min(self.inputs, self.units)
        if self.rank > most and not self.overcomplete:
            raise ValueError(
                f"LowRank '{self.name}' has {self.inputs} inputs and {self.units} "
                f"units, so its rank is at most {most}. Received: rank={self.rank}. "
                "Lower it, or pass `overcomplete=True`."
            )
        self.left = self._add_factor("left", (self.inputs, self.rank))
        self.right = self._add_factor("right", (self.rank, self.units))

    def _add_factor(self, name, shape):
        initializer = self.kernel_initializer
        return self.add_weight(
            name=name,
            shape=shape,
            # A copy for each, or factors of one shape would begin with equal numbers.
            initializer=initializer.clone()
            if initializer
            else self.normal(2 / self.units),
        )

    def product(self, inputs):
        return kops.matmul(kops.matmul(inputs, self.left), self.right)

    def get_config(self):
        return {
            **super().get_config(),
            "rank": self.rank,
            "overcomplete": self.overcomplete,
            "kernel_initializer": serialized(self.kernel_initializer),
        }
