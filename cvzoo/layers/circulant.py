"""Circulant and diagonal-circulant layers, real and complex."""

import keras
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers.complex import PairLayer
from cvzoo.layers.initializers import (
    ComplexNormal,
    ComplexSigns,
    RandomSigns,
    complex_initializer,
)
from cvzoo.layers.linear import check_choice, check_last_axis, check_size

RECTANGULAR, PADDINGS = ("pad", "blocks"), ("left", "right")
ORDERS = ("circulant_first", "diagonal_first")
# Standard deviation of the bias in the code of paper 1.
BIAS_DEVIATION = 0.01


class CirculantBase:
    """Mixin of all of them. Values are tuples of one part, or two of a complex number.

    A class gives `field`, `has_diagonal` and `make(name, shape, initializer)`, which
    creates a weight and returns its parts.
    """

    has_diagonal = False

    def __init__(
        self,
        units,
        activation=None,
        use_bias=True,
        rectangular="pad",
        padding="right",
        transpose=False,
        circulant_initializer=None,
        bias_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = check_size("units", units)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.rectangular = check_choice("rectangular", rectangular, RECTANGULAR)
        self.padding = check_choice("padding", padding, PADDINGS)
        self.transpose = transpose
        self.circulant_initializer = self._initializer(circulant_initializer)
        self.bias_initializer = self._initializer(bias_initializer)
        self.supports_masking = True

    def _initializer(self, identifier):
        get = keras.initializers.get
        if self.field == "complex":
            get = complex_initializer
        return None if identifier is None else get(identifier)

    def _normal(self, variance):
        """Initializer of mean 0 and `E|w|²` of some value."""
        if self.field == "complex":
            return ComplexNormal((variance / 2) ** 0.5)
        return keras.initializers.RandomNormal(stddev=variance**0.5)

    def build(self, input_shape):
        shape = input_shape[0] if self.field == "complex" else input_shape
        self.inputs = check_last_axis(self, shape)
        if self.rectangular == "blocks":
            self.size, self.blocks = self.inputs, -(-self.units // self.inputs)
        else:
            self.size, self.blocks = max(self.inputs, self.units), 1
        stacked = (self.blocks,) if self.rectangular == "blocks" else ()
        self.circulant_parts = self.make(
            "circulant",
            (*stacked, self.size),
            # Paper 1, §5.
            self.circulant_initializer or self._normal(2 / self.size),
        )
        if self.has_diagonal:
            self.diagonal_parts = self.make(
                "diagonal",
                (*stacked, self.size) if stacked else (self._diagonal_size(),),
                self.diagonal_initializer,
                trainable=self.trainable_diagonal,
            )
        self.bias_parts = ()
        if self.use_bias:
            initializer = self.bias_initializer or self._normal(BIAS_DEVIATION**2)
            self.bias_parts = self.make("bias", (self.units,), initializer)
        self.built = True

    def call(self, inputs):
        parts = tuple(inputs) if self.field == "complex" else (inputs,)
        if self.rectangular == "blocks":
            outputs = self._in_blocks(parts)
        else:
            outputs = self._padded(parts)
        bias = [kops.cast(part, self.compute_dtype) for part in self.bias_parts]
        if bias:
            outputs = [a + b for a, b in zip(outputs, bias, strict=True)]
        outputs = tuple(self.activation(part) for part in outputs)
        return outputs if self.field == "complex" else outputs[0]

    def _padded(self, parts):
        parts = self._scaled(parts, first=True)
        missing = self.size - self.inputs
        if missing:
            sides = (missing, 0) if self.padding == "left" else (0, missing)
            rank = len(parts[0].shape)
            parts = [kops.pad(part, [(0, 0)] * (rank - 1) + [sides]) for part in parts]
        parts = self._multiplied(parts, self.circulant_parts)
        parts = [part[..., : self.units] for part in parts]
        return self._scaled(parts, first=False)

    def _in_blocks(self, parts):
        """Square blocks of the same inputs, one after the other, cut to the units."""
        parts = [kops.expand_dims(part, -2) for part in parts]
        rank = len(parts[0].shape)
        repeats = [1] * (rank - 2) + [self.blocks, 1]
        parts = self._scaled([kops.tile(part, repeats) for part in parts], first=True)
        parts = self._multiplied(parts, self.circulant_parts)
        parts = self._scaled(parts, first=False)
        return [self._flat(part)[..., : self.units] for part in parts]

    def _flat(self, part):
        leading = [-1 if size is None else size for size in part.shape[:-2]]
        if leading.count(-1) > 1:
            leading = list(kops.shape(part)[:-2])
        return kops.reshape(part, (*leading, self.blocks * self.size))

    def _multiplied(self, parts, kernel):
        if len(parts) == 1:
            return [ops.circulant_product(parts[0], kernel[0], self.transpose)]
        product = ops.complex_circulant_product
        return list(product(tuple(parts), tuple(kernel), self.transpose))

    def _scaled(self, parts, first):
        """Times the diagonal, if that comes first, or does not."""
        if not self.has_diagonal or first != (self.order == "diagonal_first"):
            return parts
        diagonal = [kops.cast(part, self.compute_dtype) for part in self.diagonal_parts]
        return _product(parts, diagonal)

    def to_dense(self):
        """The layer's matrix: `layer(x)` is `activation(x @ matrix + bias)`.

        Returns:
            Tensor `(inputs, units)`, a pair of a complex layer.
        """
        matrices = []
        for block in range(self.blocks):
            at = (block,) if self.rectangular == "blocks" else ()
            circulant = [
                ops.circulant_matrix(kops.convert_to_tensor(part)[at])
                for part in self.circulant_parts
            ]
            # Rows are inputs, as in a dense kernel.
            if not self.transpose:
                circulant = [kops.transpose(part) for part in circulant]
            start = self.size - self.inputs if self.padding == "left" else 0
            matrix = [part[start : start + self.inputs] for part in circulant]
            if self.rectangular == "pad":
                matrix = [part[:, : self.units] for part in matrix]
            if self.has_diagonal:
                diagonal = [
                    kops.convert_to_tensor(part)[at] for part in self.diagonal_parts
                ]
                if self.order == "diagonal_first":
                    diagonal = [part[:, None] for part in diagonal]
                matrix = _product(matrix, diagonal)
            matrices.append(matrix)
        parts = [kops.concatenate(one, axis=-1) for one in zip(*matrices, strict=True)]
        parts = tuple(part[:, : self.units] for part in parts)
        return parts if self.field == "complex" else parts[0]

    def compute_output_shape(self, input_shape):
        if self.field == "complex":
            part = (*input_shape[0][:-1], self.units)
            return part, part
        return (*input_shape[:-1], self.units)

    def get_config(self):
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "rectangular": self.rectangular,
            "padding": self.padding,
            "transpose": self.transpose,
            "circulant_initializer": self.circulant_initializer
            and serialize(self.circulant_initializer),
            "bias_initializer": self.bias_initializer
            and serialize(self.bias_initializer),
        }


class DiagonalBase(CirculantBase):
    """Mixin of those that have a diagonal too."""

    has_diagonal = True

    def __init__(
        self,
        units,
        order="circulant_first",
        diagonal_initializer=None,
        trainable_diagonal=True,
        **kwargs,
    ):
        super().__init__(units, **kwargs)
        self.order = check_choice("order", order, ORDERS)
        self.trainable_diagonal = trainable_diagonal
        signs = ComplexSigns() if self.field == "complex" else RandomSigns()
        self.diagonal_initializer = self._initializer(diagonal_initializer or signs)

    def _diagonal_size(self):
        return self.inputs if self.order == "diagonal_first" else self.units

    def get_config(self):
        return {
            **super().get_config(),
            "order": self.order,
            "diagonal_initializer": keras.initializers.serialize(
                self.diagonal_initializer
            ),
            "trainable_diagonal": self.trainable_diagonal,
        }


class _RealWeights:
    field = "real"

    def make(self, name, shape, initializer, trainable=True):
        return [
            self.add_weight(
                name=name,
                shape=shape,
                initializer=initializer,
                trainable=trainable,
                autocast=False,  # transforms need float32
            )
        ]


class _ComplexWeights:
    field = "complex"

    def make(self, name, shape, initializer, trainable=True):
        def part(position):
            return lambda shape, dtype: initializer(shape, dtype)[position]

        return [
            self.add_weight(
                name=f"{name}_{suffix}",
                shape=shape,
                initializer=part(position),
                trainable=trainable,
                autocast=False,
            )
            for position, suffix in enumerate(("real", "imag"))
        ]


@keras.saving.register_keras_serializable("cvzoo")
class Circulant(_RealWeights, CirculantBase, keras.layers.Layer):
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

    Call arguments:
        inputs: Tensor `(batch, ..., inputs)`.

    Returns:
        Tensor `(batch, ..., units)`.

    Raises:
        ValueError: At build, if the number of inputs is not known.

    Reference:
        Paper 1, §3.
    """


@keras.saving.register_keras_serializable("cvzoo")
class DiagonalCirculant(_RealWeights, DiagonalBase, keras.layers.Layer):
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


@keras.saving.register_keras_serializable("cvzoo")
class ComplexCirculant(_ComplexWeights, CirculantBase, PairLayer):
    """`Circulant` on pairs, with complex weights; initializers are complex.

    Call arguments:
        inputs: Pair, each part `(batch, ..., inputs)`.

    Returns:
        Pair, each part `(batch, ..., units)`. The activation acts on both parts.
    """


@keras.saving.register_keras_serializable("cvzoo")
class ComplexDiagonalCirculant(_ComplexWeights, DiagonalBase, PairLayer):
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


def _product(left, right):
    """Elementwise, of tuples of one part or two."""
    if len(left) == 1:
        return [left[0] * right[0]]
    (a, b), (u, v) = left, right
    return [a * u - b * v, a * v + b * u]
