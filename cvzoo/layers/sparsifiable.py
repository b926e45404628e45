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
        # `kernel` of some stock layers is a property around `_kernel`.
        return (self._kernel if hasattr(self, "_kernel") else self.kernel,)

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
        if self.bias is not None:
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


class SparsifiableWindowed(SparsifiableStock):
    """Mixin of Keras layers that slide a window."""

    @property
    def window_arguments(self):
        return {
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
        }


class SparsifiableConv(SparsifiableWindowed):
    """Mixin of `keras.layers.Conv1D` and its kin."""

    def multiply(self, inputs, kernel):
        inputs = pad_space(
            inputs, self.padding, self.kernel_size, self.dilation_rate, self.data_format
        )
        padding = "valid" if self.padding == "causal" else self.padding
        return kops.conv(inputs, kernel, **self.window_arguments | {"padding": padding})


@keras.saving.register_keras_serializable("cvzoo")
class SparsifiableConv1D(SparsifiableConv, keras.layers.Conv1D):
    """`keras.layers.Conv1D` that can hold a sparsifier."""


@keras.saving.register_keras_serializable("cvzoo")
class SparsifiableConv2D(SparsifiableConv, keras.layers.Conv2D):
    """`keras.layers.Conv2D` that can hold a sparsifier."""


@keras.saving.register_keras_serializable("cvzoo")
class SparsifiableConv3D(SparsifiableConv, keras.layers.Conv3D):
    """`keras.layers.Conv3D` that can hold a sparsifier."""


class SparsifiableConvTranspose(SparsifiableWindowed):
    """Mixin of `keras.layers.Conv1DTranspose` and its kin."""

    unit_axes = (-2,)

    def multiply(self, inputs, kernel):
        return kops.conv_transpose(
            inputs,
            kernel,
            output_padding=self.output_padding,
            **self.window_arguments,
        )


@keras.saving.register_keras_serializable("cvzoo")
class SparsifiableConv1DTranspose(
    SparsifiableConvTranspose, keras.layers.Conv1DTranspose
):
    """`keras.layers.Conv1DTranspose` that can hold a sparsifier."""


@keras.saving.register_keras_serializable("cvzoo")
class SparsifiableConv2DTranspose(
    SparsifiableConvTranspose, keras.layers.Conv2DTranspose
):
    """`keras.layers.Conv2DTranspose` that can hold a sparsifier."""


@keras.saving.register_keras_serializable("cvzoo")
class SparsifiableConv3DTranspose(
    SparsifiableConvTranspose, keras.layers.Conv3DTranspose
):
    """`keras.layers.Conv3DTranspose` that can hold a sparsifier."""


class SparsifiableDepthwiseConv(SparsifiableWindowed):
    """Mixin of `keras.layers.DepthwiseConv1D` and `DepthwiseConv2D`."""

    unit_axes = (-2, -1)

    def multiply(self, inputs, kernel):
        return kops.depthwise_conv(inputs, kernel, **self.window_arguments)


@keras.saving.register_keras_serializable("cvzoo")
class SparsifiableDepthwiseConv1D(
    SparsifiableDepthwiseConv, keras.layers.DepthwiseConv1D
):
    """`keras.layers.DepthwiseConv1D` that can hold a sparsifier."""


@keras.saving.register_keras_serializable("cvzoo")
class SparsifiableDepthwiseConv2D(
    SparsifiableDepthwiseConv, keras.layers.DepthwiseConv2D
):
    """`keras.layers.DepthwiseConv2D` that can hold a sparsifier."""


@keras.saving.register_keras_serializable("cvzoo")
class SparsifiableEinsumDense(SparsifiableStock, keras.layers.EinsumDense):
    """`keras.layers.EinsumDense` that can hold a sparsifier.

    An output unit is one setting of the kernel's letters that the output has too.
    """

    @property
    def unit_axes(self):
        _, kernel, outputs = einsum_specs(self.equation)
        return tuple(place for place, one in enumerate(kernel) if one in outputs)

    def multiply(self, inputs, kernel):
        return kops.einsum(self.equation, inputs, kernel)

    def variance(self, inputs, sigma2):
        # Letters of the inputs alone are summed before the kernel's weights come in,
        # so their sum is squared.
        letters, kernel, outputs = einsum_specs(self.equation)
        left = "".join(one for one in letters if one in kernel + outputs + ".")
        inputs = kops.cast(inputs, sigma2.dtype)
        if left != letters:
            inputs = kops.einsum(f"{letters}->{left}", inputs)
        return kops.einsum(f"{left},{kernel}->{outputs}", kops.square(inputs), sigma2)

    def _aligned_bias(self, outputs):
        return self.bias  # Made in a shape that broadcasts.


def einsum_specs(equation):
    """`"ab,bc->ac"` → `("ab", "bc", "ac")`."""
    operands, outputs = equation.replace(" ", "").split("->")
    inputs, kernel = operands.split(",")
    return inputs, kernel, outputs


def einsum_kernel_shape(layer, input_shape):
    """Shape of the kernel of an `EinsumDense`, built or not."""
    inputs, kernel, outputs = einsum_specs(layer.equation)
    output_shape = layer.compute_output_shape(input_shape)
    sizes = {**_sizes(outputs, output_shape), **_sizes(inputs, input_shape)}
    return tuple(sizes[letter] for letter in kernel)


def _sizes(spec, shape):
    """Letter → size; letters right of an ellipsis are counted from the end."""
    first, _, last = spec.partition("...")
    sizes = dict(zip(first, shape, strict=False))
    sizes.update(zip(last, shape[len(shape) - len(last) :], strict=True))
    return sizes


# Stock layer → the form that can hold a sparsifier.
SPARSIFIABLE = {
    keras.layers.Dense: SparsifiableDense,
    keras.layers.EinsumDense: SparsifiableEinsumDense,
    keras.layers.Conv1D: SparsifiableConv1D,
    keras.layers.Conv2D: SparsifiableConv2D,
    keras.layers.Conv3D: SparsifiableConv3D,
    keras.layers.Conv1DTranspose: SparsifiableConv1DTranspose,
    keras.layers.Conv2DTranspose: SparsifiableConv2DTranspose,
    keras.layers.Conv3DTranspose: SparsifiableConv3DTranspose,
    keras.layers.DepthwiseConv1D: SparsifiableDepthwiseConv1D,
    keras.layers.DepthwiseConv2D: SparsifiableDepthwiseConv2D,
}
