"""Activations of pairs."""

import keras
from keras import ops as kops

from cvzoo.layers.complex import PairLayer
from cvzoo.ops.activations import (
    cardioid,
    complex_tanh,
    mod_relu,
    threshold_mod_relu,
    z_relu,
)


class PairActivation(PairLayer):
    """Base of activations: shapes and masks stay."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_output_shape(self, input_shape):
        return input_shape


class ChannelActivation(PairActivation):
    """Base of activations with one learned real number for each channel.

    Args:
        axis: Axis of the channels.
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(axis, int) or axis == 0:
            raise ValueError(
                "`axis` must be the number of the channels' axis, and 0 is the batch. "
                f"Received: axis={axis!r}"
            )
        self.axis = axis

    def add_channel_weight(self, name, input_shape, initializer):
        part, _ = input_shape
        if not -len(part) < self.axis < len(part) or part[self.axis] is None:
            raise ValueError(
                f"{type(self).__name__} '{self.name}' needs parts with a known number "
                f"of channels on axis {self.axis}. Received shape {tuple(part)}"
            )
        return self.add_weight(
            name=name,
            shape=(part[self.axis],),
            initializer=initializer,
            autocast=False,
        )

    def aligned(self, weight, inputs):
        """The weight, with axes of size 1 to match the inputs."""
        shape = inputs[0].shape
        if shape[self.axis] != weight.shape[0]:
            raise ValueError(
                f"{type(self).__name__} '{self.name}' was built for {weight.shape[0]} "
                f"channels on axis {self.axis}. Received shape {tuple(shape)}"
            )
        sizes = [1] * len(shape)
        sizes[self.axis] = -1
        return kops.reshape(kops.convert_to_tensor(weight), sizes)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


@keras.saving.register_keras_serializable("cvzoo")
class SplitActivation(PairActivation):
    """A real activation on the real and on the imaginary part.

    `SplitActivation("relu")` is the CReLU of paper 2's networks.

    Args:
        activation: Name of a Keras activation, or such a function.

    Call arguments:
        inputs: Pair of any shape.

    Returns:
        Pair of the same shapes.

    Reference:
        [Trabelsi et al., 2018](https://arxiv.org/abs/1705.09792)
    """

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)

    def call(self, inputs):
        real, imag = inputs
        return self.activation(real), self.activation(imag)

    def get_config(self):
        config = super().get_config()
        config["activation"] = keras.activations.serialize(self.activation)
        return config


@keras.saving.register_keras_serializable("cvzoo")
class ZReLU(PairActivation):
    """Keeps the first quadrant: `z` where 0 ≤ arg z ≤ π/2, else 0.

    Call arguments:
        inputs: Pair of any shape.

    Returns:
        Pair of the same shapes.

    Reference:
        [Guberman, 2016](https://arxiv.org/abs/1602.09046)
    """

    def call(self, inputs):
        return z_relu(inputs)


@keras.saving.register_keras_serializable("cvzoo")
class ModReLU(ChannelActivation):
    """Shifts the modulus and keeps the phase: `z → relu(|z| + b) z / |z|`, 0 at 0.

    One `b` is learned for each channel. With `b = 0` this is the identity.

    Args:
        bias_initializer: Initializer of `b`. Defaults to `"zeros"`.
        axis: Axis of the channels. Defaults to the last.

    Call arguments:
        inputs: Pair, each part `(batch, ..., channels)`.

    Returns:
        Pair of the same shapes.

    Reference:
        [Arjovsky et al., 2016](https://arxiv.org/abs/1511.06464)
    """

    def __init__(self, bias_initializer="zeros", axis=-1, **kwargs):
        super().__init__(axis, **kwargs)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape):
        self.bias = self.add_channel_weight("bias", input_shape, self.bias_initializer)
        self.built = True

    def call(self, inputs):
        return mod_relu(inputs, self.aligned(self.bias, inputs))

    def get_config(self):
        config = super().get_config()
        config["bias_initializer"] = keras.initializers.serialize(self.bias_initializer)
        return config


@keras.saving.register_keras_serializable("cvzoo")
class ThresholdModReLU(PairActivation):
    """cplxmodule's modReLU: `z → z · max(0, 1 − τ / max(|z|, 1e-5))`.

    τ is minus the `b` of `ModReLU`, and one for all channels.

    Args:
        threshold: τ, or `None` for a learned one. Defaults to 0.5.
        threshold_initializer: Initializer of a learned τ. Defaults to uniform on
            [0, 0.25), as in cplxmodule.

    Call arguments:
        inputs: Pair of any shape.

    Returns:
        Pair of the same shapes.

    Reference:
        cplxmodule, `CplxModReLU`.
    """

    def __init__(self, threshold=0.5, threshold_initializer=None, **kwargs):
        super().__init__(**kwargs)
        is_number = isinstance(threshold, (int, float))
        if threshold is not None and not is_number:
            raise ValueError(
                "`threshold` must be a number, or None for a learned one. Received: "
                f"threshold={threshold!r}"
            )
        self.threshold = threshold
        self.threshold_initializer = keras.initializers.get(
            threshold_initializer or keras.initializers.RandomUniform(0.0, 0.25)
        )

    def build(self, input_shape):
        self.learned_threshold = None
        if self.threshold is None:
            self.learned_threshold = self.add_weight(
                name="threshold",
                shape=(),
                initializer=self.threshold_initializer,
                autocast=False,
            )
        self.built = True

    def call(self, inputs):
        threshold = self.threshold
        if threshold is None:
            threshold = kops.convert_to_tensor(self.learned_threshold)
        return threshold_mod_relu(inputs, threshold)

    def get_config(self):
        config = super().get_config()
        config.update(
            threshold=self.threshold,
            threshold_initializer=keras.initializers.serialize(
                self.threshold_initializer
            ),
        )
        return config


@keras.saving.register_keras_serializable("cvzoo")
class AdaptiveModReLU(ChannelActivation):
    """`ThresholdModReLU` with one learned threshold τ for each channel.

    Args:
        threshold_initializer: Initializer of τ. Defaults to N(0, 0.02²), as in
            cplxmodule.
        axis: Axis of the channels. Defaults to the last.

    Call arguments:
        inputs: Pair, each part `(batch, ..., channels)`.

    Returns:
        Pair of the same shapes.

    Reference:
        cplxmodule, `CplxAdaptiveModReLU`.
    """

    def __init__(self, threshold_initializer=None, axis=-1, **kwargs):
        super().__init__(axis, **kwargs)
        self.threshold_initializer = keras.initializers.get(
            threshold_initializer or keras.initializers.RandomNormal(stddev=0.02)
        )

    def build(self, input_shape):
        self.threshold = self.add_channel_weight(
            "threshold", input_shape, self.threshold_initializer
        )
        self.built = True

    def call(self, inputs):
        return threshold_mod_relu(inputs, self.aligned(self.threshold, inputs))

    def get_config(self):
        config = super().get_config()
        config["threshold_initializer"] = keras.initializers.serialize(
            self.threshold_initializer
        )
        return config


@keras.saving.register_keras_serializable("cvzoo")
class Cardioid(PairActivation):
    """Shrinks by the phase: `z → ½ (1 + cos arg z) z`; the ReLU on real numbers.

    Call arguments:
        inputs: Pair of any shape.

    Returns:
        Pair of the same shapes.

    Reference:
        [Virtue et al., 2017](https://arxiv.org/abs/1707.00070)
    """

    def call(self, inputs):
        return cardioid(inputs)


@keras.saving.register_keras_serializable("cvzoo")
class ComplexTanh(PairActivation):
    """The analytic `tanh z`, which is not bounded: it has poles at i(π/2 + kπ).

    Within about 3e-5 of a pole the value is kept below 3.2e4. `SplitActivation("tanh")`
    is the bounded form, on both parts.

    Call arguments:
        inputs: Pair of any shape.

    Returns:
        Pair of the same shapes.

    Reference:
        cplxmodule, `cplx.tanh`.
    """

    def call(self, inputs):
        return complex_tanh(inputs)
