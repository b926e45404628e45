"""`shrink` removes from random networks exactly what an oracle says can go.

The oracle knows nothing of layers. It disturbs the outputs of one unit of a dense layer
or convolution and sees whether the network's output ever changes; and, where a unit is
a constant, whether taking it away shifts what its readers compute by the same amount
everywhere.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cvzoo
from cvzoo import sparsity
from tests.random_models import Network

SAMPLES = 4
# Differences below are rounding.
ROUNDING = 1e-4
# Activations that do not saturate, which would hide a disturbance.
OPEN = ("leaky_relu", "softsign")


class Oracle:
    """What can go from a network, found by disturbing it."""

    def __init__(self, network, model):
        self.network, self.model = network, model
        shape = (SAMPLES, *network.input_shape)
        self.inputs = np.random.default_rng(1).normal(size=shape).astype(np.float32)
        self.clean = network.run(model, self.inputs, lambda name, parts: parts)
        self.linear = {layer.name: layer for layer in sparsity.linear_layers(model)}
        self.units = [
            (name, unit)
            for name, layer in self.linear.items()
            for unit in range(_units(layer))
        ]
        # Before a softmax, which may saturate.
        changes = self._changes([[unit] for unit in self.units])[network.logits]
        self.matters = dict(zip(self.units, changes.any(axis=1), strict=True))
        self.stays = dict(self.matters)

    def kept(self):
        """Name of each linear layer → number of units that must stay."""
        last = self.network.steps[self.network.logits][0]
        groups = [self._group(*unit) for unit in self.units]
        # Linear layers are frozen: only direct paths count.
        reached = self._changes(groups, self.clean)
        before = None
        while self.stays != before:  # a unit that goes has no use for others
            before = dict(self.stays)
            for number, (unit, group) in enumerate(
                zip(self.units, groups, strict=True)
            ):
                self.stays[unit] = unit[0] == last or not self._can_go(
                    group, [mask[number] for mask in reached]
                )
        return {
            name: sum(self.stays[unit] for unit in self.units if unit[0] == name)
            for name in self.linear
        }

    def _group(self, name, unit):
        """The unit, and those that stay or go with it."""
        group = {(name, unit)}
        for left, right, *sizes in self.network.tied * len(self.network.tied):
            sides = list(zip((left, right), sizes, strict=True))
            numbers = {
                unit // size
                for side, size in sides
                for name, unit in group
                if name == side
            }
            group |= {
                (side, number * size + offset)
                for side, size in sides
                for number in numbers
                for offset in range(size)
            }
        return sorted(group)

    def _changes(self, groups, frozen=None):
        """For each step a mask `(groups, channels)` of what the groups disturb."""
        count = len(groups)
        generator = np.random.default_rng(2)

        def tiled(array):
            return np.tile(array, (count, *[1] * (array.ndim - 1)))

        def disturb(name, parts):
            parts = [part.reshape(count, SAMPLES, *part.shape[1:]) for part in parts]
            for part in parts:
                noise = generator.uniform(0.5, 3, size=part.shape[1:-1])
                for number, group in enumerate(groups):
                    for unit in [unit for one, unit in group if one == name]:
                        part[number, ..., unit] += self.sign * noise
            return [part.reshape(-1, *part.shape[2:]) for part in parts]

        found = [False] * len(self.clean)
        frozen = frozen and [[tiled(part) for part in parts] for parts in frozen]
        for self.sign in (-1, 1):
            run = self.network.run(self.model, tiled(self.inputs), disturb, frozen)
            for step, parts in enumerate(run):
                for part, clean in zip(parts, self.clean[step], strict=True):
                    change = np.abs(part.reshape(count, *clean.shape) - clean)
                    change = change.reshape(count, -1, clean.shape[-1]).max(axis=1)
                    found[step] |= change > ROUNDING
        return found

    def _can_go(self, group, reached):
        if not any(self.stays[one] for one in group):
            return True
        shifts = {}
        for number, (name, _, read) in enumerate(self.network.steps):
            if name not in self.linear:
                continue
            readers = [(name, unit) for unit in range(_units(self.linear[name]))]
            useful = [
                self.stays[one] and self.matters[one] and one not in group
                for one in readers
            ]
            shift = self._shift(number, read[0], reached[read[0]], useful)
            if shift is None:
                return False
            # A layer that is called twice has one bias.
            before = shifts.setdefault(name, shift)
            if shift.shape != before.shape or _differ([shift], [before]):
                return False
        return True

    def _shift(self, number, source, reached, useful):
        """What some channels give a reader's useful units, if it is a constant."""
        layer, clean = self.linear[self.network.steps[number][0]], self.clean[source]
        if not reached.any():
            return np.zeros(0)
        without = [np.where(reached, 0, part).astype(np.float32) for part in clean]
        outputs = layer(without[0] if len(without) == 1 else tuple(without))
        outputs = [outputs] if len(without) == 1 else outputs
        shifts = [
            _flat(before - np.asarray(after))[:, useful]
            for before, after in zip(self.clean[number], outputs, strict=True)
        ]
        # Exactly: a constant may be small by chance.
        if not any(shift.any() for shift in shifts):
            return np.zeros(0)
        is_constant = all(
            np.ptp(_flat(part)[:, reached], axis=0).max() < ROUNDING for part in clean
        )
        is_even = all(np.ptp(shift, axis=0).max() < ROUNDING for shift in shifts)
        if not is_constant or not is_even:
            return None
        return np.concatenate([shift[0] for shift in shifts])


def _flat(array):
    return array.reshape(-1, array.shape[-1])


def _units(layer):
    *_, before, after = sparsity.kernel_variables(layer)[0].shape
    is_depthwise = "Depthwise" in type(layer).__name__
    return before * after if is_depthwise else after


def _differ(left, right):
    return any(
        np.abs(a - b).max(initial=0) > ROUNDING
        for a, b in zip(left, right, strict=True)
    )


def check(network, shrink):
    """Same outputs, and the units of the oracle; a layer of none keeps one."""
    model = network.pruned()
    oracle = Oracle(network, model)
    shrunk = shrink(model)
    expected, found = model(oracle.inputs), shrunk(oracle.inputs)
    scale = max(1, np.abs(expected).max())
    np.testing.assert_allclose(found, expected, atol=1e-5 * scale)
    kept = oracle.kept()
    if all(kept.values()):
        units = {name: _units(shrunk.get_layer(name)) for name in kept}
        assert units == kept


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_real_networks(seed):
    check(Network(seed, "real", OPEN), cvzoo.shrink)


@settings(max_examples=4)
@given(seed=st.integers(0, 10_000))
def test_complex_networks(seed):
    check(Network(seed, "complex", OPEN), cvzoo.shrink)


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000), field=st.sampled_from(["real", "complex"]))
def test_outputs_with_relu_softmax_and_images_of_any_size(seed, field):
    activations = ("relu", "relu", "tanh", "softplus", "softmax")
    network = Network(seed, field, activations, is_any_size=seed % 2 == 0)
    model = network.pruned()
    shrunk = cvzoo.shrink(model)
    *sides, size = network.input_shape
    for more in (0, 3) if network.is_any_size else (0,):
        shape = (5, *(side + more for side in sides), size)
        inputs = np.random.default_rng(1).normal(size=shape)
        expected, found = model(inputs), shrunk(inputs)
        scale = max(1, np.abs(expected).max())
        np.testing.assert_allclose(found, expected, atol=1e-5 * scale)


def test_leaving_a_model_as_it_is_fails():
    with pytest.raises(AssertionError):
        for seed in range(5):
            check(Network(seed, "real", OPEN), sparsity.without_sparsifiers)
