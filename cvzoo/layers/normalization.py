"""Normalization over the batch: a pair is whitened as a vector of two real numbers."""

import keras
from keras import ops as kops

from cvzoo.layers.complex import PairLayer
from cvzoo.ops import whitening

AFFINE = ("full", "symmetric", None)

# Initial values of `(rr, ri, ii)`, for which Trabelsi et al. took 1/√2.
_IDENTITY = (1.0, 0.0, 1.0)
_TRABELSI = (0.5**0.5, 0.0, 0.5**0.5)


class ComplexNormalization(PairLayer):
    """Base of layers `Γ V^(−1/2) (z − mean) + β`, V being a covariance.

    Args:
        axis: Axis of the features, or several; Γ and β have a value for each feature.
        epsilon: Added to both variances.
        affine: `"full"`: Γ is any 2×2 matrix; `"symmetric"`: a symmetric one;
            `None`: neither Γ nor β.
    """

    def __init__(self, axis, epsilon, affine, **kwargs):
        super().__init__(**kwargs)
        if not epsilon > 0:
            raise ValueError(f"`epsilon` must be positive. Received: {epsilon}")
        if affine not in AFFINE:
            raise ValueError(
                f"`affine` must be one of {AFFINE}. Received: affine={affine!r}"
            )
        self.axis = axis
        self.epsilon = epsilon
        self.affine = affine
        self.supports_masking = True

    def build(self, input_shape):
        shape = tuple(input_shape[0])
        self.feature_axes = self._check_axes(shape)
        self.input_spec = [
            keras.layers.InputSpec(
                ndim=len(shape), axes={axis: shape[axis] for axis in self.feature_axes}
            )
        ] * 2
        self.sizes = tuple(shape[axis] for axis in self.feature_axes)
        # Sizes that let a weight broadcast against a part.
        self.aligned = [
            size if axis in self.feature_axes else 1 for axis, size in enumerate(shape)
        ]
        self.gamma = self.beta_real = self.beta_imag = None
        if self.affine is not None:
            self.gamma = self._add_gamma()
            self.beta_real, self.beta_imag = (
                self._add_weight(f"beta_{part}", self.sizes, "zeros")
                for part in ("real", "imag")
            )
        self.built = True

    def _check_axes(self, shape):
        axes = (self.axis,) if isinstance(self.axis, int) else tuple(self.axis)
        found = tuple(sorted({axis % len(shape) for axis in axes}))
        inside = all(-len(shape) <= axis < len(shape) for axis in axes)
        if not axes or not inside or 0 in found or len(found) < len(axes):
            raise ValueError(
                f"{type(self).__name__} '{self.name}' needs different axes of its "
                f"inputs, not that of the batch. Received: axis={self.axis}, parts of "
                f"shape {shape}"
            )
        if any(shape[axis] is None for axis in found):
            raise ValueError(
                f"{type(self).__name__} '{self.name}' needs a known number of features "
                f"along axis={self.axis}. Received parts of shape {shape}"
            )
        return found

    def _add_weight(self, name, shape, initializer, **kwargs):
        return self.add_weight(
            name=name, shape=shape, initializer=initializer, autocast=False, **kwargs
        )

    def _add_gamma(self):
        if self.affine == "symmetric":
            return self._add_weight(
                "gamma", (3, *self.sizes), _constant_rows(_TRABELSI)
            )
        rows = _constant_rows(whitening.as_matrix(_IDENTITY))
        return self._add_weight("gamma", (4, *self.sizes), rows)

    def widen(self, pair):
        """The pair in float32, or in float64 if it is that."""
        dtype = keras.backend.result_type(pair[0].dtype, "float32")
        return tuple(kops.cast(part, dtype) for part in pair)

    def narrow(self, pair):
        """The pair in the compute dtype."""
        return tuple(kops.cast(part, self.compute_dtype) for part in pair)

    def align(self, weight, dtype):
        """A weight, or its rows, cast and with axes of size 1 where it has none."""
        weight = kops.cast(kops.convert_to_tensor(weight), dtype)
        if len(weight.shape) == len(self.sizes):
            return kops.reshape(weight, self.aligned)
        return tuple(
            kops.reshape(weight[row], self.aligned) for row in range(weight.shape[0])
        )

    def matrix_and_shift(self, covariance):
        """`Γ V^(−1/2)` and `β`, for parts without their mean."""
        root = whitening.as_matrix(whitening.inverse_root(covariance, self.epsilon))
        if self.affine is None:
            return root, None
        dtype = covariance[0].dtype
        gamma = self.align(self.gamma, dtype)
        if self.affine == "symmetric":
            gamma = whitening.as_matrix(gamma)
        beta = self.align(self.beta_real, dtype), self.align(self.beta_imag, dtype)
        return whitening.matrix_product(gamma, root), beta

    def expand_mask(self, mask, rank):
        """The mask with axes of size 1 for the features; `None` if there is none."""
        mask = _of_one_part(mask)
        if mask is None:
            return None
        if len(mask.shape) != rank - len(self.feature_axes):
            raise ValueError(
                f"{type(self).__name__} '{self.name}' needs a mask with the axes of "
                f"its inputs but axis={self.axis}. Received a mask of shape "
                f"{tuple(mask.shape)} for parts of {rank} axes"
            )
        return kops.expand_dims(kops.cast(mask, "bool"), self.feature_axes)

    def compute_mask(self, inputs, previous_mask):
        mask = _of_one_part(previous_mask)
        return None if mask is None else (mask, mask)

    def compute_output_shape(self, input_shape):
        part, _ = input_shape
        self._check_axes(tuple(part))
        return tuple(part), tuple(part)

    def get_config(self):
        config = super().get_config()
        config.update(axis=self.axis, epsilon=self.epsilon, affine=self.affine)
        return config


def _of_one_part(mask):
    """The mask of a pair, given as one or as a pair of it twice."""
    return mask[0] if isinstance(mask, (tuple, list)) else mask


def _constant_rows(values):
    """Initializer of a weight whose rows are constant."""

    def initialize(shape, dtype=None):
        rows = kops.reshape(kops.array(values, dtype), (-1, *[1] * (len(shape) - 1)))
        return kops.broadcast_to(rows, shape)

    return initialize


@keras.saving.register_keras_serializable("cvzoo")
class ComplexBatchNormalization(ComplexNormalization):
    """Whitens each feature over the batch: `Γ V^(−1/2) (z − mean) + β`.

    V is the biased 2×2 covariance of real and imaginary part over all axes but the
    features', with ε on its diagonal. In inference, and when `trainable` is false, the
    moving statistics take the place of the batch's, so that the layer is one 2×2
    matrix and one shift per feature (`inference_map`).

    Trainable values per feature: 6 (`"full"`), 5 (`"symmetric"`) or 0. Moving ones: 2
    of the mean and 3 of the covariance, which is symmetric (cplxmodule stores 4).

    Args:
        axis: Axis of the features; 1 after a convolution with the channels first.
        momentum: `moving = momentum · moving + (1 − momentum) · batch`.
        epsilon: Added to both variances. cplxmodule and paper 2 have 1e-5, the code of
            Trabelsi et al. 1e-4.
        affine: `"full"`: Γ is any 2×2 matrix, at first the identity (cplxmodule, paper
            2), so that outputs have covariance 1; `"symmetric"`: Γ is symmetric, at
            first 1/√2 times the identity (Trabelsi et al.), so that outputs have
            covariance 1/2; the moving covariance too starts at 1/√2 then, and at the
            identity otherwise; `None`: neither Γ nor β.
        synchronized: Whether the statistics of a batch are those of all replicas of a
            `tf.distribute` strategy (TensorFlow only), or of each replica by itself.
            The moving statistics of replicas are averaged either way.

    Call arguments:
        inputs: Pair, each part `(batch, ..., features)`.
        training: Whether the statistics are those of the batch.
        mask: Boolean `(batch, ...)`, or a pair of it twice: what the statistics of a
            batch see.

    Returns:
        Pair of the same shapes.

    Reference:
        [Trabelsi et al., 2018](https://arxiv.org/abs/1705.09792), §3.5; cplxmodule,
        `CplxBatchNorm2d`.
    """

    def __init__(
        self,
        axis=-1,
        momentum=0.9,
        epsilon=1e-5,
        affine="full",
        synchronized=False,
        **kwargs,
    ):
        super().__init__(axis, epsilon, affine, **kwargs)
        if not isinstance(axis, int):
            raise ValueError(f"`axis` must be an integer. Received: axis={axis!r}")
        if not 0 <= momentum <= 1:
            raise ValueError(f"`momentum` must be in [0, 1]. Received: {momentum}")
        if synchronized and keras.backend.backend() != "tensorflow":
            raise ValueError(
                "`synchronized=True` needs the TensorFlow backend. Received backend: "
                f"{keras.backend.backend()}"
            )
        self.momentum = momentum
        self.synchronized = synchronized

    def build(self, input_shape):
        super().build(input_shape)
        shape = tuple(input_shape[0])
        self.axes = [
            axis for axis in range(len(shape)) if axis not in self.feature_axes
        ]
        # Of float32 at least: a variance soon leaves the range of float16.
        dtype = keras.backend.result_type(self.variable_dtype, "float32")
        state = {"trainable": False, "aggregation": "mean", "dtype": dtype}
        self.moving_mean_real, self.moving_mean_imag = (
            self._add_weight(f"moving_mean_{part}", self.sizes, "zeros", **state)
            for part in ("real", "imag")
        )
        start = _TRABELSI if self.affine == "symmetric" else _IDENTITY
        self.moving_covariance = self._add_weight(
            "moving_covariance", (3, *self.sizes), _constant_rows(start), **state
        )

    def call(self, inputs, training=None, mask=None):
        inputs = self.widen(inputs)
        if not (training and self.trainable):
            matrix, shift = self._inference_map(inputs[0].dtype)
            return self.narrow(whitening.linear_map(inputs, matrix, shift))
        mean, covariance, centred, count = whitening.moments(
            inputs,
            self.axes,
            self.expand_mask(mask, len(inputs[0].shape)),
            self.synchronized,
        )
        self._update(mean, covariance, count)
        matrix, shift = self.matrix_and_shift(covariance)
        return self.narrow(whitening.linear_map(centred, matrix, shift))

    def _update(self, mean, covariance, count):
        rate = 1 - self.momentum
        # Nothing is learned from an empty batch.
        rate = rate * kops.cast(kops.max(count) > 0, count.dtype)
        new = [
            (self.moving_mean_real, kops.reshape(mean[0], self.sizes)),
            (self.moving_mean_imag, kops.reshape(mean[1], self.sizes)),
            (
                self.moving_covariance,
                kops.stack([kops.reshape(one, self.sizes) for one in covariance]),
            ),
        ]
        for variable, batch in new:
            old = kops.convert_to_tensor(variable)
            batch = kops.cast(batch, variable.dtype)
            variable.assign(old + kops.cast(rate, variable.dtype) * (batch - old))

    def inference_map(self):
        """The map `M z + b` that the layer is in inference.

        Returns:
            M as `(rr, ri, ir, ii)` and b as a pair, each one value per feature.
        """
        matrix, shift = self._inference_map(self.moving_mean_real.dtype)
        return tuple(
            tuple(kops.reshape(one, self.sizes) for one in group)
            for group in (matrix, shift)
        )

    def _inference_map(self, dtype):
        covariance = self.align(self.moving_covariance, dtype)
        matrix, beta = self.matrix_and_shift(covariance)
        mean = [
            -self.align(part, dtype)
            for part in (self.moving_mean_real, self.moving_mean_imag)
        ]
        return matrix, whitening.linear_map(mean, matrix, beta)

    def get_config(self):
        config = super().get_config()
        config.update(momentum=self.momentum, synchronized=self.synchronized)
        return config
