"""Batch norm of frames, of which some may be padding."""

import keras
from keras import ops as kops

from cvzoo.layers.frames import only_present
from cvzoo.ops.whitening import mean_over_replicas


class FrameNormalization(keras.layers.BatchNormalization):
    """Keras' batch norm, whose statistics see the frames that count, on all replicas.

    Keras 3.15's own takes the statistics of one replica where there is a mask, and
    fails on a single feature.

    Call arguments:
        inputs: Tensor `(..., time, features)`.
        training: Whether the statistics are those of the batch.
        mask: Boolean `(..., time)`, or `None` where all frames count.

    Returns:
        Tensor of the same shape.
    """

    def call(self, inputs, training=None, mask=None):
        if mask is None or not (training and self.trainable):
            return super().call(inputs, training=training)
        frames = kops.cast(inputs, "float32")
        mean, variance, count = self._statistics(frames, mask)
        # Nothing is learned from an empty batch.
        rate = (1 - self.momentum) * kops.cast(count > 0, "float32")
        for moving, batch in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            moving.assign(moving + rate * (batch - moving))
        scale = kops.rsqrt(variance + self.epsilon) * self.gamma
        return kops.cast((frames - mean) * scale + self.beta, self.compute_dtype)

    def _statistics(self, frames, mask):
        axes = tuple(range(len(frames.shape) - 1))
        count = kops.reshape(kops.sum(kops.cast(mask, "float32")), (1,))

        def average(values):
            total, number = kops.sum(only_present(values, mask), axis=axes), count
            if self.synchronized:
                number, total = mean_over_replicas([number, total])
            return total / kops.where(number > 0, number, 1.0), number

        mean, number = average(frames)
        variance, _ = average(kops.square(frames - mean))
        return mean, variance, number
