"""`from_preset`: preset folders → models."""

import functools

import numpy as np

from cvzoo import (
    architecture,
    catalogue,
    compiling,
    manifest_checks,
    packing,
    reporting,
    sparsity,
    stored_examples,
    weights,
)
from cvzoo.catalogue import PresetError

_WHAT_A_BAD_FILE_RAISES = (
    *(ValueError, TypeError, LookupError, OverflowError, RecursionError),
    *(AttributeError, MemoryError),
)


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
    folder = catalogue.find(name)
    manifest = catalogue.read_manifest(folder)
    files = catalogue.read_files(folder, manifest)
    try:
        stated = {
            tensor: packing.Spec(tuple(entry["shape"]), entry["parts"])
            for tensor, entry in manifest["tensors"].items()
        }
        # Before anything is made: what the manifest states is what the file holds.
        packing.check_layout(files[catalogue.WEIGHTS], stated)
        shapes = {tensor: spec.shape for tensor, spec in stated.items()}
        described = catalogue.parse_json(
            files[catalogue.ARCHITECTURE], catalogue.ARCHITECTURE
        )
        settings = catalogue.parse_json(files[catalogue.CONFIG], catalogue.CONFIG)
        compiling.check_config(settings)
        tensors = packing.unpack(files[catalogue.WEIGHTS], stated)
        masks = _masks_of_zeros(tensors) if masked else {}
        # Masks are there from the start: a masked copy would take the memory twice.
        model = architecture.build(described, shapes, masks)
        found = weights.specs(model)
        packing.check_names(found, stated, "manifest")
        if found != stated:
            raise PresetError(f"the manifest states {stated}; the layers have {found}.")
        _check_nonzero(tensors, manifest["counts"])
        examples = manifest["examples"]
        manifest_checks.check_examples_fit(examples, model.inputs, model.outputs)
        weights.assign(model, tensors)
        del tensors
        for layer in sparsity.sparse_layers(model):
            layer.mask.assign(masks[layer.name])
        if verify:
            stored_examples.verify(model, examples)
        if compile and settings["compile"] is not None:
            compiling.compile_model(model, settings["compile"])
    except _WHAT_A_BAD_FILE_RAISES as error:
        raise PresetError(f"Preset {folder}: {error}") from error
    return model


def _check_nonzero(tensors, stated):
    found = reporting.counts(tensors)
    if found != (stated["parameters"], stated["nonzero"]):
        raise PresetError(
            f"the weights are {found[0]} numbers, {found[1]} of them not zero; the "
            f"manifest counts {stated}."
        )


def _masks_of_zeros(tensors):
    """Name of each layer whose kernel has zeros → where it has none."""
    masks = {}
    for name, value in tensors.items():
        layer, _, variable = name.rpartition("/")
        if variable == "kernel":
            parts = value if isinstance(value, tuple) else (value,)
            mask = functools.reduce(np.logical_or, (part != 0 for part in parts))
            if not mask.all():
                masks[layer] = mask
    return masks
