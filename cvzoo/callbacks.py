"""Callbacks for `fit`."""

import math
import numbers
from collections.abc import Iterator

import keras
from keras import ops as kops

from cvzoo.metrics import NaNScoresError, PooledAveragePrecision
from cvzoo.sparsity import sparse_layers


class KLWarmUp(keras.callbacks.Callback):
    """Weakens the divergence in the first epochs of a sparsified model's training.

    Each step scales `penalty_scale` of all layers, nested models included. It is a
    variable, so nothing is traced again. Between steps it has its full value, so that
    checkpoints, the end of training and an exception in a step leave no trace.

    Args:
        epochs: Length of the warm-up, a positive number.
        shape: `"linear"`: from 0 to the full value, step by step (with JAX, or where
            the number of steps is unknown, epoch by epoch). `"constant"`: 0 all the
            while, then the full value.

    Raises:
        ValueError: Impossible arguments; at the start of training, a model whose
            layers have no divergence.
    """

    def __init__(self, epochs, shape="linear"):
        super().__init__()
        if not epochs > 0:
            raise ValueError(f"`epochs` must be positive. Received: epochs={epochs}")
        if shape not in ("linear", "constant"):
            raise ValueError(
                f"`shape` must be 'linear' or 'constant'. Received: shape={shape!r}"
            )
        self.epochs, self.shape = epochs, shape

    def on_train_begin(self, logs=None):
        scales = [
            layer.penalty_scale
            for layer in sparse_layers(self.model)
            if hasattr(layer, "penalty_scale")
        ]
        if not scales:
            raise ValueError(
                "KLWarmUp needs a model whose layers have a divergence. Received "
                f"'{self.model.name}', which has none. Make one with `cvzoo.sparsify("
                "model, cvzoo.VariationalDropout(...), n_train)`."
            )
        self._full = [(scale, kops.convert_to_numpy(scale)) for scale in scales]
        self._epoch, self._is_scaled = 0, False
        # `fit` tells callbacks nothing of an exception.
        self._step = step = self.model.train_function

        def guarded_step(*arguments):
            try:
                return step(*arguments)
            except BaseException:
                self.on_train_end()
                raise

        self.model.train_function = guarded_step

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        progress = self._epoch / self.epochs
        if progress < 1 and self.shape == "linear":
            steps = self.params.get("steps")
            progress += batch / (steps * self.epochs) if steps else 0
        if progress < 1:
            self._scale(progress if self.shape == "linear" else 0.0)

    def on_train_batch_end(self, batch, logs=None):
        if self._is_scaled:
            self._scale(1.0)

    def on_epoch_end(self, epoch, logs=None):
        # JAX keeps variables apart in an epoch, and writes them back at its end.
        self._scale(1.0)

    def on_train_end(self, logs=None):
        self._scale(1.0)
        self.model.train_function = self._step

    def _scale(self, factor):
        self._is_scaled = factor != 1.0
        for scale, full in self._full:
            scale.assign(factor * full)


class EarlyStoppingRule:
    """Whether training ends, from one validation score after another.

    It triggers when `patience` scores in a row are no new best, or when one is below
    the best by more than `max_drop`, and then stays so. As in paper 2's runs of
    MusicNet, a score equal to the best is a new best, and NaN is a drop.

    Args:
        patience: How many scores it waits for a new best.
        max_drop: How far a score may be below the best.

    Attributes:
        triggered: Whether it has triggered.
    """

    def __init__(self, patience=20, max_drop=0.02):
        if not (isinstance(patience, numbers.Integral) and patience > 0):
            raise ValueError(
                "`patience` must be positive, a whole number. Received: "
                f"patience={patience!r}"
            )
        if not max_drop >= 0:
            raise ValueError(
                f"`max_drop` must not be negative. Received: max_drop={max_drop!r}"
            )
        self.patience, self.max_drop = patience, max_drop
        self.best, self.waited, self.triggered = None, 0, False

    def update(self, score):
        """Takes the next score, a number, larger where better."""
        best = -math.inf if self.best is None else self.best
        if score >= best:
            self.best, self.waited = float(score), 0
            return
        self.waited += 1
        is_drop = not score >= best - self.max_drop  # So that NaN is one.
        self.triggered |= is_drop or self.waited >= self.patience

    def get_state(self):
        """What it has seen, a dictionary that JSON can hold."""
        return {
            "best": self.best,
            "waited": self.waited,
            "triggered": self.triggered,
        }

    def set_state(self, state):
        """Goes on from what `get_state` gave."""
        self.best, self.waited = state["best"], state["waited"]
        self.triggered = state["triggered"]


def accumulate(metric, model, batches):
    """Adds a model's scores of all batches of `(inputs, labels)` to a metric."""
    for batch in batches:
        inputs, labels, weights = keras.utils.unpack_x_y_sample_weight(batch)
        if labels is None or weights is not None:
            raise ValueError(
                "The data must have batches `(inputs, labels)`, without sample "
                f"weights. Received a batch of {len(batch)}"
            )
        metric.update_state(labels, model.predict_on_batch(inputs))


class PooledAveragePrecisionEvaluation(keras.callbacks.Callback):
    """Evaluates the exact `PooledAveragePrecision` of a data set once an epoch.

    The value is put into the logs of the epoch, for the callbacks that come after this
    one. That of scores that are NaN is NaN.

    With a `stopping` rule, training ends one epoch after the evaluation that triggers
    it, and with the last weights, not the best: this is how paper 2 fine-tuned.

    A run goes on after a kill bit by bit if, with the weights, `get_state()` is kept
    after an epoch and given to `set_state` of a new callback. Where the rule has
    triggered by then (`is_stopped`), no epoch is left to train, and `fit` raises.

    Args:
        data: Batches `(inputs, labels)` that can be gone through again each epoch, such
            as a `tf.data.Dataset`.
        when: `"start"`: before each epoch, so that the value of an epoch is that of the
            weights it began with, as in paper 2's runs. `"end"`: after it.
        stopping: `EarlyStoppingRule`, or `None`.
        classes: As of `PooledAveragePrecision`.
        name: Key in the logs.
        accumulate: Function of a metric, the model and `data`, that adds the scores to
            the metric. By default one device scores all batches; for `tf.distribute`
            there is `training/scoring.py`.

    Attributes:
        history: The values, one an epoch.
    """

    def __init__(
        self,
        data,
        when="start",
        stopping=None,
        classes=None,
        name="val_average_precision",
        accumulate=accumulate,
    ):
        super().__init__()
        if when not in ("start", "end"):
            raise ValueError(f"`when` must be 'start' or 'end'. Received: {when!r}")
        if isinstance(data, Iterator):
            raise ValueError(
                "`data` must be batches that can be gone through each epoch. Received "
                f"a {type(data).__name__}, which is used up after the first. Put it "
                "into `tf.data.Dataset.from_generator`."
            )
        self.data, self.when, self.stopping, self.name = data, when, stopping, name
        self.metric = PooledAveragePrecision(classes)
        self.history, self._accumulate = [], accumulate

    @property
    def is_stopped(self):
        """Whether the rule ended training, or ends it with the epoch that runs."""
        return self.stopping is not None and self.stopping.triggered

    def get_state(self):
        """Values and rule so far, a dictionary that JSON can hold."""
        state = {"history": list(self.history)}
        if self.stopping is not None:
            state["stopping"] = self.stopping.get_state()
        return state

    def set_state(self, state):
        """Goes on from what `get_state` gave."""
        self.history = list(state["history"])
        if self.stopping is not None:
            self.stopping.set_state(state["stopping"])

    def on_train_begin(self, logs=None):
        if self.is_stopped:
            raise ValueError(
                "The stopping rule has triggered already, so that no epoch is left to "
                "train. Ask for `is_stopped` before `fit`, or make a new callback."
            )

    def on_epoch_begin(self, epoch, logs=None):
        if self.when == "start":
            self._evaluate()

    def on_epoch_end(self, epoch, logs=None):
        # The evaluation that follows is of the next epoch's start.
        is_last = self.is_stopped
        if self.when == "end":
            self._evaluate()
        if logs is not None:
            logs[self.name] = self.history[-1]
        if is_last:
            self.model.stop_training = True

    def _evaluate(self):
        self.metric.reset_state()
        try:
            self._accumulate(self.metric, self.model, self.data)
            value = self.metric.result()
        except NaNScoresError:
            value = math.nan
        finally:
            self.metric.reset_state()
        self.history.append(value)
        if self.stopping is not None:
            self.stopping.update(value)
