"""`load_weights_from`: weights of a preset for a model that is like it in parts."""

import dataclasses
from typing import NamedTuple

from cvzoo import graph, opening, packing, weights
from cvzoo.preset_files import PresetError


class Mismatch(NamedTuple):
    """Weights of one name, which differ in shape, or are complex on one side only.

    Attributes:
        name: Of the weights.
        expected: What the model has: `shape`, and `parts`, which are 2 of complex ones.
        found: What the preset has.
    """

    name: str
    expected: packing.Spec
    found: packing.Spec

    def __str__(self):
        model, preset = map(_told, (self.expected, self.found))
        return f"{self.name}: {model} in the model, {preset} in the preset"


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """What `load_weights_from` did.

    Attributes:
        loaded: Names of the weights that the model has from the preset now.
        missing: Weights of the model that the preset does not have.
        unused: Weights of the preset that the model does not have.
        mismatched: A `Mismatch` for each name that both have, and that does not fit.
    """

    loaded: tuple
    missing: tuple
    unused: tuple
    mismatched: tuple

    def __str__(self):
        return "\n".join([f"{len(self.loaded)} weights loaded", *self._left_over()])

    def _left_over(self):
        return [
            *_listed("of the model that the preset does not have", self.missing),
            *_listed("of the preset that the model does not have", self.unused),
            *_listed("that do not fit", self.mismatched),
        ]


def load_weights_from(model, name, strict=False):
    """Sets weights of a model to those of a preset, where names and shapes match.

    A name is that of the layer and its weight, such as `hidden/kernel`; layers of a
    nested model have its name before theirs, so give the nested model itself, if that
    is what the preset is like. What has another shape is left as it was. So are
    `log_sigma2` of a sparsified model, and quantized layers.

    Layers that have a mask get that of the zeros of the kernel that they are given, so
    that zeros stay zero and other weights count. Layers without one do not get one.

    Args:
        model: A built Keras model.
        name: As for `from_preset`.
        strict: Whether anything that does not match is an error.

    Returns:
        A `LoadReport`.

    Raises:
        PresetError: The preset is unknown or damaged; no weights match; or, if
            `strict`, some do not. The model is as it was.
        ValueError: `model` is no model, or has no weights yet.
    """
    graph.check_is_model("model", model)
    if not isinstance(strict, bool):
        raise ValueError(f"`strict` must be True or False. Received: {strict!r}")
    expected = _settable(model)
    with opening.opened(name) as preset:
        report = _compared(expected, preset.specs)
        is_exact = not (report.missing or report.unused or report.mismatched)
        if not report.loaded or (strict and not is_exact):
            listed = "\n".join(report._left_over())
            advice = ", or pass `strict=False`" if report.loaded else ""
            shapes = ", and their shapes" if report.mismatched else ""
            raise PresetError(
                f"nothing was loaded: {len(report.loaded)} weights match. Give layers "
                f"the names of the preset's{shapes}{advice}.\n{listed}"
            )
        for tensor in report.loaded:
            preset.tensors[tensor]  # Raises where it is damaged, before any is set.
        weights.assign_some(model, preset.tensors, report.loaded, masked=True)
    return report


def _settable(model):
    """Name → spec of each weight that is a number as it is stored."""
    quantized = {
        path for path, layer in weights.named_layers(model) if graph.is_quantized(layer)
    }
    return {
        name: spec
        for name, spec in weights.specs(model).items()
        if name.rpartition("/")[0] not in quantized
    }


def _compared(expected, found):
    both = [name for name in expected if name in found]
    return LoadReport(
        loaded=tuple(name for name in both if expected[name] == found[name]),
        missing=tuple(name for name in expected if name not in found),
        unused=tuple(name for name in found if name not in expected),
        mismatched=tuple(
            Mismatch(name, expected[name], found[name])
            for name in both
            if expected[name] != found[name]
        ),
    )


def _told(spec):
    return f"{spec.shape} {'complex' if spec.parts == 2 else 'real'}"


def _listed(what, items):
    return [f"{len(items)} {what}", *(f"  {one}" for one in items)] if items else []
