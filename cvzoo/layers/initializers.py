"""Initializers of complex weights: called with a shape, they return a pair."""

import math
import random

import keras


class ComplexInitializer(keras.initializers.Initializer):
    """Base: called with a shape and a dtype, returns a pair.

    Two calls return the same pair; each layer makes an initializer of its own.
    """


@keras.saving.register_keras_serializable("cvzoo")
class PartwiseUniform(ComplexInitializer):
    """Real and imaginary part independent, each uniform on ±√(3·scale / fan_in).

    `E|w|² = 2·scale / fan_in`. For a bias, `fan_in` is its length.

    Args:
        scale: Variance of each part, times `fan_in`.
        seed: Integer; drawn when `None`.
        fan: Takes the place of `fan_in`. Layers give it to the bias of a convolution.

    Reference:
        cplxmodule, `cplx_kaiming_uniform_` with a = √5: scale 1/6 for kernels, 1/3
        for biases, whose fan there is the number of outputs of a linear layer.
    """

    def __init__(self, scale=1 / 6, seed=None, fan=None):
        if scale <= 0:
            raise ValueError(f"`scale` must be positive. Received: {scale}")
        self.scale, self.fan = scale, fan
        self.seed = random.randrange(2**31) if seed is None else seed

    def __call__(self, shape, dtype=None):
        fan_in = self.fan or math.prod(shape[:-1] or shape)
        limit = (3 * self.scale / fan_in) ** 0.5
        both = keras.random.uniform(
            (2, *shape), -limit, limit, dtype=dtype, seed=self.seed
        )
        return both[0], both[1]

    def get_config(self):
        return {"scale": self.scale, "seed": self.seed, "fan": self.fan}


@keras.saving.register_keras_serializable("cvzoo")
class SamePart(ComplexInitializer):
    """Gives both parts the values of one real initializer that is not random."""

    def __init__(self, initializer):
        self.initializer = keras.initializers.get(initializer)

    def __call__(self, shape, dtype=None):
        part = self.initializer(shape, dtype)
        return part, part

    def get_config(self):
        return {"initializer": keras.initializers.serialize(self.initializer)}


def complex_initializer(identifier):
    """A complex initializer from one, its configuration, or a constant real one."""
    initializer = keras.initializers.get(identifier)
    if isinstance(initializer, ComplexInitializer):
        return initializer
    if hasattr(initializer, "seed"):
        raise ValueError(
            "A complex weight needs a complex initializer, which says how the real and "
            "the imaginary part are drawn, for example "
            f"`cvzoo.layers.PartwiseUniform`. Received: {identifier!r}"
        )
    return SamePart(initializer)
