"""What a compressed network is compared with, see `training.compare`.

Rows are measured against a run of `training.train`. Each is one `Row`; the epochs of
every trained row are those of the recipe, all stages together. Gradual magnitude
pruning and the same masks with fresh weights have as many numbers as the run's own
result, the other trained rows as many bytes.
"""

import copy
import dataclasses
import itertools
import lzma
import math
from pathlib import Path

import keras
import numpy as np
import safetensors.numpy
import sklearn.linear_model

import cvzoo
from cvzoo import packing, sparsity, weights
from cvzoo.architecture_checks import ArchitectureError
from cvzoo.exporting import rivals
from cvzoo.models import registry
from training import (
    datasets,
    equal_bytes,
    examples,
    low_rank_networks,
    pictures,
    recipe_parts,
    run_folder,
    stages,
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a results table.

    Attributes:
        name: What it is.
        numbers: Stored numbers that are not zero, a complex one counting as two.
        bytes: Size of the weights file.
        validation: Score on the validation split; `None` where there is none.
        test: Score on the test split.
        by_group: Group of the data, for example a signal-to-noise ratio → accuracy on
            its test examples; `None` where the data has no groups.
        units: Outputs of all its dense layers and convolutions, after `shrink`;
            `None` where it has none.
        more: What other scores of the test data are called → score.
        network: What `cvzoo bench` makes it of, see `cvzoo.exporting.rivals.describe`;
            `None` where values are rounded, or a preset cannot keep its layers.
    """

    name: str
    numbers: int
    bytes: int
    validation: float | None
    test: float
    by_group: dict | None = None
    units: int | None = None
    more: dict = dataclasses.field(default_factory=dict)
    network: dict | None = None


@dataclasses.dataclass
class Run:
    """A finished run of `training.train`, which the rows are measured against."""

    config: dict
    data: examples.Data
    workdir: Path

    @classmethod
    def open(cls, workdir):
        workdir = Path(workdir)
        config = run_folder.read_config(workdir)
        return cls(config, datasets.open_data(config), workdir)

    def pretrained(self):
        stage = recipe_parts.first_stage(self.config)
        model = keras.models.load_model(self.workdir / f"{stage}.keras")
        return stages.Trained(model, stages.evaluate(model, self.data, stage))

    def final(self):
        stage = recipe_parts.last_stage(self.config)
        return keras.models.load_model(self.workdir / f"{stage}.keras")

    def compact(self):
        return cvzoo.from_preset(self.workdir / "preset")

    @property
    def epochs(self):
        return sum(stage["epochs"] for stage in self.config["stages"].values())

    def budget(self):
        """Bytes of the compressed network's weights file."""
        return (self.workdir / "preset" / "weights.safetensors").stat().st_size


def measured(name, model, data):
    """The row of a model: shrunk, packed and evaluated."""
    compact = cvzoo.shrink(model)
    report = cvzoo.compression_report(compact)
    scores = stages.evaluate(model, data, name)
    return Row(
        name,
        report.nonzero,
        report.bytes,
        scores.get("validation", {}).get(name),
        scores["test"][name],
        accuracy_by_group(model, data),
        sum(_outputs(layer) for layer in sparsity.linear_layers(compact)) or None,
        stages.other_tests(scores, name),
        _network(compact),
    )


def _network(compact):
    try:
        return rivals.describe(compact)
    except ArchitectureError:
        return None


def _outputs(layer):
    """Number of units or filters of a linear layer."""
    shape = sparsity.kernel_variables(layer)[0].shape
    return math.prod(shape[axis] for axis in getattr(layer, "unit_axes", (-1,)))


def accuracy_by_group(model, data):
    """Group of the test data → accuracy, or `None` where it has no groups."""
    groups = data.groups("test")
    if groups is None:
        return None
    inputs, labels = data.arrays("test")
    logits = model.predict(inputs, batch_size=1024, verbose=0)
    found = pictures.accuracy_per_snr(labels, logits.argmax(axis=-1), groups)
    return {str(group): float(share) / 100 for group, share in zip(*found, strict=True)}


def compressed(run, name, sparsifiers):
    """Another method, or another strength, from the same pre-trained network."""
    config = copy.deepcopy(run.config)
    config["stages"]["sparsify"]["sparsifiers"] = sparsifiers
    trained = stages.compress(config, run.pretrained(), run.data, quiet=True)
    return measured(name, trained.model, run.data)


def rounded(run, name, values):
    """The run's network with its weights in float16, or rounded by the posterior.

    Args:
        run: The run.
        name: Name of the row.
        values: `"float16"` or `"posterior"`, see `cvzoo.round_weights`.
    """
    posterior = None
    if values == "posterior":
        posterior = keras.models.load_model(run.workdir / "sparsify.keras")
    # What folding batch norm multiplies with is not rounded.
    model = cvzoo.round_weights(cvzoo.shrink(run.final()), values, posterior)
    stages.compile_for(model, run.config)
    return _rounded(name, model, run.data)


def _rounded(name, model, data, **changes):
    """The row of a model whose values an export would not have."""
    row = measured(name, model, data)
    return dataclasses.replace(row, network=None, **changes)


def uncompressed(run):
    """The pre-trained network."""
    return measured("uncompressed", run.pretrained().model, run.data)


def trained_longer(run):
    """The uncompressed network with as many epochs as all stages have."""
    keras.utils.set_random_seed(run.config["seed"])
    model = cvzoo.create_model(**_model_arguments(run.config))
    return from_scratch(run, "uncompressed, all epochs", model)


def gradual_magnitude(run):
    """Gradual magnitude pruning to as many weights as the compressed network has."""
    kept = total = 0
    for layer in sparsity.linear_layers(run.compact()):
        kernel, _ = sparsity.linear_values(layer)
        kept += int(np.any([part != 0 for part in kernel], axis=0).sum())
    for layer in sparsity.linear_layers(run.pretrained().model):
        total += sparsity.kernel_variables(layer)[0].shape.num_elements()
    term = {"name": "MagnitudePruning", "sparsity": 1 - kept / total, "ramp": 0.7}
    return compressed(run, "gradual magnitude pruning", [term])


def same_masks_fresh_weights(run):
    """The compressed network's masks on weights drawn anew."""
    masks = {layer.name: layer.mask for layer in sparsity.sparse_layers(run.final())}
    keras.utils.set_random_seed(run.config["seed"] + 2)
    fresh = cvzoo.create_model(**_model_arguments(run.config))
    model = sparsity.with_masks(fresh, lambda layer: masks.get(layer.name))
    return from_scratch(run, "same masks, fresh weights", model)


def small_real(run):
    """A small dense real network on the same features, as many bytes."""
    return _small(run, "small dense real network", "real")


def small_complex(run):
    """A small dense complex network, as many bytes."""
    return _small(run, "small dense complex network", "complex")


def low_rank(run, rank=6):
    """Each kernel a product of two thin ones, as many bytes."""
    models = (
        low_rank_networks.with_low_rank(model, rank) for model in _growing(run.config)
    )
    return largest(run, f"low rank ({rank})", models)


def same_real(run):
    """R: the real network of the same width, sparsified to as many bytes."""
    return _real(run, "R, same sparsifier", 1)


def twice_real(run, name="2R, same sparsifier", sparsifiers=None):
    """2R: the real network of twice the width, sparsified to as many bytes.

    Args:
        run: The run whose bytes it gets.
        name: Name of the row.
        sparsifiers: Instead of the recipe's. The row then gets as many bytes as the
            complex network has with them.
    """
    return _real(run, name, 2, sparsifiers)


def _real(run, name, factor, sparsifiers=None):
    config = copy.deepcopy(run.config)
    config["model"].update(field="real", width=factor * config["model"]["width"])
    budget = run.budget()
    if sparsifiers is not None:
        config["stages"]["sparsify"]["sparsifiers"] = copy.deepcopy(sparsifiers)
        budget = compressed(run, name, sparsifiers).bytes
    pretrained = stages.pretrain(config, run.data, quiet=True)
    model = equal_bytes.sparsified_to(budget, config, pretrained, run.data)
    pruned = equal_bytes.pruned_to(budget, model)
    trained = stages.finetune(config, pruned, pretrained.scores, run.data, quiet=True)
    return measured(name, trained.model, run.data)


def float16(run):
    """The uncompressed network with float16 weights."""
    model = cvzoo.round_weights(cvzoo.shrink(run.pretrained().model), "float16")
    stages.compile_for(model, run.config)
    return _rounded("uncompressed, float16", model, run.data)


def int8(run):
    """The uncompressed network with int8 kernels, one scale per output.

    Its bytes are those of a compressed file, as ours are entropy coded too.
    """
    model = cvzoo.shrink(run.pretrained().model)
    stages.compile_for(model, run.config)
    stored, rounded = {}, {}
    for name, value in weights.named_tensors(model).items():
        parts = value if isinstance(value, tuple) else (value,)
        for number, part in enumerate(parts):
            if part.ndim > 1:
                axes = tuple(range(part.ndim - 1))
                largest = np.abs(part).max(axis=axes, keepdims=True)
                scale = np.maximum(largest, 1e-30) / 127
                quantized = np.round(part / scale).astype(np.int8)
                stored |= {f"{name}:{number}": quantized, f"{name}:{number}:by": scale}
                part = quantized * scale
            else:
                stored[f"{name}:{number}"] = part
            rounded.setdefault(name, []).append(part)
    weights.assign(
        model,
        {
            name: tuple(parts) if len(parts) == 2 else parts[0]
            for name, parts in rounded.items()
        },
    )
    size = len(lzma.compress(safetensors.numpy.save(stored)))
    return _rounded("uncompressed, int8", model, run.data, bytes=size)


def linear(run):
    """Logistic regression on the raw inputs."""
    inputs, labels = run.data.arrays("train")
    model = sklearn.linear_model.LogisticRegression(max_iter=2000)
    model.fit(inputs.reshape(len(inputs), -1), labels)
    tensors = {"kernel": model.coef_.T, "bias": model.intercept_}
    size = len(packing.pack(tensors))
    numbers = sum(value.size for value in tensors.values())
    scores = _held_out_scores(
        run,
        lambda inputs, labels: model.score(inputs.reshape(len(inputs), -1), labels),
    )
    pixels = keras.Input(inputs.shape[1:], name="inputs")
    dense = keras.layers.Dense(len(model.intercept_), name="logits")
    network = keras.Model(pixels, dense(keras.layers.Flatten(name="flatten")(pixels)))
    dense.set_weights([model.coef_.T, model.intercept_])
    described = rivals.describe(network)
    return Row("logistic regression", numbers, size, **scores, network=described)


def constant_prior(run):
    """Always the most frequent class."""
    _, labels = run.data.arrays("train")
    frequencies = np.bincount(labels) / len(labels)
    size = len(packing.pack({"bias": np.log(frequencies)}))
    scores = _held_out_scores(
        run, lambda _, labels: np.mean(labels == frequencies.argmax())
    )
    return Row("constant prior", len(frequencies), size, **scores)


ROWS = {
    function.__name__: function
    for function in (
        uncompressed,
        trained_longer,
        gradual_magnitude,
        same_masks_fresh_weights,
        small_real,
        small_complex,
        same_real,
        twice_real,
        low_rank,
        float16,
        int8,
        linear,
        constant_prior,
    )
}


def _model_arguments(config, **changes):
    return {**config["model"], **changes}


def _held_out_scores(run, score):
    """Split → `score(inputs, labels)`, or `None` where there is no such split."""
    return {
        split: float(score(*run.data.arrays(split)))
        if split in run.data.splits
        else None
        for split in ("validation", "test")
    }


def _growing(config, **changes):
    """The recipe's network from the smallest on, each a little larger."""
    arguments = _model_arguments(config, **changes)
    name = registry.size_argument(arguments["name"])
    # Later layers have many times as many filters as the first: by eighths they grow
    # smoothly.
    steps = 8 if name == "filters" else 1
    for size in itertools.count(steps):
        sizes = {name: size} if steps == 1 else {name: 1, "width": size / steps}
        yield cvzoo.create_model(**{**arguments, "width": 1, **sizes})


def _small(run, name, field):
    return largest(run, name, _growing(run.config, field=field))


def largest(run, name, models, measure=measured):
    """The row of the largest network that fits in the run's bytes, from scratch.

    Args:
        run: The run.
        name: Name of the row. It ends in "(smallest)" where not even the first of the
            networks fits.
        models: Networks, each at least as large as the one before, without end.
        measure: What makes the row.
    """
    keras.utils.set_random_seed(run.config["seed"])
    model, fits = equal_bytes.largest_within(run.budget(), models)
    return from_scratch(run, name if fits else f"{name} (smallest)", model, measure)


def from_scratch(run, name, model, measure=measured):
    """The row of a network that is trained for all epochs of the recipe."""
    config = copy.deepcopy(run.config)
    config["stages"]["pretrain"]["epochs"] = run.epochs
    stages.compile_for(model, config)
    stages.fit(model, config, "pretrain", run.data, quiet=True)
    return measure(name, model, run.data)
