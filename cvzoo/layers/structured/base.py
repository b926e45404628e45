"""What dense layers of structured matrices share."""

import keras
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers.complex import PairLayer, add_pair
from cvzoo.layers.initializers import (
    ComplexNormal,
    complex_initializer,
    real_initializer,
)
from cvzoo.layers.linear import check_choice, check_last_axis, check_size

PADDINGS = ("left", "right")
# Standard deviation of the bias in the code of paper 1.
BIAS_DEVIATION = 0.01


class RealLayer(keras.layers.Layer):
    """Base of layers whose input is one real tensor; checks that it is one.

    `complex_form` names the layer that takes pairs, if there is one.
    """

    complex_form = None

    def __call__(self, inputs, *args, **kwargs):
        receiver = f"{type(self).__name__} '{self.name}'"
        ops.check_real(inputs, receiver, self.complex_form)
        return super().__call__(inputs, *args, **kwargs)

    def check_inputs(self, shape):
        """The size of the last axis, which later calls must have too."""
        inputs = check_last_axis(self, shape)
        self.input_spec = keras.InputSpec(min_ndim=2, axes={-1: inputs})
        return inputs


class StructuredBase:
    """Mixin: `activation(M x + b)` with a matrix M that is not stored.

    A class gives

    - `build_product()`, which makes weights for `self.inputs` and `self.units`, by
      `add_parts` where they must stay float32;
    - `product(inputs)`, M x without the bias for `(..., inputs)`, of the dtype of the
      inputs.

    `StructuredDense` works on a real tensor, `ComplexStructuredDense` on a pair.

    Args:
        units: Number of outputs.
        activation: Name of, or, an activation.
        use_bias: Whether a bias is added.
        bias_initializer: Defaults to normal with the deviation `bias_deviation` of
            the class, which is 0 unless its source says otherwise.
    """

    bias_deviation = 0.0
    regularizer = None

    def __init__(
        self,
        units,
        *,
        activation=None,
        use_bias=True,
        bias_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = check_size("units", units)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.bias_initializer = self.get_initializer(bias_initializer)
        self.supports_masking = True

    def build(self, input_shape):
        self.inputs = self.check_inputs(input_shape)
        self.build_product()
        initializer = self.bias_initializer or self.get_initializer("zeros")
        if self.bias_deviation and not self.bias_initializer:
            initializer = self.normal(self.bias_deviation**2)
        self.add_parts("bias", (self.units,) if self.use_bias else None, initializer)
        self.built = True

    @property
    def bias_parts(self):
        return self.parts("bias") if self.use_bias else ()

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "bias_initializer": serialized(self.bias_initializer),
        }


class StructuredDense(StructuredBase, RealLayer):
    """Base of structured layers on one real tensor."""

    get_initializer = staticmethod(real_initializer)

    @staticmethod
    def normal(variance):
        """Initializer of mean 0 and some variance."""
        return keras.initializers.RandomNormal(stddev=variance**0.5)

    def add_parts(self, name, shape, initializer, trainable=True):
        """A weight as the attribute `name`, which is `None` if there is no shape."""
        weight = shape and self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            trainable=trainable,
            regularizer=self.regularizer,
            autocast=False,  # transforms need float32
        )
        setattr(self, name, weight)

    def parts(self, name):
        return (getattr(self, name),)

    def call(self, inputs):
        # Keras casts floats only.
        outputs = self.product(kops.cast(inputs, self.compute_dtype))
        if self.use_bias:
            outputs = outputs + kops.cast(self.bias, outputs.dtype)
        return self.activation(outputs)

    def to_dense(self):
        """The layer's matrix: `layer(x)` is `activation(x @ matrix + bias)`.

        Returns:
            Tensor `(inputs, units)`.
        """
        return self.product(kops.eye(self.inputs, dtype=self.variable_dtype))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)


class ComplexStructuredDense(StructuredBase, PairLayer):
    """Base of structured layers on a pair, with complex weights and initializers."""

    @staticmethod
    def get_initializer(identifier):
        return None if identifier is None else complex_initializer(identifier)

    @staticmethod
    def normal(variance):
        """Initializer of mean 0 and some `E|w|²`."""
        return ComplexNormal((variance / 2) ** 0.5)

    def check_inputs(self, shapes):
        """The size of the last axis, which later calls must have too."""
        inputs = check_last_axis(self, shapes[0])
        self.input_spec = [keras.InputSpec(min_ndim=2, axes={-1: inputs})] * 2
        return inputs

    def add_parts(self, name, shape, initializer, trainable=True):
        """Two weights as the attributes `<name>_real` and `<name>_imag`."""
        pair = None, None
        if shape:
            pair = add_pair(self, name, shape, initializer, trainable, self.regularizer)
        for suffix, part in zip(("real", "imag"), pair, strict=True):
            setattr(self, f"{name}_{suffix}", part)

    def parts(self, name):
        return tuple(getattr(self, f"{name}_{suffix}") for suffix in ("real", "imag"))

    def call(self, inputs):
        # Keras casts floats only.
        inputs = tuple(kops.cast(part, self.compute_dtype) for part in inputs)
        real, imag = self.product(inputs)
        if self.use_bias:
            real = real + kops.cast(self.bias_real, real.dtype)
            imag = imag + kops.cast(self.bias_imag, imag.dtype)
        return self.activation(real), self.activation(imag)

    def to_dense(self):
        """The layer's matrix: `layer(z)` is `activation(z @ matrix + bias)`.

        Returns:
            Pair of tensors `(inputs, units)`.
        """
        identity = kops.eye(self.inputs, dtype=self.variable_dtype)
        return self.product((identity, kops.zeros_like(identity)))

    def compute_output_shape(self, input_shape):
        part = (*input_shape[0][:-1], self.units)
        return part, part


class SquareDense(StructuredDense):
    """Base of those whose matrix is square, of n = max(inputs, units).

    Inputs are padded with zeros to n, and outputs cut. A class gives
    `build_product()`, which makes weights for `self.size`, n; and
    `square_product(inputs)` for `(..., n)`.

    Args:
        padding: `"right"`: zeros come after the inputs; `"left"`: before them.
    """

    def __init__(self, units, *, padding="right", **kwargs):
        super().__init__(units, **kwargs)
        self.padding = check_choice("padding", padding, PADDINGS)

    def build(self, input_shape):
        self.size = max(check_last_axis(self, input_shape), self.units)
        super().build(input_shape)

    def product(self, inputs):
        inputs = padded(inputs, self.size, self.padding)
        return self.square_product(inputs)[..., : self.units]

    def get_config(self):
        return {**super().get_config(), "padding": self.padding}


def padded(inputs, size, padding="right"):
    """With zeros after the last axis, or before it, up to a size."""
    missing = size - inputs.shape[-1]
    if not missing:
        return inputs
    sides = (missing, 0) if padding == "left" else (0, missing)
    return kops.pad(inputs, [(0, 0)] * (len(inputs.shape) - 1) + [sides])


def multiplied(left, right):
    """Elementwise product of tuples of one part, or two of complex numbers."""
    if len(left) == 1:
        return (left[0] * right[0],)
    return ops.complex_multiply(left, right)


def serialized(initializer):
    """Configuration of an initializer, or `None`."""
    return initializer and keras.initializers.serialize(initializer)
