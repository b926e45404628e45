"""Normalization of each sample by itself."""

import keras

from cvzoo.layers.normalization import ComplexNormalization
from cvzoo.ops import whitening

STATISTICS = ("features", "space")


@keras.saving.register_keras_serializable("cvzoo")
class ComplexLayerNormalization(ComplexNormalization):
    """Whitens each sample by itself: `Γ V^(−1/2) (z − mean) + β`.

    V is the biased 2×2 covariance of real and imaginary part, with ε on its diagonal.

    Args:
        axis: Axis of the features, or several; Γ and β have a value for each feature.
        statistics: `"features"`: mean and V are taken over the features, at each
            place by itself: what `keras.layers.LayerNormalization` does; `"space"`:
            over all other axes but the batch's, for each feature by itself: the form
            of Trabelsi et al., which others call instance normalization.
        epsilon: Added to both variances.
        affine: As in `ComplexBatchNormalization`; `"symmetric"` is Trabelsi et al.'s.

    Call arguments:
        inputs: Pair, each part `(batch, ..., features)`.
        mask: Boolean `(batch, ...)`, or a pair of it twice: what the statistics over
            space see. Those over features are taken where the mask is false, too.

    Returns:
        Pair of the same shapes.

    Reference:
        [Trabelsi et al., 2018](https://arxiv.org/abs/1705.09792), and the
        `ComplexLayerNorm` of its code; [Ba et al., 2016](
        https://arxiv.org/abs/1607.06450).
    """

    def __init__(
        self, axis=-1, statistics="features", epsilon=1e-4, affine="full", **kwargs
    ):
        super().__init__(axis, epsilon, affine, **kwargs)
        if statistics not in STATISTICS:
            raise ValueError(
                f"`statistics` must be one of {STATISTICS}. Received: {statistics!r}"
            )
        self.statistics = statistics

    def build(self, input_shape):
        super().build(input_shape)
        rank = len(input_shape[0])
        space = [axis for axis in range(1, rank) if axis not in self.feature_axes]
        self.axes = space if self.statistics == "space" else list(self.feature_axes)
        if not self.axes:
            raise ValueError(
                f"ComplexLayerNormalization '{self.name}' takes statistics over space, "
                f"and parts of shape {tuple(input_shape[0])} have no axis but the "
                "batch and the features. Use statistics='features'."
            )

    def call(self, inputs, mask=None):
        inputs = self.widen(inputs)
        if self.statistics == "features":
            mask = None
        mask = self.expand_mask(mask, len(inputs[0].shape))
        _, covariance, centred, _ = whitening.moments(inputs, self.axes, mask)
        matrix, shift = self.matrix_and_shift(covariance)
        return self.narrow(whitening.linear_map(centred, matrix, shift))

    def get_config(self):
        return {**super().get_config(), "statistics": self.statistics}
