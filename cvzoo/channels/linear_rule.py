"""What dense layers and convolutions do to channels, by the zeros of their kernels."""

import math

import numpy as np

from cvzoo import sparsity
from cvzoo.channels import calling, fields, kinds


class Linear:
    """Rule of a dense layer or convolution.

    Attributes:
        links: `(inputs, outputs)`: whether the kernel joins two channels.
        is_mixing: Whether the layer's activation, such as softmax, needs all outputs.
    """

    def __init__(self, layer, values, shape):
        self.layer, self.values = layer, values
        self.is_mixing = not kinds.is_elementwise(layer)
        self.links = self._any_over_window(slice(None))
        self._varying = self._any_over_window(~_even_taps(layer, shape))

    def _any_over_window(self, taps):
        found = [(part[taps] != 0).any(axis=0) for part in self._parts()]
        return np.logical_or.reduce(found)

    def _parts(self):
        """The parts of the kernel as `(window, inputs, outputs)`."""
        for part in self.values.kernel:
            part = part.swapaxes(-1, -2) if kinds.is_transposed(self.layer) else part
            yield part.reshape(-1, *part.shape[-2:])

    def used(self, outputs):
        """Which input channels matter, from which output channels do."""
        return np.any(self.links, axis=1, where=self._used_outputs(outputs))

    def needed(self, constants, outputs):
        """The same, without the channels that the bias can take over."""
        is_used = self._used_outputs(outputs)
        found = np.any(self._varying, axis=1, where=is_used)
        found &= ~np.logical_and.reduce([part == 0 for part in constants])
        unknown = np.logical_or.reduce([np.isnan(part) for part in constants])
        return found | (unknown & np.any(self.links, axis=1, where=is_used))

    def _used_outputs(self, outputs):
        is_used = np.logical_or.reduce(outputs)[None, :]
        return np.ones_like(is_used) if self.is_mixing else is_used

    def shift(self, channels, constants):
        """What constant `channels` add to the parts of the bias."""
        rows = [
            part[:, channels].sum(axis=0, dtype=np.float64) for part in self._parts()
        ]
        values = [part[channels] for part in constants]
        if len(rows) == 1:
            return [values[0] @ rows[0]]
        (u, v), (real, imag) = rows, values
        return [real @ u - imag @ v, real @ v + imag @ u]

    def fields(self, inputs):
        """`fields.Field`s of the outputs from those of the inputs."""
        reached = reach(self.layer, self.values)([~field.known for field in inputs])
        run = calling.twin(self.layer, self.values)
        outputs = run([field.values for field in inputs])
        known = (reached[0] == 0) & (not self.is_mixing)
        return [fields.field_of(known, part) for part in outputs]


def _even_taps(layer, shape):
    """Which entries of the window see the same number of inputs at every place.

    At a border with padding an entry sees none, so that a constant input does not make
    a constant output. Found by a convolution of ones, one filter for each entry.
    """
    window = getattr(layer, "kernel_size", ())
    size = math.prod(window)
    if not kinds.sees_borders(layer):
        return np.ones(size, bool)
    if None in shape[1:-1]:
        return np.zeros(size, bool)
    kernel = np.eye(size, dtype=np.float32).reshape(*window, 1, size)
    if kinds.is_transposed(layer):
        kernel = kernel.swapaxes(-1, -2)
    parts = len(sparsity.kernel_variables(layer))
    kernels = [kernel, np.zeros_like(kernel)][:parts]
    values = calling.Values(kernels, [])
    linear = calling.twin(layer, values, filters=size, activation=None)
    ones = np.ones((1, *shape[1:-1], 1), np.float32)
    (counts, *_) = linear([ones, np.zeros_like(ones)][:parts])
    return np.ptp(counts.reshape(-1, size), axis=0) == 0


def reach(layer, values):
    """The `reach` of a linear layer: what its non-zero weights see."""
    is_linked = np.logical_or.reduce([part != 0 for part in values.kernel])
    none = np.zeros(is_linked.shape, np.float32)
    kernels = [is_linked.astype(np.float32), none][: len(values.kernel)]
    linear = calling.twin(layer, calling.Values(kernels, []), activation=None)

    def run(parts):
        seen = np.logical_or.reduce([part != 0 for part in parts]).astype(np.float32)
        reached = linear([seen, np.zeros_like(seen)][: len(parts)])[0]
        return [np.round(reached)] * len(parts)  # counts, up to rounding

    return run
