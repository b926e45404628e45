"""`round_weights`: a copy of a model whose stored numbers take fewer bits.

Rounding changes the model; packing then is exact.
"""

import math

import numpy as np
from keras import ops as kops

from cvzoo import folding, graph, sparsifying, sparsity, weights
from cvzoo.channels import kinds

VALUES = ("float32", "float16", "posterior")

# A grid's step is the largest power of two that is at most this many deviations.
# On digits by writer (784 inputs, 256 units, 99 % zeros; seven folds, real and complex)
# one half changed no validation answer; test answers, by one of 260 in three folds.
STEP_PER_DEVIATION = 0.5


def round_weights(model, values, posterior=None, threshold=sparsifying.THRESHOLD):
    """A copy of a model, with its weights rounded.

    Args:
        model: A Functional or Sequential model without noise: one that was never
            sparsified, or the result of `cvzoo.prune` or `cvzoo.shrink`.
        values: `"float32"` rounds nothing. `"float16"` rounds all weights to that.
            `"posterior"` rounds each kernel to multiples of one power of two, as
            precisely as its posterior knows it, and all others to float16.
        posterior: Result of `cvzoo.sparsify` after training, for `"posterior"`. Its
            layers are matched by name; kernels of layers that it does not have, or
            that have no deviations in it, are rounded to float16.
        threshold: The one that was given to `cvzoo.prune`, for `"posterior"`.

    The step of a kernel is the largest power of two that is at most half the typical
    deviation σ of its weights that `cvzoo.prune` keeps; σ/√2 for each part of complex
    ones. Typical is the harmonic mean of σ²: where 1/σ² is the curvature of the loss,
    rounding, of mean squared error step²/12, then adds at most 1/96 for each weight,
    while the posterior's own noise adds 1/2. Zeros stay zero. A weight that is kept
    but smaller than half a step becomes zero.

    Returns:
        A `keras.Model`, not compiled. Masks stay, as `FixedMask`.
    """
    _check(model, values, posterior)
    copy = sparsity.with_masks(model, _mask)
    if values == "float32":
        return copy
    steps = _steps(posterior, copy, threshold) if values == "posterior" else {}
    rounded = {}
    for name, value in weights.named_tensors(copy).items():
        layer, _, variable = name.rpartition("/")
        parts = value if isinstance(value, tuple) else (value,)
        if variable == "kernel" and layer in steps:
            parts = [_to_grid(part, steps[layer]) for part in parts]
        else:
            parts = [_to_float16(name, part) for part in parts]
        rounded[name] = tuple(parts) if len(parts) == 2 else parts[0]
    weights.assign(copy, rounded)
    return copy


def _check(model, values, posterior):
    graph.check_is_model("model", model)
    if values not in VALUES:
        raise ValueError(f"`values` must be one of {VALUES}. Received: {values!r}")
    if (values == "posterior") != (posterior is not None):
        raise ValueError(
            "`posterior`, the result of `cvzoo.sparsify` after training, is needed for "
            f"`values='posterior'` and for that only. Received: values={values!r}, "
            f"posterior={posterior!r}"
        )
    if posterior is not None:
        graph.check_is_model("posterior", posterior)
    if any(layer.sparsifier.is_random for layer in sparsity.sparse_layers(model)):
        raise ValueError(
            f"Model '{model.name}' is sparsified, so its weights have noise still. "
            "Round the result of `cvzoo.prune(model)`."
        )


def _mask(layer):
    mask = getattr(layer, "mask", None)
    return None if mask is None else kops.convert_to_numpy(mask)


def _steps(posterior, model, threshold):
    """Name of each linear layer with a posterior → step of its grid."""
    layers = {
        name: layer
        for name, layer in weights.named_layers(posterior)
        if getattr(layer, "log_sigma2", None) is not None
    }
    if not layers:
        raise ValueError(
            f"No layer of `posterior`, model '{posterior.name}', has deviations. Pass "
            "the result of `cvzoo.sparsify` with a Bayesian sparsifier, after training."
        )
    steps, factors = {}, _factors(posterior, model)
    for name, layer in layers.items():
        keep = layer.sparsifier.keep(layer, threshold)
        log_sigma2 = kops.convert_to_numpy(layer.log_sigma2).astype(float)
        along = np.broadcast_to(factors.get(name, 1.0), log_sigma2.shape)
        keep &= along > 0
        log_sigma2 = log_sigma2[keep] + 2 * np.log(along[keep])
        if log_sigma2.size:
            steps[name] = _step(log_sigma2, len(layer.kernel_parts))
    return steps


def _factors(posterior, model):
    """Layer → by what `shrink` multiplied its kernel when it folded batch norms."""
    kept = dict(weights.named_layers(model))
    plain = sparsity.without_sparsifiers(posterior)
    return {
        name: np.abs(along)
        for norm, (name, along) in folding.all_factors(folding.fold(plain)).items()
        if not kinds.is_batch_norm(kept.get(norm))
    }


def _step(log_sigma2, parts):
    typical = -np.logaddexp.reduce(-log_sigma2) + math.log(log_sigma2.size)
    deviation = math.exp(typical / 2) / math.sqrt(parts)
    return 2.0 ** math.floor(math.log2(STEP_PER_DEVIATION * deviation))


def _to_grid(part, step):
    # Multiples up to 2^24 are exact in float32.
    while np.abs(part).max(initial=0) >= 2.0**24 * step:
        step *= 2
    return np.float32(np.rint(part / step) * step)


def _to_float16(name, part):
    if part.dtype.kind in "biu":  # bfloat16 is of no kind that numpy knows
        return part
    with np.errstate(over="ignore"):
        rounded = part.astype(np.float16).astype(part.dtype)
    if not np.isfinite(rounded).all():
        raise ValueError(
            f"'{name}' does not fit float16: values go up to "
            f"{np.abs(part).max():.4g}, float16 up to 65504. Keep float32."
        )
    return rounded
