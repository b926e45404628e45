"""Fuzzes weights files: any bytes are refused by `PackingError`, or give the tensors.

Run: python -m tests.hostile.fuzz_packing -max_total_time=60
"""

import itertools
import json

import numpy as np

from cvzoo import coding, first_format, packing, preset_files, strict_json
from tests.hostile import (
    bases,
    forged_headers,
    forged_streams,
    fuzzing,
    weights_bytes,
)

BASE = "sparse"


def main():
    presets = bases.presets()
    expected = bases.specs_of(presets[BASE])

    def target(data):
        try:
            found = packing.unpack(data, expected)
        except packing.PackingError:
            return
        for name, spec in expected.items():
            parts = found[name] if spec.parts == 2 else (found[name],)
            assert len(parts) == spec.parts
            for part in parts:
                assert part.shape == spec.shape and part.dtype == np.float32
                assert np.isfinite(part).all()

    names = [name for name in presets if name.startswith(BASE)]
    seeds = [presets[name][preset_files.WEIGHTS] for name in names]
    seeds += [
        change(presets[base][preset_files.WEIGHTS])
        for _, _, base, change in itertools.chain(
            forged_headers.changes(), forged_streams.changes()
        )
        if base in names
    ]
    originals = [presets[name][preset_files.WEIGHTS] for name in names]
    pool = fuzzing.pool_of(map(_stated, originals))

    def vary(data, generator):
        """Other entries of tensors, or another byte of a stream."""
        try:
            header, body = weights_bytes.split(data)
            stated = fuzzing.vary_json(json.loads(_stated(data)), generator, pool)
            if generator.random() < 0.5 and body:
                at = generator.randrange(len(body))
                body = body[:at] + bytes([generator.randrange(256)]) + body[at + 1 :]
            elif generator.random() < 0.9:
                header["__metadata__"]["cvzoo"] = json.dumps(stated)
            else:
                header = fuzzing.vary_json(header, generator, pool)
            return weights_bytes.joined(header, body)
        except (AttributeError, LookupError, RecursionError, TypeError) as error:
            raise ValueError("no weights file") from error

    modules = [packing, coding, first_format, strict_json]
    fuzzing.run(target, seeds, modules, vary)


def _stated(data):
    return weights_bytes.split(data)[0]["__metadata__"]["cvzoo"]


if __name__ == "__main__":
    main()
