"""Presets, opened: what both `from_preset` and `load_weights_from` begin with."""

import contextlib
from typing import NamedTuple

from cvzoo import catalogue, packing, preset_files
from cvzoo.preset_files import PresetError

_WHAT_A_BAD_FILE_RAISES = (
    *(ValueError, TypeError, LookupError, OverflowError, RecursionError),
    *(AttributeError, MemoryError),
)


class Opened(NamedTuple):
    """A preset whose files are as the manifest states.

    Attributes:
        manifest: Its manifest.
        files: File name → bytes, without the weights.
        specs: Name → `packing.Spec` of each tensor.
        tensors: `packing.Reader` of them.
    """

    manifest: dict
    files: dict
    specs: dict
    tensors: packing.Reader


@contextlib.contextmanager
def opened(name):
    """A preset, by what `from_preset` takes, as `Opened`.

    Raises:
        PresetError: The preset is unknown or damaged; and in place of what a preset
            that holds something unexpected raises while it is open.
    """
    folder = catalogue.find(name)
    manifest = preset_files.read_manifest(folder)
    files = preset_files.read_files(folder, manifest, apart=(preset_files.WEIGHTS,))
    with preset_files.opened_weights(folder, manifest) as data:
        try:
            specs = {
                tensor: packing.Spec(tuple(entry["shape"]), entry["parts"])
                for tensor, entry in manifest["tensors"].items()
            }
            yield Opened(manifest, files, specs, packing.Reader(data, specs))
        except _WHAT_A_BAD_FILE_RAISES as error:
            raise PresetError(f"Preset {folder}: {error}") from error
