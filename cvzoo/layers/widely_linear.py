"""What of complex batch norm no complex kernel can take over."""

import keras
from keras import ops as kops

from cvzoo.layers.complex import PairLayer, add_pair
from cvzoo.layers.linear import check_last_axis


@keras.saving.register_keras_serializable("cvzoo")
class WidelyLinear(PairLayer):
    """`z + r z̄`, with a complex r for each feature, at first 0.

    Any 2×2 matrix acts on a complex number as `p z + q z̄`. `cvzoo.shrink` folds the p
    of a batch norm, and its shift, into the layer before it; this layer remains, with
    2 numbers for each feature where the batch norm had 11.

    Call arguments:
        inputs: Pair, each part `(batch, ..., features)`.

    Returns:
        Pair of the same shapes.

    Raises:
        ValueError: At build, if the number of features is not known.

    Reference:
        Picinbono and Chevalier, 1995, on widely linear estimation.
    """

    def build(self, input_shape):
        self.supports_masking = True
        features = check_last_axis(self, tuple(input_shape[0]))
        self.ratio_real, self.ratio_imag = add_pair(
            self, "ratio", (features,), lambda shape, dtype: [kops.zeros(shape)] * 2
        )
        self.built = True

    def call(self, inputs):
        x, y = inputs
        a, b = (kops.cast(r, x.dtype) for r in (self.ratio_real, self.ratio_imag))
        return x + a * x + b * y, y + b * x - a * y

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0]), tuple(input_shape[0])

    def get_config(self):
        # Without a method of its own, Keras keeps every argument it knows.
        return super().get_config()
