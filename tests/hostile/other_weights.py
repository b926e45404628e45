"""Weights files of other tensors, or with other bits and values."""

import itertools
import json

import numpy as np

from cvzoo import packing, preset_files
from tests.hostile import bases, forged_headers, forged_streams
from tests.hostile.json_text import dumps
from tests.hostile.mutant import (
    FOUND_BY_VERIFY,
    REFUSED_OR_AS_GOOD,
    Mutant,
    flip,
    generator_of,
    resealed,
)


def mutants(times):
    yield from _weights()
    yield from _flipped_streams(times)
    yield from _changed_values(times)


def _weights():
    for name, kind, base, change in itertools.chain(
        forged_headers.changes(), forged_streams.changes()
    ):
        yield Mutant(
            f"weights: {name}", kind, base, resealed(preset_files.WEIGHTS, change)
        )
    for base in bases.presets():
        specs = bases.specs_of(bases.presets()[base])
        for other in sorted(specs)[:4]:

            def real(files, other=other):
                """Of complex weights the real part, in the manifest too."""
                tensors = bases.tensors_of(files)
                value = tensors[other]
                is_pair = isinstance(value, tuple)
                tensors[other] = value[0] if is_pair else (value, value)
                files = {**files, preset_files.WEIGHTS: packing.pack(tensors)}
                manifest = json.loads(files[preset_files.MANIFEST])
                manifest["tensors"][other]["parts"] = 1 if is_pair else 2
                return bases.sealed({**files, preset_files.MANIFEST: dumps(manifest)})

            def larger(files, other=other):
                """A row or number more, in the manifest too."""
                tensors = bases.tensors_of(files)
                value = tensors[other]
                parts = value if isinstance(value, tuple) else (value,)
                parts = tuple(np.concatenate([one, one[:1]]) for one in parts)
                tensors[other] = parts if len(parts) > 1 else parts[0]
                files = {**files, preset_files.WEIGHTS: packing.pack(tensors)}
                manifest = json.loads(files[preset_files.MANIFEST])
                manifest["tensors"][other]["shape"][0] += 1
                return bases.sealed({**files, preset_files.MANIFEST: dumps(manifest)})

            for what, make in (("of other parts", real), ("of one more", larger)):
                yield Mutant(f"{base}, {other} {what}", "other weights", base, make)


def _flipped_streams(times):
    for base, files in bases.presets().items():
        generator = generator_of("streams", base)
        data = files[preset_files.WEIGHTS]
        for number in range(12 * times):
            at_bit = generator.randrange(8 * len(data))
            yield Mutant(
                f"{base}, weights: resealed, bit {at_bit} flipped, {number}",
                *("flipped bit of weights", base),
                resealed(
                    preset_files.WEIGHTS, lambda data, at_bit=at_bit: flip(data, at_bit)
                ),
                outcome=REFUSED_OR_AS_GOOD,
            )


def _changed_values(times):
    """A bias of the last layer that is another number: only running it can tell."""
    last = {"sparse": "output/bias", "gaps": "logits/bias", "integers": "output/bias"}
    last |= {"convolution": "logits/bias", "two_inputs": "hidden/bias"}
    for base, name in last.items():
        for number in range(4 * times):

            def make(files, base=base, name=name, number=number):
                tensors = bases.tensors_of(files)
                value = tensors[name]
                parts = value if isinstance(value, tuple) else (value,)
                parts[0][number % parts[0].size] += 0.5 + number
                data = packing.pack(tensors)
                return bases.sealed({**files, preset_files.WEIGHTS: data})

            yield Mutant(
                f"{base}, {name}: number {number} is larger",
                *("changed value", base, make),
                outcome=FOUND_BY_VERIFY,
            )
