"""The end of networks for videos: context gating and mixtures of experts."""

import keras
from keras import ops as kops

from cvzoo.layers.linear import check_size
from cvzoo.layers.projection import (
    EPSILON,
    MOMENTUM,
    ProjectedLayer,
    fan_out_normal,
    normal,
)


@keras.saving.register_keras_serializable("cvzoo")
class ContextGating(ProjectedLayer):
    """`x · sigmoid(norm(x W))`: each feature is let through by all of them.

    Args:
        use_batch_norm: Whether `norm` is batch norm; otherwise a bias is added.
        projection, rank: Kind of the square W, as of `DBoF`.
        initialization: As of `DBoF`. With `"youtube8m"` all have variance 1/features.
        momentum: Of the batch norm.

    Call arguments:
        inputs: Tensor `(batch, ..., features)`.
        training: Whether the batch norm takes the statistics of the batch.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: At build, if the number of features is not known.

    Reference:
        [Miech et al., 2017](https://arxiv.org/abs/1706.06905).
    """

    def __init__(self, *, use_batch_norm=True, momentum=MOMENTUM, **kwargs):
        super().__init__(**kwargs)
        self.use_batch_norm = use_batch_norm
        self.momentum = momentum
        self.projected = self.norm = None
        if use_batch_norm:
            self.norm = keras.layers.BatchNormalization(
                momentum=momentum, epsilon=EPSILON, dtype=self.dtype_policy, name="norm"
            )

    def build(self, input_shape):
        features = self.check_features(input_shape)
        self.projected = self.make(
            "projected",
            features,
            dense_initializer=fan_out_normal(),
            circulant_initializer=fan_out_normal(),
            use_bias=not self.use_batch_norm,
            bias_initializer=normal(1 / features),
        )
        self.projected.build(input_shape)
        if self.norm is not None:
            self.norm.build(input_shape)
        self.built = True

    def call(self, inputs, training=False):
        gates = self.projected(inputs)
        if self.norm is not None:
            gates = self.norm(gates, training=training)
        return inputs * kops.sigmoid(gates)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "use_batch_norm": self.use_batch_norm,
            "momentum": self.momentum,
        }


@keras.saving.register_keras_serializable("cvzoo")
class MixtureOfExperts(ProjectedLayer):
    """Probabilities of classes, each by logistic experts that its gates choose from.

    `p = Σₘ softmax(gates)ₘ · sigmoid(expert m)` of each class, over m = 1 … M. There is
    one gate more, of a dummy expert that always says 0. All units of a class follow
    each other, and the last of its gates is the dummy's.

    Args:
        classes: Number of classes, C. They do not exclude each other.
        mixtures: M.
        projection: Kind of the matrices of the C·(M + 1) gates, without a bias, and the
            C·M experts, with one; as of `DBoF`. The published network of circulants has
            `"circulant"` ones, without diagonals.
        rank: Of `"low_rank"`.
        initialization: Of circulants, `"youtube8m"`: variance 1/units; or `"paper"`.
            Dense matrices begin as `keras.layers.Dense` does.
        regularization: λ of the penalty `λ · ½‖W‖²` on the stored numbers of both, not
            on the bias.

    Call arguments:
        inputs: Tensor `(batch, ..., features)`.

    Returns:
        Tensor `(batch, ..., C)` of probabilities, not logits.

    Raises:
        ValueError: At build, if the number of features is not known.

    Reference:
        Jordan and Jacobs, 1994; Abu-El-Haija et al., 2016; paper 1, §6.3.
    """

    def __init__(self, classes, *, mixtures=4, regularization=1e-8, **kwargs):
        super().__init__(**kwargs)
        self.classes = check_size("classes", classes)
        self.mixtures = check_size("mixtures", mixtures)
        if not regularization >= 0:
            raise ValueError(
                f"`regularization` must not be negative. Received: {regularization!r}"
            )
        self.regularization = regularization
        units = self.classes * (self.mixtures + 1)
        self.gates = self.make("gates", units, circulant_initializer=normal(1 / units))
        units = self.classes * self.mixtures
        is_dense = self.projection == "dense"
        bias = keras.initializers.Constant(0.0 if is_dense else units**-0.5)
        self.experts = self.make(
            "experts",
            units,
            circulant_initializer=normal(1 / units),
            use_bias=True,
            bias_initializer=bias,
        )

    def build(self, input_shape):
        self.check_features(input_shape)
        for layer in (self.gates, self.experts):
            layer.build(input_shape)
        if self.regularization:
            # Not every kind takes a regularizer that leaves out the bias.
            penalty = keras.regularizers.L2(self.regularization / 2)
            for weight in (*self.gates.weights, *self.experts.weights):
                if weight is not self.experts.bias:
                    weight.regularizer = penalty
        self.built = True

    def call(self, inputs):
        # In float32: half precision has no small probabilities.
        gates, chances = (
            kops.cast(layer(inputs), "float32") for layer in (self.gates, self.experts)
        )
        leading = kops.shape(inputs)[:-1]
        gates = kops.reshape(gates, (*leading, self.classes, self.mixtures + 1))
        chances = kops.reshape(chances, (*leading, self.classes, self.mixtures))
        shares = kops.softmax(gates, axis=-1)[..., : self.mixtures]
        outputs = kops.sum(shares * kops.sigmoid(chances), axis=-1)
        # Shares add up to 1, and after rounding to a little more.
        return kops.cast(kops.minimum(outputs, 1.0), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.classes)

    def get_config(self):
        return {
            **super().get_config(),
            "classes": self.classes,
            "mixtures": self.mixtures,
            "regularization": self.regularization,
        }
