"""Layers whose matrices have a low displacement rank."""

import keras
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers.linear import check_choice, check_size
from cvzoo.layers.structured.base import SquareDense, serialized

OPERATORS = ("shift", "subdiagonal", "tridiagonal")
# Krylov matrices of tridiagonal operators are written out, this many numbers at most.
LARGEST = 2**30


@keras.saving.register_keras_serializable("cvzoo")
class LowDisplacementRank(SquareDense):
    """`activation(M x + b)` with M of low displacement rank: about 2 n rank numbers.

    `M = Σᵢ K(A, gᵢ) · K(B, hᵢ)ᵀ` with Krylov matrices `K(A, v) = [v, A v, …, Aⁿ⁻¹ v]`,
    n = max(inputs, units), and as many vectors g and h as the rank. The operators A and
    B are of one kind:

    - `"shift"`, Toeplitz-like: `A v = (f v[n−1], v[0], …, v[n−2])`, nothing of which is
      learned. With corners, f is 1 in A and −1 in B; without, 0 in both. n log n
      operations, no n × n matrix.
    - `"subdiagonal"`, LDR-SD: of each the sub-diagonal is learned, n − 1 numbers that
      begin with 1. n log² n operations, no n × n matrix.
    - `"tridiagonal"`, LDR-TD: of each three diagonals are learned, 3n − 2 numbers that
      begin with 1 below and 0 elsewhere. Each call makes the Krylov matrices, 2 rank n²
      numbers, and so do gradients. Second derivatives are not a number.

    Powers up to n − 1 of the operators count: entries well above 1 overflow where n is
    large.

    Args:
        units: Number of outputs.
        rank: Number of pairs of vectors g, h, at most n.
        operators: See above.
        corner: Whether the operators have entries in the corners. They are learned, and
            begin with 0, except those of shifts: one of each operator, the upper right
            one, or two where it is tridiagonal, the lower left one too.
        tied: Whether A and B are the same, which shifts cannot be.
        activation: Name of, or, an activation.
        use_bias: Whether a bias is added.
        padding: `"right"`: zeros come after the inputs, as in the code of paper 1;
            `"left"`: before them.
        vector_initializer: Of g and h. Defaults to normal with variance 1/(rank n), as
            in that code.
        bias_initializer: Defaults to zeros.

    Call arguments:
        inputs: Tensor `(batch, ..., inputs)`.

    Returns:
        Tensor `(batch, ..., units)`.

    Raises:
        ValueError: At build, if the number of inputs is not known, the rank is larger
            than n, or Krylov matrices of tridiagonal operators have more than 2³⁰
            numbers.

    Reference:
        [Thomas et al., 2018](https://arxiv.org/abs/1810.02309); paper 1, §6.
    """

    def __init__(
        self,
        units,
        rank,
        *,
        operators="shift",
        corner=False,
        tied=False,
        vector_initializer=None,
        **kwargs,
    ):
        super().__init__(units, **kwargs)
        self.rank = check_size("rank", rank)
        self.operators = check_choice("operators", operators, OPERATORS)
        self.corner = corner
        self.tied = tied
        if tied and operators == "shift":
            raise ValueError(
                "`tied` is for operators that are learned, 'subdiagonal' or "
                "'tridiagonal'. Received: operators='shift', tied=True"
            )
        self.vector_initializer = self.get_initializer(vector_initializer)

    def build_product(self):
        self._check_rank()
        self.left_vectors = self._add_vectors("left_vectors")
        self.right_vectors = self._add_vectors("right_vectors")
        if self.operators == "shift":
            return
        if self.tied:
            self.left_operator = self.right_operator = self._add_operator("operator")
        else:
            self.left_operator = self._add_operator("left")
            self.right_operator = self._add_operator("right")

    def _check_rank(self):
        if self.rank > self.size:
            raise ValueError(
                f"LowDisplacementRank '{self.name}' has {self.inputs} inputs and "
                f"{self.units} units, so its rank is at most {self.size}. Received: "
                f"rank={self.rank}. Lower it; of that rank any matrix can be expressed."
            )
        entries = self.rank * self.size**2
        if self.operators == "tridiagonal" and entries > LARGEST:
            raise ValueError(
                f"LowDisplacementRank '{self.name}' with tridiagonal operators makes "
                f"Krylov matrices of {entries} numbers for {self.size} inputs or units "
                f"and rank {self.rank}. It may have at most {LARGEST}. Pass "
                "operators='subdiagonal', which makes none."
            )

    def _add_vectors(self, name):
        initializer = self.vector_initializer
        return self._add(
            name,
            (self.rank, self.size),
            # A copy for each, or both would begin with equal numbers.
            initializer.clone()
            if initializer
            else self.normal(1 / (self.rank * self.size)),
        )

    def _add_operator(self, side):
        """The diagonals of an operator from the lowest on, and its corners."""
        diagonals = [self._add(f"{side}_subdiagonal", (self.size - 1,), "ones")]
        corners = 1
        if self.operators == "tridiagonal":
            diagonals += [
                self._add(f"{side}_diagonal", (self.size,), "zeros"),
                self._add(f"{side}_superdiagonal", (self.size - 1,), "zeros"),
            ]
            corners = 2
        if self.corner:
            return diagonals, self._add(f"{side}_corners", (corners,), "zeros")
        return diagonals, None

    def _add(self, name, shape, initializer):
        self.add_parts(name, shape, initializer)
        return getattr(self, name)

    def square_product(self, inputs):
        vectors = self.left_vectors, self.right_vectors
        if self.operators == "shift":
            return ops.toeplitz_like_product(inputs, *vectors, corner=self.corner)
        sides = [_going_round(*self.left_operator), _going_round(*self.right_operator)]
        if self.operators == "subdiagonal":
            sides = [side[0] for side in sides]
            return ops.subdiagonal_product(inputs, *vectors, *sides, corner=self.corner)
        return ops.tridiagonal_product(inputs, *vectors, *map(kops.stack, sides))

    def get_config(self):
        return {
            **super().get_config(),
            "rank": self.rank,
            "operators": self.operators,
            "corner": self.corner,
            "tied": self.tied,
            "vector_initializer": serialized(self.vector_initializer),
        }


def _going_round(diagonals, corners):
    """Diagonals of n entries each: the corners are where the shorter ones go on."""
    below, *others = (diagonal.value for diagonal in diagonals)
    corners = kops.zeros((2,), below.dtype) if corners is None else corners
    below = kops.concatenate([corners[:1], below])
    if not others:
        return [below]
    middle, above = others
    return [below, middle, kops.concatenate([above, corners[1:]])]
