"""Bilinear forms, real and of two pairs, and learned phase shifts."""

import keras
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers.complex import PairLayer
from cvzoo.layers.linear import ComplexLinear, check_size
from cvzoo.layers.sparsifiable import SparsifiableStock


@keras.saving.register_keras_serializable("cvzoo")
class Bilinear(SparsifiableStock, keras.layers.Layer):
    """Bilinear form of two real inputs, `yₖ = Σᵢⱼ xᵢ Wᵢⱼₖ zⱼ + bₖ`.

    Args:
        units: Number of outputs.
        activation: Name of, or, an activation.
        use_bias: Whether a bias is added.
        kernel_initializer: Defaults to uniform on ±1/√(n·m), the real counterpart of
            `ComplexBilinear`.
        bias_initializer: Defaults to `"zeros"`.
        sparsifier: `None`, `VariationalDropout`, `ARD`, `MagnitudePruning`,
            `FixedMask` or a sum of them.

    Call arguments:
        inputs: List `[x, z]` of tensors `(batch, ..., n)` and `(batch, ..., m)`.

    Returns:
        Tensor `(batch, ..., units)`.

    Raises:
        ValueError: If there are not two inputs, or their shapes do not fit.

    Reference:
        `torch.nn.Bilinear`.
    """

    def __init__(
        self,
        units,
        activation=None,
        use_bias=True,
        kernel_initializer=None,
        bias_initializer="zeros",
        sparsifier=None,
        **kwargs,
    ):
        super().__init__(sparsifier=sparsifier, **kwargs)
        self.units = check_size("units", units)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        # Keras takes the first axis for a window: the fan is n·m.
        self.kernel_initializer = keras.initializers.get(
            kernel_initializer
            or keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        )
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def __call__(self, inputs, *args, **kwargs):
        if not isinstance(inputs, (tuple, list)) or len(inputs) != 2:
            raise ValueError(
                f"Bilinear '{self.name}' works on a list of two tensors, `[x, z]`. "
                f"Received a {type(inputs).__name__}."
            )
        return super().__call__(list(inputs), *args, **kwargs)

    def build(self, input_shape):
        if any(shape[-1] is None for shape in input_shape):
            raise ValueError(
                f"Bilinear '{self.name}' needs inputs with a known last axis. Received "
                f"shapes {[tuple(shape) for shape in input_shape]}"
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=self.kernel_shape_for(input_shape),
            initializer=self.kernel_initializer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.units,), initializer=self.bias_initializer
            )
        self.build_sparsifier()
        self.built = True

    def kernel_shape_for(self, input_shape):
        left, right = input_shape
        return left[-1], right[-1], self.units

    def call(self, inputs, training=None):
        left, right = inputs
        n, m, _ = self.kernel.shape
        found = left.shape[-1], right.shape[-1]
        if found != (n, m) or left.shape[1:-1] != right.shape[1:-1]:
            raise ValueError(
                f"Bilinear '{self.name}' was built for inputs of shapes "
                f"(batch, ..., {n}) and (batch, ..., {m}), equal but for the last "
                f"axis. Received shapes {tuple(left.shape)} and {tuple(right.shape)}"
            )
        return super().call(inputs, training)

    def multiply(self, inputs, kernel):
        left, right = inputs
        outer = ops.join_last_two(left[..., :, None] * right[..., None, :])
        return kops.matmul(outer, kops.reshape(kernel, (-1, self.units)))

    def variance(self, inputs, sigma2):
        squares = [kops.square(kops.cast(one, sigma2.dtype)) for one in inputs]
        return self.multiply(squares, sigma2)

    def compute_output_shape(self, input_shape):
        left, _ = input_shape
        return *left[:-1], self.units

    def get_config(self):
        config = super().get_config()
        serialize = keras.initializers.serialize
        config.update(
            units=self.units,
            activation=keras.activations.serialize(self.activation),
            use_bias=self.use_bias,
            kernel_initializer=serialize(self.kernel_initializer),
            bias_initializer=serialize(self.bias_initializer),
        )
        return config


@keras.saving.register_keras_serializable("cvzoo")
class ComplexBilinear(ComplexLinear):
    """Bilinear form of two complex inputs, `yₖ = Σᵢⱼ x̄ᵢ Wᵢⱼₖ zⱼ + bₖ`.

    Args:
        units: Number of complex outputs.
        conjugate: Whether the first input is conjugated, so that a common phase of
            both inputs makes no difference.
        **kwargs: `activation`, `use_bias`, `kernel_initializer`, `bias_initializer`
            and `sparsifier`, as in `ComplexDense`. The fan of the default
            initializers is n·m, as in cplxmodule.

    Call arguments:
        inputs: List `[x, z]` of two pairs, parts `(batch, ..., n)` and
            `(batch, ..., m)`.

    Returns:
        Pair, each part `(batch, ..., units)`.

    Reference:
        cplxmodule, `CplxBilinear`.
    """

    def __init__(self, units, conjugate=True, **kwargs):
        super().__init__(**kwargs)
        self.units = check_size("units", units)
        self.conjugate = conjugate

    def __call__(self, inputs, *args, **kwargs):
        receiver = f"ComplexBilinear '{self.name}'"
        if not isinstance(inputs, (tuple, list)) or len(inputs) != 2:
            raise ValueError(
                f"{receiver} works on a list of two pairs, `[x, z]`. Received a "
                f"{type(inputs).__name__}."
            )
        pairs = [ops.check_pair(pair, f"{receiver} (each input)") for pair in inputs]
        # Past PairLayer, which checks for one pair.
        return keras.layers.Layer.__call__(self, pairs, *args, **kwargs)

    def build(self, input_shape):
        (left, _), (right, _) = input_shape
        if left[-1] is None or right[-1] is None:
            raise ValueError(
                f"ComplexBilinear '{self.name}' needs parts with a known last axis. "
                f"Received shapes {tuple(left)} and {tuple(right)}"
            )
        self.add_kernel(input_shape, self.units, bias_fan=left[-1] * right[-1])

    def kernel_shape_for(self, input_shape):
        (left, _), (right, _) = input_shape
        return left[-1], right[-1], self.units

    def call(self, inputs, training=None):
        (left, _), (right, _) = inputs
        found = left.shape[-1], right.shape[-1]
        expected = tuple(self.kernel_real.shape[:2])
        if found != expected or left.shape[1:-1] != right.shape[1:-1]:
            raise ValueError(
                f"ComplexBilinear '{self.name}' was built for parts of shapes "
                f"(batch, ..., {expected[0]}) and (batch, ..., {expected[1]}), equal "
                f"but for the last axis. Received shapes {tuple(left.shape)} and "
                f"{tuple(right.shape)}"
            )
        return super().call(inputs, training)

    def complex_multiply(self, inputs, kernel):
        left, right = inputs
        return ops.complex_bilinear(left, right, kernel, self.conjugate)

    def variance(self, inputs, sigma2):
        left, right = (
            ops.squared_modulus(tuple(kops.cast(part, sigma2.dtype) for part in pair))
            for pair in inputs
        )
        outer = ops.join_last_two(left[..., :, None] * right[..., None, :])
        return kops.matmul(outer, kops.reshape(sigma2, (-1, self.units)))

    def relation(self, inputs, xi):
        left, right = (ops.square_pair(pair, xi[0].dtype) for pair in inputs)
        return ops.complex_bilinear(left, right, xi, self.conjugate)

    def compute_mask(self, inputs, previous_mask):
        return previous_mask[0] if previous_mask else None

    def compute_output_shape(self, input_shape):
        (left, _), _ = input_shape
        part = (*left[:-1], self.units)
        return part, part

    def get_config(self):
        config = super().get_config()
        config.update(units=self.units, conjugate=self.conjugate)
        return config


@keras.saving.register_keras_serializable("cvzoo")
class PhaseShift(PairLayer):
    """Turns each channel by a learned angle, `z → z·exp(iθ)`.

    Args:
        phase_initializer: Initializer of θ, in radians. Defaults to N(0, 0.02²), as in
            cplxmodule.

    Call arguments:
        inputs: Pair, each part `(batch, ..., channels)`.

    Returns:
        Pair of the same shapes.

    Reference:
        cplxmodule, `CplxPhaseShift`.
    """

    def __init__(self, phase_initializer=None, **kwargs):
        super().__init__(**kwargs)
        self.phase_initializer = keras.initializers.get(
            phase_initializer or keras.initializers.RandomNormal(stddev=0.02)
        )
        self.supports_masking = True

    def build(self, input_shape):
        part, _ = input_shape
        if len(part) < 2 or part[-1] is None:
            raise ValueError(
                f"PhaseShift '{self.name}' needs parts of shape (batch, ..., channels) "
                f"with a known last axis. Received shape {tuple(part)}"
            )
        self.phase = self.add_weight(
            name="phase",
            shape=(part[-1],),
            initializer=self.phase_initializer,
            autocast=False,
        )
        self.built = True

    def call(self, inputs):
        channels = self.phase.shape[0]
        if inputs[0].shape[-1] != channels:
            raise ValueError(
                f"PhaseShift '{self.name}' was built for {channels} channels. Received "
                f"parts of shape {tuple(inputs[0].shape)}"
            )
        phase = kops.convert_to_tensor(self.phase)
        turn = tuple(
            kops.cast(function(phase), self.compute_dtype)
            for function in (kops.cos, kops.sin)
        )
        return ops.complex_multiply(inputs, turn)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config["phase_initializer"] = keras.initializers.serialize(
            self.phase_initializer
        )
        return config
