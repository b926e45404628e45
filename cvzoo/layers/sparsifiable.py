"""Keras' own linear layers, able to hold a sparsifier; `sparsify` puts them in."""

import keras
from keras import ops as kops

from cvzoo.layers import sparsifiers
from cvzoo.layers.convolution import pad_space
from cvzoo.layers.linear import Sparsifiable


class SparsifiableStock(Sparsifiable):
    """Mixin of a Keras layer with one kernel and a bias along its channels.

    A subclass gives `multiply(inputs, kernel)`, the linear map.
    """

    field = "real"

    def __init__(self, *args, sparsifier=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.sparsifier = sparsifiers.get(sparsifier)

    @property
    def kernel_parts(self):
        return (self._kernel,)

    def add_weight(self, *args, name=None, **kwargs):
        if name == "kernel":
            kwargs["autocast"] = False
        return super().add_weight(*args, name=name, **kwargs)

    def build(self, input_shape):
        super().build(input_shape)
        self.build_sparsifier()

    def call(self, inputs, training=None):
        (kernel,) = self.effective_kernel(training)
        outputs = self.multiply(inputs, kernel)
        if self.use_bias:
            outputs = outputs + self._aligned_bias(outputs)
        return self.activation(self.perturb(inputs, outputs, training))

    def _aligned_bias(self, outputs):
        if getattr(self, "data_format", "channels_last") == "channels_last":
            return self.bias
        return kops.reshape(self.bias, (-1, *[1] * (len(outputs.shape) - 2)))

    def variance(self, inputs, sigma2):
        return self.multiply(kops.square(kops.cast(inputs, sigma2.dtype)), sigma2)

    # Keras' layers store a fixed list, without `log_sigma2` and `mask`.

    def save_own_variables(self, store):
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        keras.layers.Layer.load_own_variables(self, store)

    def get_config(self):
        config = super().get_config()
        config["sparsifier"] = keras.saving.serialize_keras_object(self.sparsifier)
        return config


@keras.saving.register_keras_serializable("cvzoo")
class SparsifiableDense(SparsifiableStock, keras.layers.Dense):
    """`keras.layers.Dense` that can hold a sparsifier."""

    def multiply(self, inputs, kernel):
        return kops.matmul(inputs, kernel)


class SparsifiableConv(SparsifiableStock):
    """Mixin of `keras.layers.Conv1D` and its kin."""

    def multiply(self, inputs, kernel):
        inputs = pad_space(
            inputs, self.padding, self.kernel_size, self.dilation_rate, self.data_format
        )
        return kops.conv(
            inputs,
            kernel,
            strides=self.strides,
            padding="valid" if self.padding == "causal" else self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )


@keras.saving.register_keras_serializable("cvzoo")
class SparsifiableConv1D(SparsifiableConv, keras.layers.Conv1D):
    """`keras.layers.Conv1D` that can hold a sparsifier."""


@keras.saving.register_keras_serializable("cvzoo")
class SparsifiableConv2D(SparsifiableConv, keras.layers.Conv2D):
    """`keras.layers.Conv2D` that can hold a sparsifier."""


@keras.saving.register_keras_serializable("cvzoo")
class SparsifiableConv3D(SparsifiableConv, keras.layers.Conv3D):
    """`keras.layers.Conv3D` that can hold a sparsifier."""


# Stock layer → the form that can hold a sparsifier.
SPARSIFIABLE = {
    keras.layers.Dense: SparsifiableDense,
    keras.layers.Conv1D: SparsifiableConv1D,
    keras.layers.Conv2D: SparsifiableConv2D,
    keras.layers.Conv3D: SparsifiableConv3D,
}
