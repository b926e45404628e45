"""`compression_report`: parameters and bytes of a model, layer by layer."""

import dataclasses

import numpy as np

from cvzoo import packing, weights


@dataclasses.dataclass(frozen=True)
class Row:
    """Counts of one layer, or of all; a complex number counts as two."""

    name: str
    parameters: int
    nonzero: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class CompressionReport:
    """What `compression_report` found. `print` shows it as a table.

    Attributes:
        layers: A `Row` for each layer with weights.
        parameters: Numbers of the model, zeros included.
        nonzero: Numbers less the zeros in kernels, as the papers count them.
        bytes: Size of the packed weights file.
        baseline_parameters: Numbers of the baseline, or of the model itself.
        compression: `baseline_parameters / nonzero`.
    """

    layers: tuple
    parameters: int
    nonzero: int
    bytes: int
    baseline_parameters: int

    @property
    def compression(self):
        return self.baseline_parameters / max(1, self.nonzero)

    def __str__(self):
        rows = [*self.layers, Row("all", self.parameters, self.nonzero, self.bytes)]
        width = max(len(row.name) for row in rows)
        lines = [f"{'layer':{width}}  parameters   non-zero      bytes"]
        lines += [
            f"{row.name:{width}}  {row.parameters:>10,} {row.nonzero:>10,} "
            f"{row.bytes:>10,}"
            for row in rows
        ]
        lines.append(
            f"×{self.compression:.1f} against {self.baseline_parameters:,} parameters"
        )
        return "\n".join(lines)


def compression_report(model, baseline=None):
    """Counts parameters, non-zero ones and packed bytes.

    As in paper 2, zeros are looked for in kernels only, a complex weight counts as
    two, and `log_sigma2` and masks do not count.

    Args:
        model: A Functional or Sequential Keras model, best after `cvzoo.shrink`.
        baseline: The uncompressed model. Defaults to `model` itself.

    Returns:
        A `CompressionReport`.
    """
    tensors = weights.named_tensors(model)
    layers = {}
    for name, value in tensors.items():
        layers.setdefault(name.rpartition("/")[0], {})[name] = value
    rows = tuple(_row(name, group) for name, group in layers.items())
    against = model if baseline is None else baseline
    return CompressionReport(
        layers=rows,
        parameters=sum(row.parameters for row in rows),
        nonzero=sum(row.nonzero for row in rows),
        bytes=len(packing.pack(tensors)),
        baseline_parameters=sum(
            _size(value) for value in weights.named_tensors(against).values()
        ),
    )


def _row(name, tensors):
    zeros = sum(
        _zeros(value) for key, value in tensors.items() if key.endswith("/kernel")
    )
    parameters = sum(_size(value) for value in tensors.values())
    return Row(name, parameters, parameters - zeros, len(packing.pack(tensors)))


def _size(value):
    return sum(part.size for part in value) if isinstance(value, tuple) else value.size


def _zeros(value):
    if isinstance(value, tuple):
        real, imag = value
        return 2 * int(np.sum((real == 0) & (imag == 0)))
    return int(np.sum(value == 0))
