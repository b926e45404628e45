"""Dense layers that can hold a sparsifier, real and complex."""

import keras
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers import sparsifiers
from cvzoo.layers.complex import PairLayer
from cvzoo.layers.initializers import PartwiseUniform, complex_initializer


class Sparsifiable:
    """Mixin of a linear layer with one kernel, which a sparsifier may act on.

    The layer sets `sparsifier`, creates its kernel without autocast (divergences need
    float32), calls `build_sparsifier` at the end of `build`, and gives

    - `field`: `"real"` or `"complex"`;
    - `kernel_parts`: tuple of its kernel variables, one or two;
    - `variance(inputs, sigma2)`: the linear map of `|inputs|²` by `σ²`, in float32.
    """

    log_sigma2 = None
    mask = None
    penalty = None

    def build_sparsifier(self):
        self.kernel_shape = tuple(self.kernel_parts[0].shape)
        if self.sparsifier is None:
            return
        if self.sparsifier.is_random:
            self.seed_generator = keras.random.SeedGenerator()
        self.sparsifier.build(self)

    def effective_kernel(self, training):
        """The kernel's parts in the compute dtype, pruned weights being 0."""
        if self.sparsifier is not None and training:
            self.sparsifier.update(self)
        parts = [kops.convert_to_tensor(part) for part in self.kernel_parts]
        if self.mask is not None:
            parts = [part * self.mask for part in parts]
        return tuple(kops.cast(part, self.compute_dtype) for part in parts)

    def perturb(self, inputs, outputs, training):
        """Local reparameterisation: in training, noise on the outputs and the loss.

        Molchanov et al., 2017; paper 2, eq. 3 and 11.
        """
        if not training or self.sparsifier is None:
            return outputs
        # A layer that is called twice in a step has one divergence.
        if not any(loss is self.penalty for loss in self.losses):
            self.penalty = self.sparsifier.penalty(self)
            if self.penalty is not None:
                self.add_loss(self.penalty)
        if not self.sparsifier.is_random:
            return outputs
        sigma2 = kops.exp(kops.convert_to_tensor(self.log_sigma2))
        if self.mask is not None:
            sigma2 = sigma2 * self.mask
        # In float32: squares leave the range of half precision.
        variance = self.variance(inputs, sigma2)
        add_noise = (
            ops.add_complex_noise if self.field == "complex" else ops.add_real_noise
        )
        return add_noise(outputs, variance, self.seed_generator)


@keras.saving.register_keras_serializable("cvzoo")
class ComplexDense(Sparsifiable, PairLayer):
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

    field = "complex"

    def __init__(
        self,
        units,
        activation=None,
        use_bias=True,
        kernel_initializer=None,
        bias_initializer=None,
        sparsifier=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(units, int) or units < 1:
            raise ValueError(f"`units` must be a positive integer. Received: {units!r}")
        self.units = units
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = complex_initializer(
            kernel_initializer or PartwiseUniform(1 / 6)
        )
        self.bias_initializer = complex_initializer(
            bias_initializer or PartwiseUniform(1 / 3)
        )
        self.sparsifier = sparsifiers.get(sparsifier)
        self.supports_masking = True

    @property
    def kernel_parts(self):
        return self.kernel_real, self.kernel_imag

    def build(self, input_shape):
        shape, _ = input_shape
        if len(shape) < 2 or shape[-1] is None:
            raise ValueError(
                f"ComplexDense '{self.name}' needs parts of shape (batch, ..., inputs) "
                f"with a known last axis. Received shape {tuple(shape)}"
            )
        inputs = shape[-1]
        self.kernel_real, self.kernel_imag = self._add_pair(
            "kernel", (inputs, self.units), self.kernel_initializer
        )
        self.bias_real = self.bias_imag = None
        if self.use_bias:
            self.bias_real, self.bias_imag = self._add_pair(
                "bias", (self.units,), self.bias_initializer
            )
        self.build_sparsifier()
        self.built = True

    def _add_pair(self, name, shape, initializer):
        def part(position):
            return lambda shape, dtype: initializer(shape, dtype)[position]

        return [
            self.add_weight(
                name=f"{name}_{suffix}",
                shape=shape,
                initializer=part(position),
                autocast=False,
            )
            for position, suffix in enumerate(("real", "imag"))
        ]

    def call(self, inputs, training=None):
        expected = self.kernel_real.shape[0]
        if inputs[0].shape[-1] != expected:
            raise ValueError(
                f"ComplexDense '{self.name}' was built for parts of shape "
                f"(batch, ..., {expected}). Received shape {tuple(inputs[0].shape)}"
            )
        bias = None
        if self.use_bias:
            bias = tuple(
                kops.cast(part, self.compute_dtype)
                for part in (self.bias_real, self.bias_imag)
            )
        outputs = ops.complex_dense(inputs, self.effective_kernel(training), bias)
        real, imag = self.perturb(inputs, outputs, training)
        return self.activation(real), self.activation(imag)

    def variance(self, inputs, sigma2):
        inputs = tuple(kops.cast(part, sigma2.dtype) for part in inputs)
        return kops.matmul(ops.squared_modulus(inputs), sigma2)

    def compute_output_shape(self, input_shape):
        part, _ = input_shape
        part = (*part[:-1], self.units)
        return part, part

    def get_config(self):
        config = super().get_config()
        config.update(
            units=self.units,
            activation=keras.activations.serialize(self.activation),
            use_bias=self.use_bias,
            kernel_initializer=keras.initializers.serialize(self.kernel_initializer),
            bias_initializer=keras.initializers.serialize(self.bias_initializer),
            sparsifier=keras.saving.serialize_keras_object(self.sparsifier),
        )
        return config


@keras.saving.register_keras_serializable("cvzoo")
class SparsifiableDense(Sparsifiable, keras.layers.Dense):
    """`keras.layers.Dense` that can hold a sparsifier; `cvzoo.sparsify` puts it in."""

    field = "real"

    def __init__(self, *args, sparsifier=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.sparsifier = sparsifiers.get(sparsifier)

    @property
    def kernel_parts(self):
        return (self.kernel,)

    @property
    def kernel(self):
        return self._kernel

    def build(self, input_shape):
        self.input_spec = keras.InputSpec(min_ndim=2, axes={-1: input_shape[-1]})
        self._kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            autocast=False,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.build_sparsifier()
        self.built = True

    def call(self, inputs, training=None):
        (kernel,) = self.effective_kernel(training)
        outputs = kops.matmul(inputs, kernel)
        if self.use_bias:
            outputs = outputs + self.bias
        return self.activation(self.perturb(inputs, outputs, training))

    def variance(self, inputs, sigma2):
        return kops.matmul(kops.square(kops.cast(inputs, sigma2.dtype)), sigma2)

    # Keras' Dense stores a fixed list, without `log_sigma2` and `mask`.

    def save_own_variables(self, store):
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        keras.layers.Layer.load_own_variables(self, store)

    def get_config(self):
        config = super().get_config()
        config["sparsifier"] = keras.saving.serialize_keras_object(self.sparsifier)
        return config
