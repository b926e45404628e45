"""A dense layer that is a product of circulant and diagonal matrices."""

import keras
import numpy as np
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers.complex import add_pair
from cvzoo.layers.initializers import (
    ComplexNormal,
    ComplexSigns,
    RandomSigns,
    complex_initializer,
    real_initializer,
)
from cvzoo.layers.linear import check_choice, check_size
from cvzoo.layers.structured.base import SquareDense, multiplied, serialized

FIELDS = ("real", "complex")
KINDS = ("circulant", "diagonal")


def by_turns(factors, first):
    """Kinds of some factors, in the order in which they are applied."""
    other = KINDS[1 - KINDS.index(first)]
    return [(first, other)[place % 2] for place in range(factors)]


@keras.saving.register_keras_serializable("cvzoo")
class CirculantProduct(SquareDense):
    """Dense layer whose matrix is a product of circulant and diagonal ones, by turns.

    `activation(Bₘ … B₂ B₁ x + b)`, with nothing in between and one bias: m n numbers,
    of which complex ones count two. `cvzoo.factorize` makes such layers of dense ones.

    Args:
        units: Number of outputs.
        factors: m. Matrices of rank k can be reached as closely as one likes by 4k + 1
            complex ones that begin with a circulant (paper 1, theorem 2).
        field: Of the factors, `"real"` or `"complex"`. Inputs and outputs are real;
            of a complex product the real part is taken.
        first: The kind of B₁, `"circulant"` or `"diagonal"`.
        circulant_initializer: For `(number of circulants, n)`. Defaults to normal with
            variance 1/n, which keeps the size of the inputs; complex for complex ones.
        diagonal_initializer: Defaults to random signs; of complex ones, phases.
        **kwargs: `activation`, `use_bias`, `bias_initializer` (zeros by default) and
            `padding` (`"right"` or `"left"`), as of the other structured layers.

    Call arguments:
        inputs: Tensor `(batch, ..., inputs)`. With n = max(inputs, units) they are
            padded with zeros, and outputs cut.

    Returns:
        Tensor `(batch, ..., units)`.

    Reference:
        Paper 1, §3 and theorem 2; Huhtanen and Perämäki, 2015.
    """

    def __init__(
        self,
        units,
        factors,
        *,
        field="real",
        first="circulant",
        circulant_initializer=None,
        diagonal_initializer=None,
        **kwargs,
    ):
        super().__init__(units, **kwargs)
        self.factors = check_size("factors", factors)
        self.field = check_choice("field", field, FIELDS)
        self.first = check_choice("first", first, KINDS)
        self.circulant_initializer = self._initializer(circulant_initializer)
        self.diagonal_initializer = self._initializer(diagonal_initializer)

    def _initializer(self, identifier):
        if identifier is None:
            return None
        get = real_initializer if self.field == "real" else complex_initializer
        return get(identifier)

    def build_product(self):
        is_complex = self.field == "complex"
        deviation = self.size**-0.5
        normal = (
            ComplexNormal(deviation / 2**0.5)
            if is_complex
            else keras.initializers.RandomNormal(stddev=deviation)
        )
        signs = ComplexSigns() if is_complex else RandomSigns()
        self.order = by_turns(self.factors, self.first)
        self.factor_parts = {
            "circulant": self._add("circulant", self.circulant_initializer or normal),
            "diagonal": self._add("diagonal", self.diagonal_initializer or signs),
        }

    def _add(self, kind, initializer):
        """The weights of all factors of a kind, `(number, n)`; a part, or two."""
        number = self.order.count(kind)
        if not number:
            return []
        if self.field == "complex":
            return add_pair(self, kind, (number, self.size), initializer)
        return [
            self.add_weight(
                name=kind,
                shape=(number, self.size),
                initializer=initializer,
                autocast=False,  # transforms need float32
            )
        ]

    def assign_factors(self, vectors):
        """Sets all factors.

        Args:
            vectors: A numpy array `(n,)` for each factor, in the order in which they
                are applied: first column of a circulant, or diagonal. Complex ones for
                complex fields.
        """
        for kind, parts in self.factor_parts.items():
            values = [
                one for one, its in zip(vectors, self.order, strict=True) if its == kind
            ]
            if parts:
                stacked = np.stack(values)
                for variable, value in zip(
                    parts, (stacked.real, stacked.imag), strict=False
                ):
                    variable.assign(value)

    def square_product(self, inputs):
        seen = {"circulant": 0, "diagonal": 0}
        values = (inputs,)
        if self.field == "complex":
            values = (inputs, kops.zeros_like(inputs))
        for kind in self.order:
            factor = tuple(part[seen[kind]] for part in self.factor_parts[kind])
            seen[kind] += 1
            values = self._multiplied(kind, values, factor)
        return values[0]

    def _multiplied(self, kind, values, factor):
        if kind == "circulant":
            if self.field == "real":
                return (ops.circulant_product(values[0], factor[0]),)
            return ops.complex_circulant_product(values, factor)
        factor = tuple(kops.cast(part, values[0].dtype) for part in factor)
        return multiplied(values, factor)

    def get_config(self):
        return {
            **super().get_config(),
            "factors": self.factors,
            "field": self.field,
            "first": self.first,
            "circulant_initializer": serialized(self.circulant_initializer),
            "diagonal_initializer": serialized(self.diagonal_initializer),
        }
