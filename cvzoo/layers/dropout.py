"""Dropout of complex numbers."""

import keras
from keras import ops as kops

from cvzoo.layers.complex import PairLayer
from cvzoo.ops.noise import replica_uniform


@keras.saving.register_keras_serializable("cvzoo")
class ComplexDropout(PairLayer):
    """Drops complex numbers in training: one draw for both parts.

    What is kept is divided by `1 − rate`. Replicas of `tf.distribute` draw different
    numbers.

    Args:
        rate: Fraction to drop, at least 0 and below 1.
        noise_shape: Shape of the draws, which are repeated along axes of size 1;
            `None` stands for an axis of the input. `(None, 1, None)` drops whole
            channels of a signal, and `(None, 1, 1, None)` those of an image.
        seed: Seed of the draws.

    Call arguments:
        inputs: Pair of any shape.
        training: Whether to drop; inference is the identity.

    Returns:
        Pair of the same shapes.

    Reference:
        cplxmodule, `CplxDropout`.
    """

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(rate, (int, float)) or not 0 <= rate < 1:
            raise ValueError(
                "`rate` must be a number of at least 0 and below 1. Received: "
                f"rate={rate!r}"
            )
        self.rate = rate
        self.seed = seed
        self.noise_shape = _checked_noise_shape(noise_shape)
        self.supports_masking = True
        if rate > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        shape, _ = input_shape
        if self.noise_shape is not None and not _repeats_to(self.noise_shape, shape):
            raise ValueError(
                f"ComplexDropout '{self.name}' needs a `noise_shape` with one entry "
                "for each axis of the input: None, 1 or the size of that axis. "
                f"Received: noise_shape={self.noise_shape}, and parts of shape "
                f"{tuple(shape)}"
            )
        self.built = True

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        # In float32: half precision would round the rate.
        draws = replica_uniform(
            self._shape_of_draws(inputs[0]), self.seed_generator, "float32"
        )
        scale = kops.cast(draws >= self.rate, "float32") / (1 - self.rate)
        scale = kops.cast(scale, self.compute_dtype)
        return tuple(part * scale for part in inputs)

    def _shape_of_draws(self, part):
        shape = kops.shape(part)
        if self.noise_shape is None:
            return shape
        return tuple(
            size if wanted is None else wanted
            for wanted, size in zip(self.noise_shape, shape, strict=True)
        )

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(rate=self.rate, noise_shape=self.noise_shape, seed=self.seed)
        return config


def _checked_noise_shape(noise_shape):
    if noise_shape is None:
        return None
    is_shape = isinstance(noise_shape, (tuple, list)) and all(
        size is None or (isinstance(size, int) and size > 0) for size in noise_shape
    )
    if not is_shape:
        raise ValueError(
            "`noise_shape` must be a tuple of positive integers and None. Received: "
            f"noise_shape={noise_shape!r}"
        )
    return tuple(noise_shape)


def _repeats_to(noise_shape, shape):
    """Whether the draws can be repeated to a shape; an unknown size may be any."""
    return len(noise_shape) == len(shape) and all(
        wanted in (None, 1) or size in (None, wanted)
        for wanted, size in zip(noise_shape, shape, strict=True)
    )
