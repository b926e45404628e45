"""`threshold_curve`: what a sparsified model is worth at each threshold of pruning."""

import dataclasses
import warnings

import keras
import numpy as np

from cvzoo import figures, graph, reporting, sparsifying, sparsity, weights

# From a few weights that are known well to nearly all that are not noise.
DEFAULT = tuple(float(threshold) for threshold in np.arange(-4, 3.25, 0.5))


@dataclasses.dataclass(frozen=True)
class ThresholdRow:
    """A model pruned at one threshold.

    Attributes:
        threshold: Weights with log α at most this stay.
        nonzero: Numbers less the zeros in kernels, as `compression_report` counts.
        compression: Numbers of the uncompressed model over `nonzero`.
        metrics: Name → value, `loss` among them.
    """

    threshold: float
    nonzero: int
    compression: float
    metrics: dict


@dataclasses.dataclass(frozen=True)
class ThresholdCurve:
    """What `threshold_curve` found. `print` shows it as a table.

    Attributes:
        rows: A `ThresholdRow` for each threshold, ascending.
    """

    rows: tuple

    def draw(self, path, metric=None):
        """Draws a metric and the compression over the threshold.

        Args:
            path: Where to save the picture.
            metric: Name of the metric. Defaults to the first besides `loss`.

        Returns:
            The path.
        """
        names = list(self.rows[0].metrics)
        if metric is None:
            metric = next((name for name in names if name != "loss"), "loss")
        if metric not in names:
            raise ValueError(f"`metric` must be one of {names}. Received: {metric!r}")
        figure, axes = figures.new_figure(8, 4.5)
        places = [row.threshold for row in self.rows]
        values = [row.metrics[metric] for row in self.rows]
        axes.plot(places, values, "o-", color="C0")
        other = axes.twinx()
        compression = [row.compression for row in self.rows]
        other.plot(places, compression, "s--", color="C1")
        figures.set_times_scale(other)
        axes.set_xlabel("threshold of log α")
        axes.set_ylabel(metric, color="C0")
        other.set_ylabel("compression, times", color="C1")
        axes.grid(alpha=0.3)
        return figures.save(figure, path)

    def __str__(self):
        names = list(self.rows[0].metrics)
        lines = ["threshold   non-zero  compression" + "".join(map(_column, names))]
        lines += [
            f"{row.threshold:9.2f} {row.nonzero:>10,} {f'×{row.compression:.1f}':>12}"
            + "".join(_column(f"{row.metrics[name]:.4f}") for name in names)
            for row in self.rows
        ]
        return "\n".join(lines)


def threshold_curve(
    bayesian,
    data,
    thresholds=None,
    baseline=None,
    loss=None,
    metrics=None,
    **options,
):
    """Prunes a sparsified model at several thresholds, without training, and evaluates.

    Args:
        bayesian: Result of `cvzoo.sparsify`, trained. It is left alone.
        data: What `evaluate` takes: a dataset, an array, or a tuple of its first
            arguments `(x, y)` or `(x, y, batch_size)`. Not an iterator, which would
            be empty after the first threshold.
        thresholds: Bounds of log α; infinity is allowed. Defaults to −4, −3.5, … 3.
        baseline: The uncompressed model, for the compression.
        loss, metrics: As for `compile`. By default those that `bayesian` was compiled
            with.
        **options: For `evaluate`, such as `batch_size` or `steps`.

    Returns:
        A `ThresholdCurve`.
    """
    thresholds = _checked(DEFAULT if thresholds is None else thresholds)
    if hasattr(data, "__next__"):
        raise ValueError(
            "`data` is an iterator, which can be read once. Pass arrays or a dataset."
        )
    graph.check_is_model("bayesian", bayesian)
    if baseline is not None:
        graph.check_is_model("baseline", baseline)
    sources = sparsity.sparse_layers(bayesian)
    if not any(layer.sparsifier.is_random for layer in sources):
        raise ValueError(
            f"No layer of model '{bayesian.name}' holds a Bayesian sparsifier, which "
            "a threshold is for. Make one with `cvzoo.sparsify` and train it first."
        )
    compiling = _compiling(bayesian, loss, metrics)

    masks = {id(layer): sparsifying.surviving(layer, np.inf) for layer in sources}
    sources = [layer for layer in sources if masks[id(layer)] is not None]
    # One model for all thresholds: only its masks change, so nothing is traced anew.
    masked = sparsity.with_masks(
        bayesian,
        lambda layer: np.ones(masks[id(layer)].shape) if layer in sources else None,
    )
    masked.compile(**compiling)
    targets = sparsity.sparse_layers(masked)
    original = weights.named_tensors(bayesian if baseline is None else baseline)
    parameters, _ = reporting.counts(original)
    arguments = data if isinstance(data, tuple) else (data,)
    rows = []
    for threshold in thresholds:
        for source, target in zip(sources, targets, strict=True):
            target.mask.assign(source.sparsifier.keep(source, threshold))
        _, nonzero = reporting.counts(weights.named_tensors(masked))
        scores = masked.evaluate(
            *arguments, **{"verbose": 0, **options, "return_dict": True}
        )
        compression = parameters / max(1, nonzero)
        rows.append(ThresholdRow(threshold, nonzero, compression, scores))
    return ThresholdCurve(tuple(rows))


def _checked(thresholds):
    thresholds = np.atleast_1d(np.asarray(thresholds, float)).ravel()
    if not thresholds.size or np.isnan(thresholds).any():
        raise ValueError(
            "`thresholds` must be one number or more, none of them NaN. Received: "
            f"{thresholds.tolist()}"
        )
    return sorted(thresholds.tolist())


def _compiling(model, loss, metrics):
    """Arguments of `compile` for a copy of a model."""
    if loss is not None or metrics is not None:
        return {"loss": loss, "metrics": metrics}
    if not model.compiled:
        raise ValueError(
            f"Model '{model.name}' is not compiled, so it is not known what to "
            "evaluate. Compile it, or pass `loss` and `metrics`."
        )
    try:
        with warnings.catch_warnings():
            # Of a lambda, which the error below is about.
            warnings.simplefilter("ignore")
            config = dict(model.get_compile_config() or {})
        # An optimizer would hold two more numbers for each weight.
        config.pop("optimizer", None)
        return keras.saving.deserialize_keras_object(config)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"What model '{model.name}' was compiled with cannot be copied. Pass "
            f"`loss` and `metrics`. The reason: {error}"
        ) from error


def _column(text):
    return f"{text:>12}"
