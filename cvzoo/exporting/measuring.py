"""`measure`: what exports of a preset take, beside those of its rivals."""

import dataclasses
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cvzoo import catalogue, graph, preset_files, sparsity
from cvzoo.exporting import (
    contenders,
    litert,
    rivals,
    signatures,
    verification,
    writing,
)
from cvzoo.exporting.multiply_adds import multiply_adds

BATCHES = (1, 64)
# Each export is run so often, all in turn, and each batch so often in a run.
ROUNDS, CALLS = 2, 100
SAVED_MODEL, LITERT, INT8 = "SavedModel", "LiteRT", "LiteRT int8"
# What is no more than this apart in time is called as fast.
AS_FAST = 1.05


class _Format(NamedTuple):
    """Arguments of `export`, and in what the export runs."""

    format: str
    quantize: str | None
    runtime: str


_FORMATS = {
    SAVED_MODEL: _Format("tf_saved_model", None, SAVED_MODEL),
    LITERT: _Format("litert", None, LITERT),
    INT8: _Format("litert", "int8", LITERT),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One export.

    Attributes:
        network: What was exported.
        format: As what.
        test: Score on test data, in percent; `None` if it is not known.
        error: Its standard error, or `None`.
        bytes: Of its folder, by `stat`.
        numbers: Weights that are not zero.
        multiply_adds: As computed: of matrix products, convolutions and transforms, for
            one example, zeros included; `None` if not known.
        milliseconds: Size of a batch → median and 99th percentile of a call's time.
        peak: The most memory that the process held that ran it, in bytes.
        dominated_by: Networks whose export for the same runtime is neither worse nor
            larger nor slower, for any batch, and better in one of these. Scores are
            compared as they are, times to 5 percent.
    """

    network: str
    format: str
    test: float | None
    error: float | None
    bytes: int
    numbers: int
    multiply_adds: int | None
    milliseconds: dict
    peak: int
    dominated_by: tuple = ()

    @property
    def name(self):
        """The network and its format."""
        return f"{self.network}, {self.format}"

    @property
    def runtime(self):
        """What it runs in: exports of the same are compared."""
        return _FORMATS[self.format].runtime


@dataclasses.dataclass(frozen=True)
class Measured:
    """What `measure` found.

    Attributes:
        preset: Name of the preset.
        scores: Where the scores are from: what they are, and what made them.
        rows: List of `Row`, those of the preset first.
    """

    preset: str
    scores: dict
    rows: list

    @property
    def has_rivals(self):
        """Whether anything with a score is there that the preset could lose to."""
        others = [row for row in self.rows if row.network != self.preset]
        return any(row.test is not None for row in others)

    @property
    def verdict(self):
        """Runtime → networks that dominate the preset's float32 export there."""
        return {
            row.format: row.dominated_by
            for row in self.rows
            if row.network == self.preset and row.format != INT8
        }


def measure(
    name, batches=BATCHES, rivals_file=None, batch_size=1, track=lambda jobs, _: jobs
):
    """Exports a preset, its uncompressed network and its rivals, and runs them.

    Each export is run in processes of its own, all in turn. Others than the preset have
    random weights, as many of them zero as when they were trained: bytes and time
    depend on nothing else.

    Args:
        name: As for `from_preset`.
        batches: Sizes of batches.
        rivals_file: A `rivals.json` of `python -m training.compare`. Those that came
            along by default; without any, the uncompressed network of the preset's
            recipe is all there is to compare with.
        batch_size: Examples of a call, for which exports should be fast.
        track: `track(list, text)` gives the list's items, and may show how far it is.

    Returns:
        `Measured`.
    """
    folder = catalogue.find(name)
    manifest = preset_files.read_manifest(folder)
    file = rivals_file or rivals.shipped(manifest["name"])
    found = None if file is None else rivals.read(file)
    if found is not None and found.preset != manifest["name"]:
        raise rivals.RivalsError(
            f"{file} holds rivals of {found.preset!r}, not of {manifest['name']!r}."
        )
    all_formats = list(_FORMATS) if litert.is_installed() else [SAVED_MODEL]
    jobs = [
        (contender, format)
        for contender in contenders.of_preset(folder, manifest, found)
        for format in all_formats
        if contender.has_int8 or format != INT8
    ]
    with tempfile.TemporaryDirectory() as scratch:
        exports = [
            _exported(*job, Path(scratch, str(number)), batches, batch_size)
            for number, job in enumerate(track(jobs, "exporting"))
        ]
        runs = [[] for _ in exports]
        turns = [number for _ in range(ROUNDS) for number in range(len(exports))]
        for number in track(turns, "running"):
            row, inputs = exports[number]
            export, format = Path(scratch, str(number)), _FORMATS[row.format].format
            runs[number].append(verification.run(export, inputs, format, CALLS))
    rows = [
        _with_times(row, batches, found_runs)
        for (row, _), found_runs in zip(exports, runs, strict=True)
    ]
    rows = [
        dataclasses.replace(row, dominated_by=tuple(_dominating(row, rows)))
        for row in rows
    ]
    return Measured(manifest["name"], _told_of_scores(manifest, found), rows)


def _told_of_scores(manifest, found):
    if found is None:
        return {"metric": manifest["scores"].get("metric", "")}
    told = dataclasses.asdict(found)
    keys = ("metric", "repetitions", "command", "hardware", "date")
    return {key: told[key] for key in keys}


def _exported(contender, format, folder, batches, batch_size):
    """Writes the export of a job; its row, without times, and what it is to be fed."""
    model, asked = contender.make(), _FORMATS[format]
    report = writing.export(
        *(contender.preset or model, folder, asked.format),
        **{"quantize": asked.quantize, "batch_size": batch_size},
        **contender.labels,
        # Of random weights, int8 may be any way off.
        tolerance=None if contender.preset else np.inf,
    )
    generator = np.random.default_rng(0)
    served = signatures.Served(graph.functional(model))
    plain = sparsity.without_sparsifiers(model)
    row = Row(
        network=contender.name,
        format=format,
        test=contender.test_of_int8 if asked.quantize else contender.test,
        error=None if asked.quantize else contender.error,
        bytes=report["bytes"],
        numbers=sum(int(np.count_nonzero(one.numpy())) for one in plain.weights),
        multiply_adds=multiply_adds(plain, served),
        milliseconds={},
        peak=0,
    )
    return row, [served.random(size, generator) for size in batches]


def _with_times(row, batches, runs):
    """A row with times, for each batch those of the faster run, and the most memory."""
    by_batch = zip(*(run.milliseconds for run in runs), strict=True)
    milliseconds = {
        size: tuple(round(float(one), 4) for one in min(times, key=lambda t: t[0]))
        for size, times in zip(batches, by_batch, strict=True)
    }
    peak = max(run.peak for run in runs)
    return dataclasses.replace(row, milliseconds=milliseconds, peak=peak)


def _dominating(row, rows):
    """Networks of other rows that dominate a row; each is named once."""
    names = [
        other.network
        for other in rows
        if other.runtime == row.runtime and _is_better(other, row)
    ]
    return dict.fromkeys(names)


def _is_better(other, row):
    """Whether a row is as good in all that counts, and better in one."""
    if other.test is None or row.test is None:
        return False
    is_as_good = [other.test >= row.test, other.bytes <= row.bytes]
    is_better = [other.test > row.test, other.bytes < row.bytes]
    for size, (median, _) in row.milliseconds.items():
        theirs, _ = other.milliseconds[size]
        is_as_good.append(theirs <= AS_FAST * median)
        is_better.append(AS_FAST * theirs < median)
    return all(is_as_good) and any(is_better)
