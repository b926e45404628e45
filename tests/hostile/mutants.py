"""Thousands of hostile presets, each a change of a small one; the same every time."""

from tests.hostile import (
    damaged,
    forged_graphs,
    forged_json,
    forged_manifests,
    other_weights,
)


def mutants(times=1):
    """All mutants; `times` as many of those that are drawn."""
    modules = (damaged, forged_json, forged_graphs, forged_manifests, other_weights)
    found = [mutant for module in modules for mutant in module.mutants(times)]
    names = [mutant.name for mutant in found]
    assert len(names) == len(set(names))
    return found
