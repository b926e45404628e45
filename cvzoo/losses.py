"""Losses that Keras lacks."""

import keras
from keras import ops as kops


@keras.saving.register_keras_serializable("cvzoo")
class MultiLabelCrossEntropy(keras.losses.Loss):
    """`−Σ (y log(p + ε) + (1 − y) log(1 − p + ε))` over classes, mean over examples.

    Keras' binary cross-entropy takes the mean over classes too, which for 3862 classes
    is a learning rate 3862 times smaller.

    Args:
        from_logits: Whether predictions are logits and not probabilities.
        epsilon: ε. 1e-5 in the code of paper 1, and that of google/youtube-8m.
        reduction: See `keras.losses.Loss`.
        name: Name of the loss.

    Call arguments:
        y_true: Labels `(batch, ..., classes)`, 0 or 1.
        y_pred: Probabilities or logits of the same shape.

    Reference:
        Paper 1, §6.3, and its code.
    """

    def __init__(
        self,
        from_logits=False,
        epsilon=1e-5,
        reduction="sum_over_batch_size",
        name="multi_label_cross_entropy",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if not epsilon > 0:
            raise ValueError(f"`epsilon` must be positive. Received: {epsilon!r}")
        self.from_logits = from_logits
        self.epsilon = epsilon

    def call(self, y_true, y_pred):
        # In float32: half precision has no 1 + 1e-5.
        present = kops.cast(y_true, "float32")
        chance = kops.cast(y_pred, "float32")
        if self.from_logits:
            chance = kops.sigmoid(chance)
        terms = present * kops.log(chance + self.epsilon)
        terms += (1 - present) * kops.log(1 - chance + self.epsilon)
        return -kops.sum(terms, axis=-1)

    def get_config(self):
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            "epsilon": self.epsilon,
        }
