"""Networks that are as large as fit in a number of bytes of their weights file."""

import math

import scipy.optimize

import cvzoo
from cvzoo import packing, weights
from training import stages


def largest_within(budget, models):
    """The largest model whose packed weights fit in `budget` bytes.

    Args:
        budget: Bytes of the weights file.
        models: Models, each at least as large as the one before, without end.

    Returns:
        The model, and whether it fits: the first one may not.
    """
    models = iter(models)
    model = next(models)
    fits = packed_bytes(model) <= budget
    while fits and packed_bytes(larger := next(models)) <= budget:
        model = larger
    return model, fits


def packed_bytes(model):
    """Size that a model's weights file would have."""
    return len(packing.pack(weights.named_tensors(model)))


def sparsified_to(budget, config, pretrained, data):
    """The pre-trained network sparsified, on the way to fit in `budget` bytes.

    Args:
        budget: Bytes of the weights file after pruning.
        config: Recipe; the shares of its magnitude pruning are set to fit.
        pretrained: `stages.Trained`.
        data: `examples.Data`.
    """
    shares = [
        term
        for term in config["stages"]["sparsify"]["sparsifiers"]
        if term["name"] == "MagnitudePruning"
    ]
    density = _density_within(budget, pretrained.model.count_params())
    for _ in range(2 if shares else 1):
        for term in shares:
            term["sparsity"] = 1 - density
        model = stages.sparsify(config, pretrained, data, quiet=True)
        # The second time the share is corrected by what the first gave.
        used = packed_bytes(cvzoo.shrink(cvzoo.prune(model))) / budget
        if 0.97 < used < 1.03:
            break
        density /= used
    return model


def pruned_to(budget, model):
    """Pruned at the highest threshold whose packed weights fit in `budget` bytes."""
    low, high = -10.0, 10.0
    for _ in range(10):
        middle = (low + high) / 2
        shrunk = cvzoo.shrink(cvzoo.prune(model, middle))
        fits = packed_bytes(shrunk) <= budget
        low, high = (middle, high) if fits else (low, middle)
    return cvzoo.prune(model, low)


def _density_within(budget, size):
    """Share of `size` real weights that `budget` bytes hold: values and places."""

    def excess(density):
        rest = 1 - density
        places = -density * math.log2(density) - rest * math.log2(rest)
        return size * (4 * density + places / 8) - budget

    if excess(1 - 1e-9) <= 0:
        return 1.0  # All of them.
    return scipy.optimize.brentq(excess, 1e-9, 1 - 1e-9)
