"""`compression_report`: parameters and bytes of a model, layer by layer."""

import dataclasses

import numpy as np

from cvzoo import figures, graph, packing, rounding, sparsifying, weights


@dataclasses.dataclass(frozen=True)
class Row:
    """Counts of one layer, or of all; a complex number counts as two."""

    name: str
    parameters: int
    nonzero: int
    bytes: int

    @property
    def sparsity(self):
        return 1 - self.nonzero / max(1, self.parameters)


@dataclasses.dataclass(frozen=True)
class Change:
    """How far outputs are from those of a reference model.

    Attributes:
        largest: Largest absolute difference.
        relative: Root of the mean of the squared differences, over that of the
            reference's outputs.
    """

    largest: float
    relative: float


@dataclasses.dataclass(frozen=True)
class CompressionReport:
    """What `compression_report` found. `print` shows it as a table.

    Attributes:
        layers: A `Row` for each layer with weights. Bytes are those of its tensors.
        parameters: Numbers of the model, zeros included.
        nonzero: Numbers less the zeros in kernels, as the papers count them.
        bytes: Size of the packed weights file.
        baseline_parameters: Numbers of the baseline, or of the model itself.
        compression: `baseline_parameters / nonzero`.
        change: `Change` of the outputs, or `None` without `inputs`.
    """

    layers: tuple
    parameters: int
    nonzero: int
    bytes: int
    baseline_parameters: int
    change: Change | None = None

    @property
    def compression(self):
        return self.baseline_parameters / max(1, self.nonzero)

    @property
    def total(self):
        """The `Row` of all layers."""
        return Row("all", self.parameters, self.nonzero, self.bytes)

    def rows(self):
        """A dictionary for each layer, and one for all of them."""
        return [
            {**dataclasses.asdict(row), "sparsity": row.sparsity}
            for row in (*self.layers, self.total)
        ]

    def draw(self, path):
        """Draws the sparsity of each layer as horizontal bars.

        Args:
            path: Where to save the picture, for example `sparsity.png`.

        Returns:
            The path.
        """
        rows = (*self.layers, self.total)
        height = 1.2 + 0.24 * len(rows)
        figure, axes = figures.new_figure(8, height)
        places = range(len(rows))
        percent = [100 * row.sparsity for row in rows]
        colours = ["C0"] * len(self.layers) + ["C1"]
        axes.barh(places, percent, color=colours, height=0.7)
        axes.set_yticks(places, [_shortened(row.name) for row in rows], fontsize=8)
        for place, row, length in zip(places, rows, percent, strict=True):
            text = f"{length:.1f} %, {row.nonzero:,} of {row.parameters:,}"
            is_long = length > 55
            axes.annotate(
                text,
                (length, place),
                (-4 if is_long else 4, 0),
                textcoords="offset points",
                ha="right" if is_long else "left",
                va="center",
                fontsize=8,
                color="white" if is_long else "black",
            )
        # Without the margins that matplotlib adds for each bar.
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, 100)
        axes.set_xlabel("numbers that are zero, %")
        axes.set_title(f"×{self.compression:.1f}, {self.bytes:,} bytes packed")
        return figures.save(figure, path)

    def __str__(self):
        rows = (*self.layers, self.total)
        width = max(len(row.name) for row in rows)
        lines = [f"{'layer':{width}}  parameters   non-zero    zeros      bytes"]
        lines += [
            f"{row.name:{width}}  {row.parameters:>10,} {row.nonzero:>10,} "
            f"{100 * row.sparsity:>6.1f} % {row.bytes:>10,}"
            for row in rows
        ]
        lines += [
            f"×{self.compression:.1f} against {self.baseline_parameters:,} parameters",
            f"in memory, where zeros count: {self.parameters:,} "
            f"(×{self.baseline_parameters / max(1, self.parameters):.1f})",
        ]
        if self.change is not None:
            lines.append(
                f"outputs differ by at most {self.change.largest:.2g}, "
                f"{100 * self.change.relative:.2g} % of their size"
            )
        return "\n".join(lines)


def compression_report(
    model,
    baseline=None,
    buffers=True,
    values="float32",
    posterior=None,
    reference=None,
    inputs=None,
    threshold=sparsifying.THRESHOLD,
):
    """Counts parameters, non-zero ones and packed bytes.

    As in paper 2, zeros are looked for in kernels only, a complex weight counts as
    two, and `log_sigma2` and masks do not count.

    Args:
        model: A Functional or Sequential Keras model, best after `cvzoo.shrink`.
        baseline: The uncompressed model. Defaults to `model` itself.
        buffers: Whether moving statistics of batch normalization count as parameters,
            of the baseline too. Paper 2's figures leave them out. They are among the
            bytes in any case.
        values: How weights are rounded first; see `cvzoo.round_weights`.
        posterior: Sparsified model, for `values="posterior"`.
        reference: The model that outputs are compared with. Defaults to `model`
            before rounding.
        inputs: Inputs to compare outputs on, as `predict` takes them.
        threshold: The one that was given to `cvzoo.prune`, for
            `values="posterior"`.

    Returns:
        A `CompressionReport`.
    """
    graph.check_is_model("model", model)
    for argument, value in (("baseline", baseline), ("reference", reference)):
        if value is not None:
            graph.check_is_model(argument, value)
    if reference is not None and inputs is None:
        raise ValueError("`reference` is compared on `inputs`, which are missing.")
    reported = model
    if values != "float32" or posterior is not None:
        reported = rounding.round_weights(model, values, posterior, threshold)
    tensors = weights.named_tensors(reported)
    whole, sizes = packing.measure(tensors)
    layers = {}
    for name, value in tensors.items():
        layers.setdefault(name.rpartition("/")[0], {})[name] = value
    rows = tuple(_row(name, group, sizes, buffers) for name, group in layers.items())
    against = tensors if baseline is None else weights.named_tensors(baseline)
    change = None
    if inputs is not None:
        change = _change(reported, model if reference is None else reference, inputs)
    return CompressionReport(
        layers=rows,
        parameters=sum(row.parameters for row in rows),
        nonzero=sum(row.nonzero for row in rows),
        bytes=whole,
        baseline_parameters=counts(against, buffers)[0],
        change=change,
    )


def counts(tensors, buffers=True):
    """Parameters, and those that are no zeros in kernels, of `named_tensors`."""
    parameters, zeros = 0, 0
    for name, value in tensors.items():
        if buffers or not _is_buffer(name):
            parameters += _size(value)
            zeros += _zeros(value) if name.endswith("/kernel") else 0
    return parameters, parameters - zeros


def _row(name, tensors, sizes, buffers):
    return Row(name, *counts(tensors, buffers), sum(sizes[key] for key in tensors))


def _is_buffer(name):
    return name.rpartition("/")[2].startswith("moving_")


def _change(model, reference, inputs):
    found, expected = (
        np.concatenate([np.ravel(one) for one in _outputs(each, inputs)])
        for each in (model, reference)
    )
    if found.shape != expected.shape:
        raise ValueError(
            "`reference` must have outputs of the model's size. Received: "
            f"{expected.size} numbers, the model gives {found.size}"
        )
    difference = np.abs(found.astype(float) - expected)
    size = np.sqrt(np.mean(expected.astype(float) ** 2))
    relative = np.sqrt(np.mean(difference**2)) / size if size else difference.max()
    return Change(float(difference.max()), float(relative))


def _outputs(model, inputs):
    outputs = model.predict(inputs, verbose=0)
    if isinstance(outputs, dict):
        return [outputs[key] for key in sorted(outputs)]
    return outputs if isinstance(outputs, list | tuple) else [outputs]


def _size(value):
    return sum(part.size for part in value) if isinstance(value, tuple) else value.size


def _zeros(value):
    if isinstance(value, tuple):
        real, imag = value
        return 2 * int(np.sum((real == 0) & (imag == 0)))
    return int(np.sum(value == 0))


def _shortened(name):
    return name if len(name) <= 40 else f"…{name[-39:]}"
