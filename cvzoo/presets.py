"""`from_preset`: preset folders → models."""

from cvzoo import (
    architecture,
    catalogue,
    compiling,
    manifest_checks,
    opening,
    packing,
    reporting,
    stored_examples,
    weights,
)
from cvzoo.catalogue import PresetError


def from_preset(name, compile=True, masked=True, verify=False):
    """A model with the weights of a preset.

    Every file is compared with the sha256 of the manifest, and layers and arguments
    with a closed list, before any object is made. No code is loaded.

    Args:
        name: A name of `cvzoo.list_presets()`; a preset folder; or the address of one,
            `https://host/path/folder[#sha256=…]` or
            `hf://owner/name[/sub/folder][@revision]`, which is downloaded into the
            folder that `CVZOO_HOME` names, unless it is there. See docs/presets.md.
        compile: Whether the model is compiled as the preset says (Adam).
        masked: Whether weights that are zero stay zero while training goes on.
        verify: Whether the stored example inputs are run and their outputs compared.

    Returns:
        A `keras.Model`.

    Raises:
        PresetError: The preset is unknown, damaged, out of reach, or holds something
            unexpected.
    """
    with opening.opened(name) as preset:
        manifest, specs, tensors = preset.manifest, preset.specs, preset.tensors
        described = catalogue.parse_json(
            preset.files[catalogue.ARCHITECTURE], catalogue.ARCHITECTURE
        )
        settings = catalogue.parse_json(
            preset.files[catalogue.CONFIG], catalogue.CONFIG
        )
        compiling.check_config(settings)
        shapes = {name: spec.shape for name, spec in specs.items()}
        counts, with_zeros = _looked_at(tensors)
        # Masks are there from the start: a masked copy would take the memory twice.
        model = architecture.build(described, shapes, with_zeros if masked else ())
        found = weights.specs(model)
        packing.check_names(found, specs, "manifest")
        if found != specs:
            raise PresetError(f"the manifest states {specs}; the layers have {found}.")
        _check_counts(counts, manifest["counts"])
        examples = manifest["examples"]
        manifest_checks.check_examples_fit(examples, model.inputs, model.outputs)
        weights.assign_some(model, tensors, specs, masked=True)
        if verify:
            stored_examples.verify(model, examples)
        if compile and settings["compile"] is not None:
            compiling.compile_model(model, settings["compile"])
    return model


def _looked_at(tensors):
    """`(numbers, those that are not zero)`, and layers whose kernel has zeros.

    Each tensor is decoded and let go: no model is made before all of them are good.
    """
    parameters, nonzero, with_zeros = 0, 0, set()
    for name in tensors:
        value = tensors[name]
        numbers, others = reporting.counts({name: value})
        parameters, nonzero = parameters + numbers, nonzero + others
        if name.endswith("/kernel") and packing.has_zeros(value):
            with_zeros.add(name.rpartition("/")[0])
        del value  # before the next one is there
    return (parameters, nonzero), with_zeros


def _check_counts(found, stated):
    if found != (stated["parameters"], stated["nonzero"]):
        raise PresetError(
            f"the weights are {found[0]} numbers, {found[1]} of them not zero; the "
            f"manifest counts {stated}."
        )
