"""Linear layers that can hold a sparsifier: their bases, and the dense one."""

import operator

import keras
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers import sparsifiers
from cvzoo.layers.complex import PairLayer, add_pair
from cvzoo.layers.initializers import PartwiseUniform, complex_initializer


class Sparsifiable:
    """Mixin of a linear layer with one kernel, which a sparsifier may act on.

    The layer sets `sparsifier`, creates its kernel without autocast (divergences need
    float32), calls `build_sparsifier` at the end of `build`, and gives

    - `field`: `"real"` or `"complex"`;
    - `kernel_parts`: tuple of its kernel variables, one or two;
    - `unit_axes`: axes of the kernel that number its output units;
    - `variance(inputs, sigma2)`: the linear map of `|inputs|²` by `σ²`, in float32;
    - `relation(inputs, xi)`, if it is complex: that of `inputs²` by `ξ = E (w − μ)²`.
    """

    log_sigma2 = None
    mask = None
    penalty = None
    marker = None
    unit_axes = (-1,)

    def build_sparsifier(self):
        self.kernel_shape = tuple(self.kernel_parts[0].shape)
        if self.sparsifier is None:
            return
        if self.sparsifier.is_random:
            self.seed_generator = keras.random.SeedGenerator()
        self.sparsifier.build(self)

    def effective_kernel(self, training):
        """The kernel's parts in the compute dtype, pruned weights being 0."""
        if self.sparsifier is not None and training and not self._is_in_step():
            self.sparsifier.update(self)
        parts = [kops.convert_to_tensor(part) for part in self.kernel_parts]
        if self.mask is not None:
            parts = [part * self.mask for part in parts]
        return tuple(kops.cast(part, self.compute_dtype) for part in parts)

    def _is_in_step(self):
        """Whether this is not the first call in a step, of a layer used twice.

        In `fit` with JAX, Keras clears the losses at each call: always false there.
        """
        return any(loss is self.marker for loss in self.losses)

    def perturb(self, inputs, outputs, training):
        """Local reparameterisation: in training, noise on the outputs and the loss.

        Molchanov et al., 2017; paper 2, eq. 3 and 11, and eq. 7 where the noise of a
        weight has its direction.
        """
        if not training or self.sparsifier is None:
            return outputs
        if not self._is_in_step():
            self.penalty = self.sparsifier.penalty(self)
            # Zero where there is none: Keras clears the losses at each step, so a
            # loss of one's own tells a second call in it from a new step.
            self.marker = kops.zeros(()) if self.penalty is None else self.penalty
            self.add_loss(self.marker)
        if not self.sparsifier.is_random:
            return outputs
        sigma2 = kops.exp(kops.convert_to_tensor(self.log_sigma2))
        if self.mask is not None:
            sigma2 = sigma2 * self.mask
        # In float32: squares leave the range of half precision.
        variance = self.variance(inputs, sigma2)
        if self.sparsifier.posterior == "scaling":
            kernel = [kops.cast(part, "float32") for part in self.kernel_parts]
            xi = tuple(sigma2 * part for part in ops.twice_the_phase(kernel))
            relation = self.relation(inputs, xi)
            return ops.add_correlated_noise(
                outputs, variance, relation, self.seed_generator
            )
        add_noise = (
            ops.add_complex_noise if self.field == "complex" else ops.add_real_noise
        )
        return add_noise(outputs, variance, self.seed_generator)


class ComplexLinear(Sparsifiable, PairLayer):
    """Base of complex layers `activation(z · W + b)`.

    A subclass calls `add_kernel` in `build`, and gives

    - `kernel_shape_for(input_shape)`: shape of each part of the kernel;
    - `multiply(inputs, kernel)`: the real bilinear map;
    - `complex_multiply(inputs, kernel)`: the same for pairs, if something is faster
      than three real products;
    - `bias_axis`: axis of the output that the bias runs along, last by default.

    Args:
        activation: A real activation, applied to both parts (split form).
        use_bias: Whether a complex bias is added.
        kernel_initializer: A complex initializer, or one that is not random.
            Defaults to `PartwiseUniform(1 / 6)`: each part uniform on
            ±1/√(2·fan_in), the default of cplxmodule that paper 2 used.
        bias_initializer: Likewise. Defaults to cplxmodule's.
        sparsifier: `None`, `VariationalDropout`, `ARD`, `MagnitudePruning`,
            `FixedMask` or a sum of them.
    """

    field = "complex"
    bias_axis = -1

    def __init__(
        self,
        activation=None,
        use_bias=True,
        kernel_initializer=None,
        bias_initializer=None,
        sparsifier=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = complex_initializer(
            kernel_initializer or PartwiseUniform(1 / 6)
        )
        self.bias_initializer = (
            None if bias_initializer is None else complex_initializer(bias_initializer)
        )
        self.sparsifier = sparsifiers.get(sparsifier)
        self.supports_masking = True

    @property
    def kernel_parts(self):
        return self.kernel_real, self.kernel_imag

    @property
    def bias_parts(self):
        return (self.bias_real, self.bias_imag) if self.use_bias else ()

    def add_kernel(self, input_shape, units, bias_fan):
        """Creates the kernel, the bias of length `units`, and the sparsifier's state.

        Args:
            input_shape: That of `build`.
            units: Number of outputs.
            bias_fan: The default bias is uniform on ±1/√bias_fan.
        """
        self.kernel_real, self.kernel_imag = add_pair(
            self, "kernel", self.kernel_shape_for(input_shape), self.kernel_initializer
        )
        self.bias_real = self.bias_imag = None
        if self.use_bias:
            self.bias_real, self.bias_imag = add_pair(
                self,
                "bias",
                (units,),
                self.bias_initializer or PartwiseUniform(1 / 3, fan=bias_fan),
            )
        self.build_sparsifier()
        self.built = True

    def complex_multiply(self, inputs, kernel):
        return ops.complex_product(self.multiply, inputs, kernel)

    def call(self, inputs, training=None):
        outputs = self.complex_multiply(inputs, self.effective_kernel(training))
        if self.use_bias:
            outputs = tuple(
                part + self._aligned(bias, part)
                for part, bias in zip(outputs, self.bias_parts, strict=True)
            )
        real, imag = self.perturb(inputs, outputs, training)
        return self.activation(real), self.activation(imag)

    def _aligned(self, bias, output):
        bias = kops.cast(bias, self.compute_dtype)
        if self.bias_axis == -1:
            return bias
        return kops.reshape(bias, (-1, *[1] * (len(output.shape) - 2)))

    def variance(self, inputs, sigma2):
        inputs = tuple(kops.cast(part, sigma2.dtype) for part in inputs)
        return self.multiply(ops.squared_modulus(inputs), sigma2)

    def relation(self, inputs, xi):
        return self.complex_multiply(ops.square_pair(inputs, xi[0].dtype), xi)

    def get_config(self):
        config = super().get_config()
        serialize = keras.initializers.serialize
        config.update(
            activation=keras.activations.serialize(self.activation),
            use_bias=self.use_bias,
            kernel_initializer=serialize(self.kernel_initializer),
            bias_initializer=self.bias_initializer and serialize(self.bias_initializer),
            sparsifier=keras.saving.serialize_keras_object(self.sparsifier),
        )
        return config


@keras.saving.register_keras_serializable("cvzoo")
class ComplexDense(ComplexLinear):
    """Complex dense layer, `activation(z W + b)` on pairs.

    Args:
        units: Number of complex outputs.
        activation: A real activation, applied to both parts (split form).
        use_bias: Whether a complex bias is added.
        kernel_initializer: A complex initializer, or one that is not random.
            Defaults to `PartwiseUniform(1 / 6)`: each part uniform on
            ±1/√(2·inputs), the default of cplxmodule that paper 2 used.
        bias_initializer: Likewise. Defaults to each part uniform on ±1/√units.
        sparsifier: `None`, `VariationalDropout`, `ARD`, `MagnitudePruning`,
            `FixedMask` or a sum of them.

    Call arguments:
        inputs: Pair, each part `(batch, ..., inputs)`.

    Returns:
        Pair, each part `(batch, ..., units)`.

    Reference:
        Paper 2, eq. 6, and §4.1 for the sparsified forms.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = check_size("units", units)

    def build(self, input_shape):
        shape, _ = input_shape
        if len(shape) < 2 or shape[-1] is None:
            raise ValueError(
                f"ComplexDense '{self.name}' needs parts of shape (batch, ..., inputs) "
                f"with a known last axis. Received shape {tuple(shape)}"
            )
        self.add_kernel(input_shape, self.units, bias_fan=self.units)

    def kernel_shape_for(self, input_shape):
        return input_shape[0][-1], self.units

    def call(self, inputs, training=None):
        expected = self.kernel_real.shape[0]
        if inputs[0].shape[-1] != expected:
            raise ValueError(
                f"ComplexDense '{self.name}' was built for parts of shape "
                f"(batch, ..., {expected}). Received shape {tuple(inputs[0].shape)}"
            )
        return super().call(inputs, training)

    def multiply(self, inputs, kernel):
        return kops.matmul(inputs, kernel)

    def complex_multiply(self, inputs, kernel):
        return ops.complex_dense(inputs, kernel)

    def compute_output_shape(self, input_shape):
        part, _ = input_shape
        part = (*part[:-1], self.units)
        return part, part

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def check_size(name, value):
    """The value of an argument that must be a positive integer, as an `int`."""
    size = as_integer(value)
    if size is None or size < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {value!r}")
    return size


def as_integer(value):
    """An integer, NumPy's too, as an `int`; `None` of all else."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def check_last_axis(layer, shape):
    """Size of the last axis of inputs of such a shape, which must be known."""
    if len(shape) < 2 or shape[-1] is None:
        raise ValueError(
            f"{type(layer).__name__} '{layer.name}' needs inputs of shape "
            "(batch, ..., inputs) with a known last axis. Received shape "
            f"{tuple(shape)}"
        )
    return shape[-1]


def check_choice(name, value, known):
    """The value of an argument that must be one of some."""
    if value not in known:
        raise ValueError(
            f"`{name}` must be one of {', '.join(known)}. Received: {value!r}"
        )
    return value
