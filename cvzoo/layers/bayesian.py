"""Sparsifiers with a Gaussian posterior for each weight."""

import keras
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers.sparsifiers import Sparsifier, is_number

# Start of log σ² in every experiment of paper 2.
INITIAL_LOG_SIGMA2 = -10.0


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
        if not (is_number(strength) and strength > 0):
            raise ValueError(
                "`strength` must be positive, a finite number. Received: "
                f"{strength!r}. A layer that is to stay dense takes no sparsifier."
            )
        if n_train is not None and not (is_number(n_train) and n_train > 0):
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
        if not (is_number(prior_exponent) and prior_exponent > 0):
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
            `"unit"`: one for all weights into an output unit, so that whole units
            go, and `cvzoo.shrink` removes them.
    """

    def __init__(self, strength=1.0, n_train=None, group="weight"):
        super().__init__(strength, n_train)
        if group not in ("weight", "unit"):
            raise ValueError(
                f"`group` must be 'weight' or 'unit'. Received: group={group!r}"
            )
        self.group = group

    def divergence(self, layer):
        kernel, log_sigma2 = layer.kernel_parts, layer.log_sigma2
        if self.group == "unit":
            return ops.unit_divergence(kernel, log_sigma2, layer.unit_axes)
        term = ops.ARD_COMPLEX if layer.field == "complex" else ops.ARD_REAL
        return ops.summed_divergence(term, kernel, log_sigma2)

    def get_config(self):
        return {**super().get_config(), "group": self.group}
