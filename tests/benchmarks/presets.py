"""Loading shipped presets beside building the networks that they are.

The network is built as the zoo makes it, uncompressed and with fresh weights; and then
the preset's own graph, whose weights are zeros, with its masks and compiled.
"""

import json

import cvzoo
from cvzoo import architecture, catalogue, compiling, preset_files, sparsity, weights
from tests.benchmarks.timing import geometric_mean, show

ROUNDS = 7


def building(name):
    """Functions that build the uncompressed network of a preset, and its own graph."""
    folder = catalogue.SHIPPED / name
    settings = json.loads((folder / preset_files.CONFIG).read_text())
    described = json.loads((folder / preset_files.ARCHITECTURE).read_text())
    loaded = cvzoo.from_preset(name)
    shapes = {key: spec.shape for key, spec in weights.specs(loaded).items()}
    masks = {layer.name for layer in sparsity.sparse_layers(loaded)}

    def build_graph():
        model = architecture.build(described, shapes, masks)
        compiling.compile_model(model, settings["compile"])

    def build_network():
        model = cvzoo.create_model(**settings["recipe"]["model"])
        compiling.compile_model(model, settings["compile"])

    return build_network, build_graph


def main():
    """Ratios to both, of each preset."""
    to_network, to_graph = [], []
    for name in catalogue.preset_names():
        build_network, build_graph = building(name)
        found = show(
            f"{name}: from_preset",
            {
                "create_model, compiled": build_network,
                "from_preset": lambda name=name: cvzoo.from_preset(name),
                "the preset's graph, masked, compiled": build_graph,
            },
            bound="1.5",
            rounds=ROUNDS,
        )
        network, preset, graph = found.values()
        to_network.append(preset / network)
        to_graph.append(preset / graph)
    for what, ratios in (("network", to_network), ("own graph", to_graph)):
        mean, most = geometric_mean(ratios), max(ratios)
        print(f"  from_preset to {what}: ×{mean:.2f}, ×{most:.2f} at most")
