"""`from_preset`: preset folders → models."""

from cvzoo import (
    architecture,
    compiling,
    heads,
    manifest_checks,
    opening,
    packing,
    preset_files,
    reporting,
    stored_examples,
    weights,
)
from cvzoo.layers.linear import check_size
from cvzoo.preset_files import PresetError


def from_preset(name, compile=True, masked=True, verify=False, classes=None):
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
        classes: For fine-tuning, the number of classes of a new head: the last linear
            layer, with the weights of a new layer and no mask. `None` keeps the
            preset's.

    Returns:
        A `keras.Model`. Layers that were not trainable when it was saved are not.

    Raises:
        PresetError: The preset is unknown, damaged, out of reach, or holds something
            unexpected; or it has no head that `classes` could replace.
    """
    if classes is not None:
        check_size("classes", classes)
    if verify and classes is not None:
        raise ValueError("`verify` compares outputs of the preset's own classes.")
    with opening.opened(name) as preset:
        manifest, specs, tensors = preset.manifest, preset.specs, preset.tensors
        described = preset_files.parse_json(
            preset.files[preset_files.ARCHITECTURE], preset_files.ARCHITECTURE
        )
        settings = preset_files.parse_json(
            preset.files[preset_files.CONFIG], preset_files.CONFIG
        )
        compiling.check_config(settings)
        shapes, fresh = {name: spec.shape for name, spec in specs.items()}, set()
        if classes is not None:
            known = len(manifest["classes"])
            described, fresh, shapes = heads.replaced(described, shapes, classes, known)
        counts, with_zeros = _looked_at(tensors)
        # Masks are there from the start: a masked copy would take the memory twice.
        masks = with_zeros - fresh if masked else set()
        model = architecture.build(described, shapes, masks, fresh)
        kept = _without(fresh, specs)
        found = _without(fresh, weights.specs(model))
        packing.check_names(found, kept, "manifest")
        if found != kept:
            raise PresetError(f"the manifest states {kept}; the layers have {found}.")
        _check_counts(counts, manifest["counts"])
        if not fresh:
            examples = manifest["examples"]
            manifest_checks.check_examples_fit(examples, model.inputs, model.outputs)
        weights.assign_some(model, tensors, kept, masked=True)
        if verify:
            stored_examples.verify(model, manifest["examples"])
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


def _without(layers, tensors):
    return {
        name: spec
        for name, spec in tensors.items()
        if name.rpartition("/")[0] not in layers
    }
