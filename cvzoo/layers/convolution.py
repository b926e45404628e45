"""Complex convolutions of one, two and three dimensions.

Arguments mean what they do in `keras.layers.Conv2D` and its kin; what is complex is in
`ComplexLinear`.
"""

import math

import keras
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers.linear import ComplexLinear, check_size

PADDINGS = ("valid", "same", "circular")


class ComplexWindowed(ComplexLinear):
    """Base of complex layers that slide a window of `rank` dimensions.

    Args:
        rank: Number of spatial dimensions.
        kernel_size: Integer, or one for each dimension.
        strides: Likewise.
        padding: One of `paddings`.
        data_format: `"channels_last"` or `"channels_first"`; the latter where Keras
            itself runs it. Defaults to the setting of Keras.
        dilation_rate: Like `kernel_size`.
        **kwargs: Arguments of `ComplexLinear`.
    """

    paddings = ("valid", "same")

    def __init__(
        self,
        rank,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.rank = rank
        self.kernel_size = per_dimension("kernel_size", kernel_size, rank)
        self.strides = per_dimension("strides", strides, rank)
        self.dilation_rate = per_dimension("dilation_rate", dilation_rate, rank)
        if padding not in self.paddings:
            raise ValueError(
                f"`padding` must be one of {self.paddings}. Received: {padding!r}"
            )
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "Strides and dilation cannot both be above 1. Received: "
                f"strides={self.strides}, dilation_rate={self.dilation_rate}"
            )
        self.padding = padding
        self.data_format = data_format or keras.config.image_data_format()
        if self.data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                "`data_format` must be 'channels_last' or 'channels_first'. Received: "
                f"{data_format!r}"
            )
        self.bias_axis = -1 if self.data_format == "channels_last" else 1
        # As in Keras, which warns when a mask ends here.
        self.supports_masking = False

    def channels(self, input_shape):
        """Number of input channels, once the shape of the inputs has been checked."""
        shape, _ = input_shape
        if len(shape) != self.rank + 2 or shape[self.bias_axis] is None:
            raise ValueError(
                f"{type(self).__name__} '{self.name}' needs parts of {self.rank + 2} "
                f"axes, {self.data_format}, with a known number of channels. Received "
                f"shape {tuple(shape)}"
            )
        return shape[self.bias_axis]

    def call(self, inputs, training=None):
        found = self.channels([part.shape for part in inputs])
        if found != self.inputs:
            raise ValueError(
                f"{type(self).__name__} '{self.name}' was built for {self.inputs} "
                f"channels. Received parts of shape {tuple(inputs[0].shape)}"
            )
        return super().call(inputs, training)

    def compute_mask(self, inputs, previous_mask):
        return None

    def get_config(self):
        config = super().get_config()
        config.update(
            kernel_size=self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return config


class ComplexConv(ComplexWindowed):
    """Base of `ComplexConv1D`, `ComplexConv2D` and `ComplexConv3D`."""

    paddings = PADDINGS

    def __init__(self, rank, filters, kernel_size, groups=1, **kwargs):
        super().__init__(rank, kernel_size, **kwargs)
        self.filters = check_size("filters", filters)
        self.groups = check_size("groups", groups)
        if filters % groups:
            raise ValueError(
                "`filters` must be a multiple of `groups`. Received: "
                f"filters={filters}, groups={groups}"
            )

    def build(self, input_shape):
        self.inputs = self.channels(input_shape)
        if self.inputs % self.groups:
            raise ValueError(
                f"{type(self).__name__} '{self.name}' needs a number of input channels "
                f"that is a multiple of groups={self.groups}. Received {self.inputs} "
                f"channels, in parts of shape {tuple(input_shape[0])}"
            )
        self.compute_output_shape(input_shape)
        fan = math.prod(self.kernel_size) * self.inputs // self.groups
        self.add_kernel(input_shape, self.filters, bias_fan=fan)

    def kernel_shape_for(self, input_shape):
        inputs = self.channels(input_shape) // self.groups
        return *self.kernel_size, inputs, self.filters

    @property
    def _arguments(self):
        return {
            "strides": self.strides,
            "padding": "same" if self.padding == "same" else "valid",
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
        }

    def complex_multiply(self, inputs, kernel):
        inputs = tuple(self._padded(part) for part in inputs)
        return ops.complex_conv(inputs, kernel, **self._arguments)

    def multiply(self, inputs, kernel):
        return ops.conv(self._padded(inputs), kernel, **self._arguments)

    def _padded(self, inputs):
        return pad_space(
            inputs, self.padding, self.kernel_size, self.dilation_rate, self.data_format
        )

    def compute_output_shape(self, input_shape):
        shape, _ = input_shape
        padding = "same" if self.padding == "circular" else self.padding
        part = compute_conv_output_shape(
            shape,
            self.filters,
            self.kernel_size,
            self.strides,
            padding,
            self.data_format,
            self.dilation_rate,
        )
        return part, part

    def get_config(self):
        config = super().get_config()
        config.update(filters=self.filters, groups=self.groups)
        return config


def compute_conv_output_shape(
    shape, filters, window, strides, padding, layout, dilation
):
    """Shape of the output of a convolution, in Keras' order of axes.

    Raises:
        ValueError: The window does not fit into the input.
    """
    space = shape[1:-1] if layout == "channels_last" else shape[2:]
    found = []
    for size, width, stride, rate in zip(space, window, strides, dilation, strict=True):
        if size is None:
            found.append(None)
            continue
        lost = rate * (width - 1) if padding == "valid" else 0
        found.append(-(-(size - lost) // stride))
    if any(size is not None and size < 1 for size in found):
        raise ValueError(
            f"A window of {window} with dilation {dilation} does not fit into an input "
            f"of shape {tuple(shape)}. Use padding='same', or a smaller window."
        )
    if layout == "channels_last":
        return shape[0], *found, filters
    return shape[0], filters, *found


def pad_space(inputs, padding, window, dilation, layout):
    """Adds what a window with `"causal"` or `"circular"` padding reaches for.

    Causal: zeros before. Circular: ⌈p/2⌉ entries from the end before, ⌊p/2⌋ from the
    beginning after, p = dilation·(window − 1), as in cplxmodule.
    """
    if padding not in ("causal", "circular"):
        return inputs
    first = 1 if layout == "channels_last" else 2
    for axis, (size, rate) in enumerate(zip(window, dilation, strict=True), first):
        amount = rate * (size - 1)
        if padding == "causal":
            edges = [(0, 0)] * len(inputs.shape)
            edges[axis] = (amount, 0)
            inputs = kops.pad(inputs, edges)
        elif amount:
            inputs = _wrap(inputs, axis, -(-amount // 2), amount // 2)
    return inputs


def _wrap(inputs, axis, before, after):
    size = inputs.shape[axis]
    if size is not None and size < before:
        raise ValueError(
            f"Circular padding would take {before} entries from an axis of {size}. Use "
            "a smaller window or dilation."
        )

    def part(start, stop):
        return inputs[(slice(None),) * axis + (slice(start, stop),)]

    ends = [part(-before, None), inputs, *([part(0, after)] if after else [])]
    return kops.concatenate(ends, axis=axis)


@keras.saving.register_keras_serializable("cvzoo")
class ComplexConv1D(ComplexConv):
    """Complex convolution over one axis, `activation(z ∗ W + b)`, W not turned around.

    Args:
        filters: Number of complex output channels.
        kernel_size: Length of the window.
        strides: Step of the window.
        padding: `"valid"`, `"same"`, `"causal"` (zeros before, channels_last only) or
            `"circular"` (the other end goes on).
        data_format: `"channels_last"`, or `"channels_first"` where Keras runs it.
        dilation_rate: Distance between the window's entries.
        groups: Number of groups of channels that are convolved apart.
        **kwargs: `activation`, `use_bias`, `kernel_initializer`, `bias_initializer`
            and `sparsifier`, as in `ComplexDense`. By default each part of the bias is
            uniform on ±1/√(inputs / groups · window), as in cplxmodule.

    Call arguments:
        inputs: Pair, each part `(batch, length, channels)`.

    Returns:
        Pair, each part `(batch, new length, filters)`.

    Reference:
        Paper 2, eq. 6; cplxmodule, `CplxConv1d`.
    """

    paddings = (*PADDINGS, "causal")

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(1, filters, kernel_size, **kwargs)
        if self.padding == "causal" and self.data_format == "channels_first":
            raise ValueError("`padding='causal'` needs data_format='channels_last'.")


@keras.saving.register_keras_serializable("cvzoo")
class ComplexConv2D(ComplexConv):
    """Complex convolution over two axes, `activation(z ∗ W + b)`, W not turned around.

    Args:
        filters: Number of complex output channels.
        kernel_size: Height and width of the window, or one number for both.
        **kwargs: As in `ComplexConv1D`; no causal padding.

    Call arguments:
        inputs: Pair, each part `(batch, height, width, channels)`.

    Returns:
        Pair, each part `(batch, new height, new width, filters)`.

    Reference:
        Paper 2, eq. 6; cplxmodule, `CplxConv2d`.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(2, filters, kernel_size, **kwargs)


@keras.saving.register_keras_serializable("cvzoo")
class ComplexConv3D(ComplexConv):
    """Complex convolution over three axes, `activation(z ∗ W + b)`.

    Args:
        filters: Number of complex output channels.
        kernel_size: Sizes of the window, or one number for all.
        **kwargs: As in `ComplexConv1D`; no causal padding.

    Call arguments:
        inputs: Pair, each part `(batch, depth, height, width, channels)`.

    Returns:
        Pair, each part `(batch, new depth, new height, new width, filters)`.

    Reference:
        cplxmodule, `CplxConv3d`.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(3, filters, kernel_size, **kwargs)


def per_dimension(name, value, rank, smallest=1):
    """A tuple of `rank` integers from one of them or from a sequence."""
    values = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(values) != rank or any(
        not isinstance(one, int) or one < smallest for one in values
    ):
        raise ValueError(
            f"`{name}` must be an integer of at least {smallest}, or {rank} of them. "
            f"Received: {value!r}"
        )
    return values
