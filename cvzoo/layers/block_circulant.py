"""Layers of circulant blocks."""

import keras
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers.linear import check_last_axis, check_size


@keras.saving.register_keras_serializable("cvzoo")
class BlockCirculant(keras.layers.Layer):
    """Dense layer whose matrix consists of circulant blocks: `inputs · units / b`.

    Between a dense layer (b = 1) and a circulant one. Inputs are padded with zeros on
    the right, and outputs cut, to multiples of the block size b.

    Args:
        units: Number of outputs.
        block_size: b. Powers of two are fastest.
        activation: Name of, or, an activation.
        use_bias: Whether a bias is added.
        kernel_initializer: Defaults to normal with variance 2 over the number of
            inputs, padded: what paper 1, §5, is for one block.
        bias_initializer: Defaults to `"zeros"`.

    Call arguments:
        inputs: Tensor `(batch, ..., inputs)`.

    Returns:
        Tensor `(batch, ..., units)`.

    Raises:
        ValueError: At build, if the number of inputs is not known.

    Reference:
        Ding et al., 2017, CirCNN.
    """

    def __init__(
        self,
        units,
        block_size,
        activation=None,
        use_bias=True,
        kernel_initializer=None,
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = check_size("units", units)
        self.block_size = check_size("block_size", block_size)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.supports_masking = True

    def build(self, input_shape):
        self.inputs = check_last_axis(self, input_shape)
        rows, columns = (-(-n // self.block_size) for n in (self.units, self.inputs))
        self.kernel = self.add_weight(
            name="kernel",
            shape=(rows, columns, self.block_size),
            initializer=self.kernel_initializer
            or keras.initializers.RandomNormal(
                stddev=(2 / (columns * self.block_size)) ** 0.5
            ),
            autocast=False,  # transforms need float32
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.units,), initializer=self.bias_initializer
            )
        self.built = True

    def call(self, inputs):
        missing = self.kernel.shape[1] * self.block_size - self.inputs
        if missing:
            sides = [(0, 0)] * (len(inputs.shape) - 1) + [(0, missing)]
            inputs = kops.pad(inputs, sides)
        outputs = ops.block_circulant_product(inputs, self.kernel)[..., : self.units]
        if self.use_bias:
            outputs = outputs + self.bias
        return self.activation(outputs)

    def to_dense(self):
        """The layer's matrix `(inputs, units)`, as of a dense layer."""
        blocks = ops.circulant_matrix(kops.convert_to_tensor(self.kernel))
        rows, columns, size, _ = blocks.shape
        matrix = kops.transpose(blocks, (1, 3, 0, 2))  # input, then output
        matrix = kops.reshape(matrix, (columns * size, rows * size))
        return matrix[: self.inputs, : self.units]

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "units": self.units,
            "block_size": self.block_size,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": self.kernel_initializer
            and serialize(self.kernel_initializer),
            "bias_initializer": serialize(self.bias_initializer),
        }
