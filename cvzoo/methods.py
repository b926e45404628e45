"""The ways `cvzoo.compress` can make a network sparse, each with one dial.

The dial of all of them is a *pressure* above 0: more of it, a smaller network.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from cvzoo.layers import ARD, MagnitudePruning, VariationalDropout

# Share of the sparsify stage over which magnitude pruning goes on.
RAMP = 0.7


class Method(NamedTuple):
    """How to make a sparsifier.

    Attributes:
        sparsifier: Function of the pressure, the number of weights of the model and
            the training steps of the stage.
        start: Pressure to begin with where there is no target for the compression.
        is_compression: Whether the pressure is the compression that the pruned
            kernels get, so that a target can be asked for.
        has_posterior: Whether weights get a posterior variance.
    """

    sparsifier: Callable
    start: float
    is_compression: bool
    has_posterior: bool


def _variational_dropout(pressure, weights, steps):
    return VariationalDropout(strength=pressure)


def _ard(pressure, weights, steps):
    return ARD(strength=pressure)


def _magnitude(pressure, weights, steps):
    sparsity = max(0.0, 1 - 1 / pressure)
    return MagnitudePruning(sparsity, end_step=max(1, round(RAMP * steps)))


def _unit_ard_magnitude(pressure, weights, steps):
    # 6/√weights was near the best on digits (38 thousand weights: 0.03; 3.2 million:
    # 0.003): the divergence grows with the number of weights, the data do not.
    strength = min(0.1, 6 / math.sqrt(weights))
    return ARD(strength, group="unit") + _magnitude(pressure, weights, steps)


METHODS = {
    "unit_ard_magnitude": Method(_unit_ard_magnitude, 20.0, True, True),
    "variational_dropout": Method(_variational_dropout, 0.1, False, True),
    "ard": Method(_ard, 0.1, False, True),
    "magnitude": Method(_magnitude, 20.0, True, False),
}
# The best of the tables in README.md at equal bytes.
DEFAULT = "unit_ard_magnitude"
