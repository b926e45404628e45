"""`measure`: what a preset's exports take, beside those of its uncompressed network."""

import dataclasses
import math
import tempfile
from pathlib import Path

import keras
import numpy as np

from cvzoo import catalogue, graph, models, preset_files, presets, sparsity
from cvzoo.exporting import litert, signatures, verification, writing
from cvzoo.layers.circulant import CirculantBase

BATCHES = (1, 64)
CALLS = 200
UNCOMPRESSED = "uncompressed, fresh weights"


@dataclasses.dataclass(frozen=True)
class Row:
    """One export.

    Attributes:
        network: What was exported.
        format: As what.
        bytes: Of its folder, by `stat`.
        numbers: Weights that are not zero.
        multiply_adds: Of linear and circulant layers, for one example, zeros included;
            a complex product counts as four.
        milliseconds: Size of a batch → median and 99th percentile of a call's time.
        peak: The most memory that the process held that ran it, in bytes.
        dominated_by: Rows of the preset, in float32, that are neither larger nor
            slower, for any batch, and smaller or faster.
    """

    network: str
    format: str
    bytes: int
    numbers: int
    multiply_adds: int
    milliseconds: dict
    peak: int
    dominated_by: tuple = ()

    @property
    def name(self):
        """The network and its format."""
        return f"{self.network}, {self.format}"


def measure(name, batches=BATCHES):
    """Exports a preset, and its uncompressed network, and runs them.

    Each is exported and run in a process of its own, one after another. The
    uncompressed network is that of the preset's recipe, with fresh weights: time and
    bytes do not depend on what these are.

    Args:
        name: As for `from_preset`.
        batches: Sizes of batches.

    Returns:
        List of `Row`.
    """
    folder = catalogue.find(name)
    manifest = preset_files.read_manifest(folder)
    networks = {
        manifest["name"]: presets.from_preset(name, compile=False, masked=False)
    }
    recipe = catalogue.recipe_of(folder)
    if "model" in recipe:
        networks[UNCOMPRESSED] = models.create_model(**recipe["model"])
    formats = {"SavedModel": ("tf_saved_model", None)}
    if litert.is_installed():
        formats |= {"LiteRT": ("litert", None), "LiteRT int8": ("litert", "int8")}
    rows = [
        _measured(network, model, format, *asked, batches)
        for network, model in networks.items()
        for format, asked in formats.items()
    ]
    return [
        dataclasses.replace(
            row, dominated_by=tuple(o.name for o in rows if _is_better(o, row))
        )
        for row in rows
    ]


def _measured(network, model, format, export_format, quantize, batches):
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "export")
        # Of fresh weights, int8 may be any way off.
        tolerance = np.inf if network == UNCOMPRESSED else None
        report = writing.export(
            *(model, folder, export_format),
            **{"quantize": quantize, "tolerance": tolerance},
        )
        served = signatures.Served(graph.functional(model))
        generator = np.random.default_rng(0)
        inputs = [served.random(size, generator) for size in batches]
        found = verification.run(folder, inputs, export_format, CALLS)
    plain = sparsity.without_sparsifiers(model)
    return Row(
        network=network,
        format=format,
        bytes=report["bytes"],
        numbers=sum(int(np.count_nonzero(one.numpy())) for one in plain.weights),
        multiply_adds=multiply_adds(plain),
        milliseconds={
            size: tuple(round(float(one), 4) for one in times)
            for size, times in zip(batches, found.milliseconds, strict=True)
        },
        peak=found.peak,
    )


def multiply_adds(model):
    """Products and sums of a model's linear layers, for one example.

    Of a circulant layer, those of its transforms, 5 n log₂ n each, and of the products
    between them.
    """
    plan = graph.read(model)
    return sum(_of_call(plan.layers[call.layer]) for call in plan.calls)


def _of_call(layer):
    if graph.is_nested(layer):
        return multiply_adds(layer)
    if isinstance(layer, CirculantBase):
        parts = len(layer.circulant_parts)
        transforms = 2 * 5 * layer.size * math.log2(max(layer.size, 2))
        return round(layer.blocks * parts * (transforms + 3 * layer.size))
    if not sparsity.is_linear(layer):
        return 0
    kernel = sparsity.kernel_variables(layer)
    given, taken = (
        int(np.prod(keras.tree.flatten(tensors)[0].shape[1:-1]))
        for tensors in (layer.input, layer.output)
    )
    size = int(np.prod(kernel[0].shape)) * len(kernel) ** 2
    return size * (given if "Transpose" in type(layer).__name__ else taken)


def _is_better(other, row):
    """Whether a row is as small and as fast as another, and smaller or faster.

    Only rows of the preset's own weights are: others' scores are not known.
    """
    if other.network == UNCOMPRESSED or other.format.endswith("int8"):
        return False

    def costs(one):
        return [one.bytes, *(median for median, _ in one.milliseconds.values())]

    pairs = list(zip(costs(other), costs(row), strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
