"""Sparsifiers: what a linear layer holds to become sparse, as it would a regularizer.

A sparsifier keeps no state. What it needs, it adds to its layer: `log_sigma2` (one
value per weight, complex or real), `mask` (likewise) and `penalty_scale`.
Two sparsifiers are combined by `+`, for example
`ARD(0.03, group="unit") + MagnitudePruning(0.98, end_step=600)`.
"""

import math
import numbers

import keras
import numpy as np
from keras import ops as kops

from cvzoo import ops

# Start of log σ² in every experiment of paper 2.
INITIAL_LOG_SIGMA2 = -10.0


def _is_number(value):
    return isinstance(value, numbers.Real) and math.isfinite(value)


class Sparsifier:
    """Base class: a sparsifier that does nothing.

    Attributes:
        is_random: Whether outputs get noise of variance `|x|² σ²` in training.
        posterior: `"circular"`, or `"scaling"`: complex noise along each mean only.
        terms: The sparsifiers that this one is the sum of.
    """

    is_random = False
    posterior = "circular"

    @property
    def terms(self):
        return (self,)

    def __add__(self, other):
        if not isinstance(other, Sparsifier):
            return NotImplemented
        return Combined(self.terms + other.terms)

    def build(self, layer):
        """Adds the weights that the sparsifier needs to `layer`."""

    def update(self, layer):
        """Called once at each training step, before the kernel is used."""

    def penalty(self, layer):
        """float32 scalar to add to the loss in training, or `None`."""

    def keep(self, layer, threshold):
        """numpy bool array, or `None`: which weights survive pruning."""

    def for_layers(self, shapes, n_train):
        """One sparsifier for each layer of a model.

        Args:
            shapes: Kernel shapes of the layers.
            n_train: Number of training examples, or `None`.
        """
        return [self] * len(shapes)

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self):
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


@keras.saving.register_keras_serializable("cvzoo")
class Combined(Sparsifier):
    """Several sparsifiers on one layer; made by `+`.

    A weight survives pruning if every term keeps it.
    """

    def __init__(self, terms):
        self._terms = tuple(
            keras.saving.deserialize_keras_object(term)
            if isinstance(term, dict)
            else term
            for term in terms
        )
        kinds = [(type(term), getattr(term, "group", None)) for term in self._terms]
        if len(set(kinds)) < len(kinds):
            raise ValueError(
                "A sparsifier of one kind can be added once. "
                f"Received: {list(self._terms)}"
            )
        if sum(isinstance(term, Masking) for term in self._terms) > 1:
            raise ValueError(
                "A layer has one mask, so one of MagnitudePruning and FixedMask must "
                f"do. Received: {list(self._terms)}"
            )

        posteriors = {term.posterior for term in self._terms if term.is_random}
        if len(posteriors) > 1:
            raise ValueError(
                "A layer has one posterior, so the `posterior` of all terms must be "
                f"the same; ARD's is 'circular'. Received: {list(self._terms)}"
            )

    @property
    def terms(self):
        return self._terms

    @property
    def posterior(self):
        (posterior,) = {term.posterior for term in self._terms if term.is_random} or {
            "circular"
        }
        return posterior

    @property
    def is_random(self):
        return any(term.is_random for term in self._terms)

    def build(self, layer):
        for term in self._terms:
            term.build(layer)

    def update(self, layer):
        for term in self._terms:
            term.update(layer)

    def penalty(self, layer):
        penalties = [term.penalty(layer) for term in self._terms]
        penalties = [penalty for penalty in penalties if penalty is not None]
        return sum(penalties) if penalties else None

    def keep(self, layer, threshold):
        kept = [term.keep(layer, threshold) for term in self._terms]
        kept = [mask for mask in kept if mask is not None]
        return np.logical_and.reduce(kept) if kept else None

    def for_layers(self, shapes, n_train):
        by_term = [term.for_layers(shapes, n_train) for term in self._terms]
        return [Combined(terms) for terms in zip(*by_term, strict=True)]

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {"terms": [serialize(term) for term in self._terms]}


class BayesianSparsifier(Sparsifier):
    """Base of the sparsifiers with a Gaussian posterior per weight.

    The penalty is `strength / n_train · Σ KL`. The division by `n_train` is a scalar
    variable, `layer.penalty_scale`, so that a warm-up can assign it during training.

    Args:
        strength: Weight C of the divergence; about the inverse of a temperature.
        n_train: Number of training examples; `cvzoo.sparsify` fills it in.
    """

    is_random = True

    def __init__(self, strength=1.0, n_train=None):
        if not (_is_number(strength) and strength > 0):
            raise ValueError(
                "`strength` must be positive, a finite number. Received: "
                f"{strength!r}. A layer that is to stay dense takes no sparsifier."
            )
        if n_train is not None and not (_is_number(n_train) and n_train > 0):
            raise ValueError(
                "`n_train` must be positive, the number of training examples. "
                f"Received: {n_train!r}"
            )
        self.strength, self.n_train = strength, n_train

    def build(self, layer):
        if self.n_train is None:
            raise ValueError(
                f"{self!r} needs `n_train`, the number of training examples: the "
                "divergence is divided by it."
            )
        if getattr(layer, "log_sigma2", None) is not None:
            return
        layer.log_sigma2 = layer.add_weight(
            name="log_sigma2",
            shape=layer.kernel_shape,
            initializer=keras.initializers.Constant(INITIAL_LOG_SIGMA2),
            dtype="float32",
            autocast=False,
        )
        layer.penalty_scale = layer.add_weight(
            name="penalty_scale",
            shape=(),
            initializer=keras.initializers.Constant(1.0 / self.n_train),
            trainable=False,
            dtype="float32",
            autocast=False,
        )

    def penalty(self, layer):
        return self.strength * layer.penalty_scale * self.divergence(layer)

    def divergence(self, layer):
        """float32 scalar: the divergence summed over the layer's weights."""
        raise NotImplementedError

    def keep(self, layer, threshold):
        kernel = tuple(kops.convert_to_numpy(part) for part in layer.kernel_parts)
        log_sigma2 = kops.convert_to_numpy(layer.log_sigma2)
        return kops.convert_to_numpy(ops.log_alpha(kernel, log_sigma2)) <= threshold

    def for_layers(self, shapes, n_train):
        if n_train is None:
            return [self] * len(shapes)
        return [self.from_config({**self.get_config(), "n_train": n_train})] * len(
            shapes
        )

    def get_config(self):
        return {"strength": self.strength, "n_train": self.n_train}


@keras.saving.register_keras_serializable("cvzoo")
class VariationalDropout(BayesianSparsifier):
    """Sparse variational dropout, real and complex.

    Args:
        strength: Weight C of the divergence. More makes a smaller network.
        n_train: Number of training examples; `cvzoo.sparsify` fills it in.
        kl: `"exact"` or `"approximate"`. `None`, as published: the approximation of
            Molchanov et al., 2017 for real weights and for `"scaling"`, the exact
            term for complex ones (paper 2, §4.2.1).
        posterior: `"circular"`: complex noise without a direction. `"scaling"`, for
            complex layers only: `w = μ (1 + √α ε)` with a real ε, so that noise is
            along μ; its divergence is that of a real weight (paper 2, §4.2.3).
        prior_exponent: β of the prior `∝ |w|^−β`, for complex layers, the circular
            posterior and the exact term: `β/2 · KL₂ + (β/2 − 1) log σ²` a weight, up
            to a constant, with `KL₂` that of β = 2 (paper 2, §4.2.1).

    Raises:
        ValueError: Arguments that do not go together; at build, a real layer with a
            `posterior` or `prior_exponent` other than the default.
    """

    def __init__(
        self,
        strength=1.0,
        n_train=None,
        kl=None,
        posterior="circular",
        prior_exponent=2,
    ):
        super().__init__(strength, n_train)
        if kl not in (None, "exact", "approximate"):
            raise ValueError(
                f"`kl` must be None, 'exact' or 'approximate'. Received: kl={kl!r}"
            )
        if posterior not in ("circular", "scaling"):
            raise ValueError(
                "`posterior` must be 'circular' or 'scaling'. Received: "
                f"posterior={posterior!r}"
            )
        if not (_is_number(prior_exponent) and prior_exponent > 0):
            raise ValueError(
                "`prior_exponent` must be positive, a finite number. Received: "
                f"{prior_exponent!r}"
            )
        if prior_exponent != 2 and (posterior, kl == "approximate") != (
            "circular",
            False,
        ):
            raise ValueError(
                "A `prior_exponent` other than 2 must come with posterior='circular' "
                f"and the exact term. Received: prior_exponent={prior_exponent}, "
                f"posterior={posterior!r}, kl={kl!r}"
            )
        self.kl, self.posterior = kl, posterior
        self.prior_exponent = prior_exponent

    def build(self, layer):
        is_plain = self.posterior == "circular" and self.prior_exponent == 2
        if layer.field == "real" and not is_plain:
            raise ValueError(
                f"{self!r} must be on a complex layer. Received the real layer "
                f"'{layer.name}' ({type(layer).__name__}). Take VariationalDropout "
                "with the default `posterior` and `prior_exponent` there; "
                "`cvzoo.sparsify` takes a function from a layer to a sparsifier."
            )
        super().build(layer)

    def divergence(self, layer):
        kernel, log_sigma2 = layer.kernel_parts, layer.log_sigma2
        if layer.field == "complex" and self.posterior == "circular":
            approximate = self.kl == "approximate"
            term = ops.VD_COMPLEX_APPROXIMATE if approximate else ops.VD_COMPLEX
        else:
            exact = self.kl == "exact"
            term = ops.VD_REAL if exact else ops.VD_REAL_APPROXIMATE
        total = ops.summed_divergence(term, kernel, log_sigma2)
        if self.prior_exponent == 2:
            return total
        half = self.prior_exponent / 2
        return half * total + (half - 1) * kops.sum(log_sigma2)

    def get_config(self):
        return {
            **super().get_config(),
            "kl": self.kl,
            "posterior": self.posterior,
            "prior_exponent": self.prior_exponent,
        }


@keras.saving.register_keras_serializable("cvzoo")
class ARD(BayesianSparsifier):
    """Automatic relevance determination, real and complex.

    Args:
        strength: Weight C of the divergence.
        n_train: Number of training examples; `cvzoo.sparsify` fills it in.
        group: `"weight"`: one prior variance per weight (paper 2, §4.2.2).
            `"unit"`: one for all weights into an output unit; `"input"`: one for all
            weights out of an input unit or channel. Whole units then go, and
            `cvzoo.shrink` removes them. Before batch normalization, which scales what
            is left of a fading unit up again, `"input"` works far better.
    """

    def __init__(self, strength=1.0, n_train=None, group="weight"):
        super().__init__(strength, n_train)
        if group not in ("weight", "unit", "input"):
            raise ValueError(
                "`group` must be 'weight', 'unit' or 'input'. "
                f"Received: group={group!r}"
            )
        self.group = group

    def divergence(self, layer):
        kernel, log_sigma2 = layer.kernel_parts, layer.log_sigma2
        if self.group != "weight":
            axes = layer.unit_axes if self.group == "unit" else layer.input_axes
            return ops.group_divergence(kernel, log_sigma2, axes)
        term = ops.ARD_COMPLEX if layer.field == "complex" else ops.ARD_REAL
        return ops.summed_divergence(term, kernel, log_sigma2)

    def get_config(self):
        return {**super().get_config(), "group": self.group}


class Masking(Sparsifier):
    """Base of the sparsifiers that multiply the kernel with a mask of 0 and 1."""

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
        if not (_is_number(sparsity) and 0 <= sparsity < 1):
            raise ValueError(f"`sparsity` must be in [0, 1). Received: {sparsity!r}")
        if not (
            all(map(_is_number, (begin_step, end_step, frequency)))
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


def get(identifier):
    """A sparsifier from a sparsifier, its configuration, or `None`."""
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if identifier is None or isinstance(identifier, Sparsifier):
        return identifier
    raise ValueError(
        "`sparsifier` must be None, VariationalDropout, ARD, MagnitudePruning or "
        f"FixedMask. Received: {identifier!r}"
    )
