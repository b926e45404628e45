"""Transposed and depthwise complex convolutions."""

import math

import keras
from keras import ops as kops

from cvzoo.layers.convolution import (
    ComplexWindowed,
    compute_conv_output_shape,
    per_dimension,
)
from cvzoo.layers.initializers import PartwiseUniform
from cvzoo.layers.linear import check_size
from cvzoo.ops import channels_last


class ComplexConvTranspose(ComplexWindowed):
    """Base of `ComplexConv1DTranspose` and `ComplexConv2DTranspose`."""

    unit_axes = (-2,)

    def __init__(self, rank, filters, kernel_size, output_padding=None, **kwargs):
        super().__init__(rank, kernel_size, **kwargs)
        self.filters = check_size("filters", filters)
        self.output_padding = output_padding
        if output_padding is not None:
            self.output_padding = per_dimension(
                "output_padding", output_padding, rank, smallest=0
            )
            if any(
                extra >= stride
                for extra, stride in zip(self.output_padding, self.strides, strict=True)
            ):
                raise ValueError(
                    "`output_padding` must be smaller than the strides. Received: "
                    f"output_padding={output_padding}, strides={self.strides}"
                )

    def build(self, input_shape):
        self.inputs = self.channels(input_shape)
        fan = math.prod(self.kernel_size) * self.filters
        self.add_kernel(input_shape, self.filters, bias_fan=fan)

    def kernel_shape_for(self, input_shape):
        return *self.kernel_size, self.filters, self.channels(input_shape)

    def multiply(self, inputs, kernel):
        return channels_last(
            kops.conv_transpose,
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )

    def compute_output_shape(self, input_shape):
        shape, _ = input_shape
        last = self.data_format == "channels_last"
        space = shape[1:-1] if last else shape[2:]
        extra = self.output_padding or [None] * self.rank
        found = [
            None if size is None else _transposed_size(size, *rest, self.padding)
            for size, *rest in zip(
                space,
                self.kernel_size,
                self.strides,
                self.dilation_rate,
                extra,
                strict=True,
            )
        ]
        found = (*found, self.filters) if last else (self.filters, *found)
        return (shape[0], *found), (shape[0], *found)

    def get_config(self):
        config = super().get_config()
        config.update(filters=self.filters, output_padding=self.output_padding)
        return config


def _transposed_size(size, window, stride, rate, extra, padding):
    """Length of a transposed convolution's output, as Keras defines it."""
    reach = rate * (window - 1) + 1
    if extra is None:
        return size * stride + (max(reach - stride, 0) if padding == "valid" else 0)
    before_and_after = 0 if padding == "valid" else 2 * (reach // 2)
    return (size - 1) * stride + reach - before_and_after + extra


@keras.saving.register_keras_serializable("cvzoo")
class ComplexConv1DTranspose(ComplexConvTranspose):
    """Transposed complex convolution over one axis: each entry spreads a window.

    The adjoint of `ComplexConv1D` without its conjugation, as in cplxmodule.

    Args:
        filters: Number of complex output channels.
        kernel_size: Length of the window.
        strides: Steps between the windows in the output.
        padding: `"valid"` or `"same"` (output of strides times the length).
        output_padding: Entries added at the end; below `strides`.
        **kwargs: `data_format`, `dilation_rate` and those of `ComplexDense`.

    Call arguments:
        inputs: Pair, each part `(batch, length, channels)`.

    Returns:
        Pair, each part `(batch, new length, filters)`.

    Reference:
        cplxmodule, `CplxConvTranspose1d`, where the bias is off by default.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(1, filters, kernel_size, **kwargs)


@keras.saving.register_keras_serializable("cvzoo")
class ComplexConv2DTranspose(ComplexConvTranspose):
    """Transposed complex convolution over two axes.

    Args:
        filters: Number of complex output channels.
        kernel_size: Height and width of the window, or one number for both.
        **kwargs: As in `ComplexConv1DTranspose`.

    Call arguments:
        inputs: Pair, each part `(batch, height, width, channels)`.

    Returns:
        Pair, each part `(batch, new height, new width, filters)`.

    Reference:
        cplxmodule, `CplxConvTranspose2d`, where the bias is off by default.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(2, filters, kernel_size, **kwargs)


@keras.saving.register_keras_serializable("cvzoo")
class ComplexDepthwiseConv2D(ComplexWindowed):
    """Complex convolution of each channel by itself.

    Args:
        kernel_size: Height and width of the window, or one number for both.
        depth_multiplier: Outputs of each channel.
        strides: Steps of the window, the same in both directions.
        **kwargs: `padding` (`"valid"` or `"same"`), `data_format`, `dilation_rate` and
            those of `ComplexDense`. The default initializers have the window's size
            as their fan.

    Call arguments:
        inputs: Pair, each part `(batch, height, width, channels)`.

    Returns:
        Pair, each part `(batch, new height, new width, channels · depth_multiplier)`.
    """

    unit_axes = (-2, -1)

    def __init__(self, kernel_size, depth_multiplier=1, **kwargs):
        if kwargs.get("kernel_initializer") is None:
            fan = math.prod(per_dimension("kernel_size", kernel_size, 2))
            kwargs["kernel_initializer"] = PartwiseUniform(1 / 6, fan=fan)
        super().__init__(2, kernel_size, **kwargs)
        self.depth_multiplier = check_size("depth_multiplier", depth_multiplier)

    def build(self, input_shape):
        self.inputs = self.channels(input_shape)
        self.compute_output_shape(input_shape)
        self.add_kernel(
            input_shape,
            self.inputs * self.depth_multiplier,
            bias_fan=math.prod(self.kernel_size),
        )

    def kernel_shape_for(self, input_shape):
        inputs = self.channels(input_shape)
        return *self.kernel_size, inputs, self.depth_multiplier

    def multiply(self, inputs, kernel):
        return kops.depthwise_conv(
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )

    def compute_output_shape(self, input_shape):
        part = compute_conv_output_shape(
            input_shape[0],
            self.channels(input_shape) * self.depth_multiplier,
            self.kernel_size,
            self.strides,
            self.padding,
            self.data_format,
            self.dilation_rate,
        )
        return part, part

    def get_config(self):
        config = super().get_config()
        config["depth_multiplier"] = self.depth_multiplier
        return config
