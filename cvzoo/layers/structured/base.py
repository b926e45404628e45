"""What dense layers of structured matrices share."""

import keras
from keras import ops as kops

from cvzoo.layers.circulant import PADDINGS
from cvzoo.layers.linear import check_choice, check_last_axis, check_size


class StructuredDense(keras.layers.Layer):
    """Base: `activation(M x + b)` with a matrix M that is not stored.

    A class gives `build_product()`, which makes weights for `self.inputs` and
    `self.units`, with `autocast=False` where they must stay float32; and
    `product(inputs)`, M x without the bias for `(..., inputs)`, of the dtype of the
    inputs.

    Args:
        units: Number of outputs.
        activation: Name of, or, an activation.
        use_bias: Whether a bias is added.
        bias_initializer: Defaults to normal with the deviation `bias_deviation` of
            the class, which is 0 unless its source says otherwise.
    """

    bias_deviation = 0.0

    def __init__(
        self,
        units,
        activation=None,
        use_bias=True,
        bias_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = check_size("units", units)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.supports_masking = True

    def build(self, input_shape):
        self.inputs = check_last_axis(self, input_shape)
        self.build_product()
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer or self._default_bias(),
            )
        self.built = True

    def _default_bias(self):
        if not self.bias_deviation:
            return "zeros"
        return keras.initializers.RandomNormal(stddev=self.bias_deviation)

    def call(self, inputs):
        outputs = self.product(inputs)
        if self.use_bias:
            outputs = outputs + self.bias
        return self.activation(outputs)

    def to_dense(self):
        """The layer's matrix: `layer(x)` is `activation(x @ matrix + bias)`.

        Returns:
            Tensor `(inputs, units)`.
        """
        return self.product(kops.eye(self.inputs, dtype=self.variable_dtype))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "bias_initializer": serialized(self.bias_initializer),
        }


class SquareDense(StructuredDense):
    """Base of those whose matrix is square, of n = max(inputs, units).

    Inputs are padded with zeros to n, and outputs cut. A class gives
    `build_product()`, which makes weights for `self.size`, n; and
    `square_product(inputs)` for `(..., n)`.

    Args:
        padding: `"right"`: zeros come after the inputs; `"left"`: before them.
    """

    def __init__(self, units, padding="right", **kwargs):
        super().__init__(units, **kwargs)
        self.padding = check_choice("padding", padding, PADDINGS)

    def build(self, input_shape):
        self.size = max(check_last_axis(self, input_shape), self.units)
        super().build(input_shape)

    def product(self, inputs):
        missing = self.size - self.inputs
        if missing:
            sides = (missing, 0) if self.padding == "left" else (0, missing)
            rank = len(inputs.shape)
            inputs = kops.pad(inputs, [(0, 0)] * (rank - 1) + [sides])
        return self.square_product(inputs)[..., : self.units]

    def get_config(self):
        return {**super().get_config(), "padding": self.padding}


def serialized(initializer):
    """Configuration of an initializer, or `None`."""
    return initializer and keras.initializers.serialize(initializer)
