"""Fuzzes graphs: any JSON is refused by `ArchitectureError`, or gives a model.

Run: python -m tests.hostile.fuzz_architecture -max_total_time=60
"""

import json

import keras

from cvzoo import allowed_values, architecture, graph, preset_files, strict_json
from tests.hostile import bases, fuzzing, mutants


def main():
    shapes = {
        name: spec.shape
        for files in bases.presets().values()
        for name, spec in bases.specs_of(files).items()
    }

    def target(data):
        try:
            described = strict_json.loads(data)
        except ValueError:
            return
        try:
            model = architecture.build(described, shapes)
        except architecture.ArchitectureError:
            return
        assert isinstance(model, keras.Model)
        assert (
            architecture.describe(model)["layers"].keys() == described["layers"].keys()
        )

    seeds = [files[preset_files.ARCHITECTURE] for files in bases.presets().values()]
    seeds += [
        mutant.make(bases.presets()[mutant.base])[preset_files.ARCHITECTURE]
        for mutant in mutants.mutants()
        if mutant.name.startswith("architecture")
    ]
    seeds = [seed for seed in seeds if len(seed) < 2**14]
    pool = fuzzing.pool_of(
        files[preset_files.ARCHITECTURE] for files in bases.presets().values()
    )

    def vary(data, generator):
        try:
            return json.dumps(
                fuzzing.vary_json(json.loads(data), generator, pool)
            ).encode()
        except (IndexError, RecursionError) as error:
            raise ValueError("no graph") from error

    modules = [architecture, allowed_values, graph, strict_json]
    fuzzing.run(target, seeds, modules, vary)


if __name__ == "__main__":
    main()
