"""Sparsifiers that multiply the kernel with a mask of 0 and 1."""

import keras
import numpy as np
from keras import ops as kops

from cvzoo.layers.sparsifiers import Sparsifier, is_number


class Masking(Sparsifier):
    """Base of the sparsifiers that multiply the kernel with a mask of 0 and 1."""

    is_mask = True

    def build(self, layer):
        layer.mask = layer.add_weight(
            name="mask",
            shape=layer.kernel_shape,
            initializer="ones",
            trainable=False,
            dtype="float32",
            autocast=False,
            aggregation="only_first_replica",
        )

    def keep(self, layer, threshold):
        return kops.convert_to_numpy(layer.mask) > 0


@keras.saving.register_keras_serializable("cvzoo")
class FixedMask(Masking):
    """Keeps pruned weights at zero: they are multiplied by 0 and get no gradient."""


@keras.saving.register_keras_serializable("cvzoo")
class MagnitudePruning(Masking):
    """Gradual magnitude pruning.

    The share of zeros in each layer rises as `s (1 − (1 − t)³)`, t going from 0 to 1
    between two training steps; the weights of smallest modulus go. `cvzoo.sparsify`
    shares the remaining weights out so that small layers stay denser: density in
    proportion to the sum over the product of the kernel's sizes (Erdős–Rényi).

    Args:
        sparsity: Final share s of zeros, in [0, 1): of a layer, or of all the weights
            of a model that is given to `cvzoo.sparsify`.
        end_step: Training step at which it is reached.
        begin_step: Training step at which pruning begins.
        frequency: Steps between two updates of the mask.

    Reference:
        [Zhu and Gupta, 2017](https://arxiv.org/abs/1710.01878);
        [Evci et al., 2020](https://arxiv.org/abs/1911.11134) for the shares.
    """

    def __init__(self, sparsity, end_step, begin_step=0, frequency=10):
        if not (is_number(sparsity) and 0 <= sparsity < 1):
            raise ValueError(f"`sparsity` must be in [0, 1). Received: {sparsity!r}")
        if not (
            all(map(is_number, (begin_step, end_step, frequency)))
            and 0 <= begin_step < end_step
            and frequency >= 1
        ):
            raise ValueError(
                "MagnitudePruning needs 0 ≤ begin_step < end_step and frequency ≥ 1. "
                f"Received: begin_step={begin_step!r}, end_step={end_step!r}, "
                f"frequency={frequency!r}"
            )
        self.sparsity, self.end_step = sparsity, end_step
        self.begin_step, self.frequency = begin_step, frequency

    def build(self, layer):
        super().build(layer)
        layer.pruning_step = layer.add_weight(
            name="pruning_step",
            shape=(),
            initializer="zeros",
            trainable=False,
            dtype="int32",
            aggregation="only_first_replica",
        )

    def update(self, layer):
        step = layer.pruning_step.value
        is_due = kops.logical_or(
            kops.equal(step % self.frequency, 0), kops.equal(step, self.end_step)
        )
        is_due = kops.logical_and(is_due, step <= self.end_step)
        layer.mask.assign(
            kops.cond(
                is_due,
                lambda: self._mask(layer, step),
                lambda: kops.convert_to_tensor(layer.mask),
            )
        )
        layer.pruning_step.assign(step + 1)

    def _mask(self, layer, step):
        length = self.end_step - self.begin_step
        time = kops.cast(step - self.begin_step, "float32") / length
        sparsity = self.sparsity * (1 - (1 - kops.clip(time, 0.0, 1.0)) ** 3)
        size = sum(kops.square(kops.cast(p, "float32")) for p in layer.kernel_parts)
        ranked = kops.sort(kops.reshape(size, (-1,)))
        count = ranked.shape[0]
        place = kops.cast(kops.floor(sparsity * count), "int32")
        threshold = kops.take(ranked, kops.minimum(place, count - 1))
        return kops.cast(size >= threshold, "float32")

    def for_layers(self, shapes, n_train):
        densities = _erdos_renyi_densities(shapes, 1 - self.sparsity)
        config = self.get_config()
        return [
            self.from_config({**config, "sparsity": max(0.0, 1 - density)})
            for density in densities
        ]

    def get_config(self):
        return {
            "sparsity": self.sparsity,
            "end_step": self.end_step,
            "begin_step": self.begin_step,
            "frequency": self.frequency,
        }


def _erdos_renyi_densities(shapes, density):
    """Densities of layers that together keep a share `density` of all weights."""
    sizes = np.array([np.prod(shape) for shape in shapes], float)
    wanted = np.array([np.sum(shape) for shape in shapes], float)
    full = np.zeros(len(sizes), bool)
    while True:
        budget = density * sizes.sum() - sizes[full].sum()
        kept = np.where(full, sizes, wanted * budget / max(wanted[~full].sum(), 1e-9))
        too_many = kept > sizes
        if not too_many.any():
            return kept / sizes
        full |= too_many
