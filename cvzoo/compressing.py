"""`compress`: the stages of paper 2 on a user's own compiled model, in one call."""

import contextlib
import dataclasses
import math
import numbers
import warnings

import keras
import numpy as np
from keras import ops as kops
from rich import progress as bars

from cvzoo import (
    graph,
    methods,
    reporting,
    rounding,
    shrinking,
    sparsifying,
    sparsity,
    weights,
)
from cvzoo.searching import TRIALS, Diverged, Result, Search, Trial, choose_metric
from cvzoo.sparsifying import THRESHOLD
from cvzoo.training_data import Data, is_whole

# The learning rate falls once in each stage, as in the recipes of digits and radio.
DROP_AT, DROP_FACTOR = 0.6, 0.1


@dataclasses.dataclass(frozen=True)
class Compression:
    """What `compress` did. `print` shows it as a table.

    Attributes:
        method: Name of the method.
        metric: Name of the metric that was watched on the validation data.
        before: Its value for the model given (after its pre-training, if asked for).
        after: Its value for the compact model.
        is_met: Whether the target was reached.
        trials: `Trial`s in the order in which they ran, failed ones too.
        sizes: `CompressionReport` of the compact model against the one given.
    """

    method: str
    metric: str
    before: float
    after: float
    is_met: bool
    trials: tuple
    sizes: reporting.CompressionReport

    @property
    def compression(self):
        """Numbers of the model given, over those that are left."""
        return self.sizes.compression

    def __str__(self):
        lines = [
            str(self.sizes),
            "",
            f"method {self.method}, target met: {self.is_met}",
        ]
        lines.append(f"validation {self.metric}: {self.before:.4f} → {self.after:.4f}")
        lines += [
            "trials, how hard each pressed (pressure of the method) and what came out:",
            f"  pressure  compression  {self.metric}",
        ]
        lines += [
            f"{trial.pressure:10.4g}  "
            + (
                f"failed: {trial.failure}"
                if trial.failure
                else f"×{trial.compression:10.1f}  {trial.metric:.4f}"
            )
            for trial in self.trials
        ]
        return "\n".join(lines)


def compress(
    model,
    train,
    validation_data,
    method=methods.DEFAULT,
    max_metric_loss=None,
    target_compression=None,
    epochs=(0, 75, 40),
    n_train=None,
    metric=None,
    mode="auto",
    batch_size=None,
    threshold=THRESHOLD,
    values="float32",
    trials=TRIALS,
    verbose=1,
):
    """A compact copy of a trained, compiled model, and what was done.

    Pre-trains (0 epochs by default: the model is trained already), sparsifies, prunes,
    fine-tunes and shrinks, with the model's own loss, metrics and optimizer (a fresh
    one for each stage, whose learning rate falls to a tenth after 60 % of the stage
    where it is a number). It begins at the rate that the model's optimizer has now, so
    set that anew where a callback such as `ReduceLROnPlateau` has made it tiny. How
    hard `compress` presses is found on the validation data. The model given is left
    alone.

    Args:
        model: A compiled Functional or Sequential model.
        train: Training data: a tuple `(x, y)` or `(x, y, sample_weight)` of arrays, or
            a `tf.data.Dataset` or `PyDataset` of batches.
            Weights of classes go as `sample_weight`.
        validation_data: Likewise; chooses how hard to press. Not the test data.
        method: `"unit_ard_magnitude"` (unit-wise ARD with gradual magnitude pruning),
            `"variational_dropout"`, `"ard"` or `"magnitude"`.
        max_metric_loss: How much worse the metric may become on the validation data,
            in its own units: 0.01 is one point of accuracy. The smallest model found
            within it is taken. Give this or `target_compression`.
        target_compression: How many times fewer numbers the model should have.
        epochs: Epochs of pre-training, sparsification and fine-tuning.
        n_train: Number of training examples; needed where it cannot be counted.
        metric: Name of the metric to watch. Defaults to the first compiled one that is
            one number, or the loss.
        mode: `"max"` or `"min"`: whether more of the metric is better. `"auto"` goes
            by its name, and raises where that does not tell.
        batch_size: For arrays, as in `fit`.
        threshold: Weights stay if log α is at most this, see `cvzoo.prune`.
        values: What the compact model's numbers are rounded to, see
            `cvzoo.round_weights`.
        trials: Largest number of times that the stages are run.
        verbose: 0 for no progress bars.

    Returns:
        `(compact, report)`: a compiled `keras.Model` of plain layers and a
        `Compression`. A target that was missed is reported, with the nearest model.
        A trial whose training diverges, or whose metric is NaN or infinite, is
        reported as failed.

    Raises:
        ValueError: Among others, that no trial gave a model.
    """
    _check_arguments(
        method, max_metric_loss, target_compression, epochs, threshold, values, trials
    )
    if not isinstance(model, keras.Model):
        raise ValueError(
            "A compiled Functional or Sequential Keras model is needed. Received: "
            f"{model!r}"
        )
    if not getattr(model, "compiled", False):
        raise ValueError(
            f"Model '{model.name}' is not compiled. `compress` trains it with its own "
            "loss, metrics and optimizer: call `model.compile(...)` first."
        )
    data = Data(train, validation_data, batch_size, n_train)
    stages = _Stages(model, data, methods.METHODS[method], epochs, threshold, values)
    scores = data.evaluate(model)
    watched = choose_metric(scores, metric, mode)
    with _progress(verbose) as progress:
        start = stages.pretrain(progress)
        if start is not model:
            scores = data.evaluate(start)
        if not math.isfinite(scores[watched.name]):
            raise ValueError(
                f"The validation {watched.name} must be a number, for trials to be "
                f"compared with. It is {scores[watched.name]}: look for NaN and "
                "infinity in the model's weights and in the validation data."
            )
        search = Search(
            lambda pressure: stages.run(start, pressure, watched.name, progress),
            watched,
            scores[watched.name],
            trials,
        )
        if target_compression is not None:
            best, is_met = search.for_compression(
                target_compression, methods.METHODS[method]
            )
        else:
            best, is_met = search.for_metric(
                max_metric_loss, methods.METHODS[method].start
            )
    report = Compression(
        method=method,
        metric=watched.name,
        before=scores[watched.name],
        after=best.trial.metric,
        is_met=is_met,
        trials=tuple(result.trial for result in search.results),
        sizes=reporting.compression_report(best.model, model),
    )
    if not is_met:
        warnings.warn(
            f"cvzoo.compress missed its target. ×{report.compression:.1f} with "
            f"{report.metric} {report.before:.4f} → {report.after:.4f} is the nearest "
            f"of {len(report.trials)} trials.",
            stacklevel=2,
        )
    return best.model, report


def _check_arguments(
    method, max_metric_loss, target_compression, epochs, threshold, values, trials
):
    if method not in tuple(methods.METHODS):
        raise ValueError(
            f"`method` must be one of {', '.join(methods.METHODS)}. "
            f"Received: {method!r}"
        )
    if (max_metric_loss is None) == (target_compression is None):
        raise ValueError(
            "Give one target, `max_metric_loss` or `target_compression`. Received: "
            f"max_metric_loss={max_metric_loss}, "
            f"target_compression={target_compression}"
        )
    if target_compression is not None and not (
        _is_finite(target_compression) and target_compression > 1
    ):
        raise ValueError(
            "`target_compression` must be above 1, a finite number. Received: "
            f"{target_compression!r}"
        )
    if max_metric_loss is not None and not (
        _is_finite(max_metric_loss) and max_metric_loss >= 0
    ):
        raise ValueError(
            "`max_metric_loss` must not be negative, a finite number. Received: "
            f"{max_metric_loss!r}"
        )
    if not (
        isinstance(epochs, tuple | list)
        and len(epochs) == 3
        and all(map(is_whole, epochs, (0, 1, 0)))
    ):
        raise ValueError(
            "`epochs` must be three whole numbers: those of pre-training, "
            "sparsification (at least 1) and fine-tuning, such as (0, 75, 40). "
            f"Received: {epochs!r}"
        )
    if not _is_finite(threshold):
        raise ValueError(f"`threshold` must be a number. Received: {threshold!r}")
    if values not in rounding.VALUES:
        raise ValueError(
            f"`values` must be one of {rounding.VALUES}. Received: {values!r}"
        )
    if not is_whole(trials, 1):
        raise ValueError(
            f"`trials` must be at least 1, a whole number. Received: {trials!r}"
        )


def _is_finite(value):
    return isinstance(value, numbers.Real) and math.isfinite(value)


class _Stages:
    """The stages on one model, with its compile configuration."""

    def __init__(self, model, data, method, epochs, threshold, values):
        if values == "posterior" and not method.has_posterior:
            raise ValueError(
                "`values='posterior'` needs a method with a posterior variance, such "
                "as 'unit_ard_magnitude'; magnitude pruning alone has none."
            )
        graph.functional(model)  # or says what is wrong with it
        self.model, self.data, self.method = model, data, method
        self.epochs, self.threshold, self.values = epochs, threshold, values
        self.numbers, _ = reporting.counts(weights.named_tensors(model))
        self.weights = sum(
            math.prod(sparsity.kernel_variables(layer)[0].shape)
            for layer in sparsity.linear_layers(model)
        )
        if not self.weights:
            raise ValueError(
                f"Model '{model.name}' has no dense or convolutional layer, real or "
                "complex, so there is nothing to compress. Layers of one's own class "
                "are left alone: build the model of stock ones."
            )

    def pretrain(self, progress):
        """The model given; a trained copy where epochs are asked for."""
        if not self.epochs[0]:
            return self.model
        model = self._compiled(sparsity.without_sparsifiers(self.model))
        bar = progress.add("pre-train", self.epochs[0])
        self._fit(model, self.epochs[0], bar, "pre-training")
        return model

    def run(self, start, pressure, metric, progress):
        """One trial."""
        _, sparsify_epochs, finetune_epochs = self.epochs
        label = f"trial at pressure {pressure:.3g}"
        bar = progress.add(label, sparsify_epochs + finetune_epochs)
        steps = sparsify_epochs * self.data.steps_per_epoch
        sparsifier = self.method.sparsifier(pressure, self.weights, steps)
        sparse = sparsifying.sparsify(start, sparsifier, n_train=self.data.n_train)
        self._fit(self._compiled(sparse), sparsify_epochs, bar, "sparsification")
        pruned = self._compiled(sparsifying.prune(sparse, self.threshold))
        if finetune_epochs:
            self._fit(pruned, finetune_epochs, bar, "fine-tuning")
        compact = shrinking.shrink(pruned)
        if self.values != "float32":
            posterior = sparse if self.values == "posterior" else None
            compact = rounding.round_weights(
                compact, self.values, posterior, self.threshold
            )
        score = self.data.evaluate(self._compiled(compact))[metric]
        if not math.isfinite(score):  # finite weights may still give NaN outputs
            raise Diverged(f"validation {metric} of the compact model is {score}")
        _, left = reporting.counts(weights.named_tensors(compact))
        compression = self.numbers / max(1, left)
        return Result(Trial(pressure, compression, score), compact)

    def _compiled(self, model):
        try:
            model.compile_from_config(self.model.get_compile_config())
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Model '{self.model.name}' is compiled with something that cannot be "
                "made anew. Register own losses and metrics with "
                f"`keras.saving.register_keras_serializable`. {error}"
            ) from error
        return model

    def _fit(self, model, epochs, bar, stage):
        self.data.fit(model, epochs, [_RateDrop(epochs), bar])
        # The metric does not tell: NaN outputs still have an accuracy.
        for variable in model.trainable_variables:
            if not np.isfinite(kops.convert_to_numpy(variable)).all():
                raise Diverged(f"{stage} diverged, a weight is NaN or infinite")


class _RateDrop(keras.callbacks.Callback):
    """Lowers the learning rate once, where it is a number and no schedule."""

    def __init__(self, epochs):
        super().__init__()
        self.first_low = round(DROP_AT * epochs)

    def on_epoch_begin(self, epoch, logs=None):
        # With float16, Keras wraps the optimizer into one that scales the loss.
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        rate = optimizer.get_config()["learning_rate"]
        if epoch == self.first_low and isinstance(rate, int | float):
            optimizer.learning_rate = DROP_FACTOR * rate


@contextlib.contextmanager
def _progress(verbose):
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(bar_width=16),
        bars.TextColumn("epoch {task.completed}/{task.total}"),
        bars.TextColumn("{task.fields[state]}"),
        bars.TimeElapsedColumn(),
    )
    with bars.Progress(*columns, disable=not verbose) as progress:
        yield _Bars(progress)


class _Bars:
    """Makes callbacks that each move a progress bar."""

    def __init__(self, progress):
        self._progress = progress

    def add(self, label, epochs):
        task = self._progress.add_task(label, total=epochs, state="")

        def show(epoch, logs):
            logs = {key: value for key, value in logs.items() if key != "nll"}
            state = "  ".join(f"{key} {value:.3f}" for key, value in logs.items())
            self._progress.update(task, advance=1, state=state)

        return keras.callbacks.LambdaCallback(on_epoch_end=show)
