"""The search for how hard `compress` presses."""

import dataclasses
import math
from typing import NamedTuple

import keras

# Trials with another pressure before the best of them is taken.
TRIALS = 6
# A target compression is met when it is exceeded by no more than this factor.
CLOSE = 1.3
# Where trials aim, times the target: a near miss costs another one.
NEAR = 1.05
# Words in names of metrics. Those of the first kind decide: `dice_loss`.
SMALLER_IS_BETTER = (
    *("loss", "error", "entropy", "divergence", "distance", "hinge", "poisson"),
    *("cosh", "perplexity", "false", "mse", "mae", "mape", "msle", "nll"),
)
LARGER_IS_BETTER = (
    *("acc", "auc", "precision", "recall", "f1", "fbeta", "iou", "io_u", "r2"),
    *("cosine", "dice", "sensitivity", "specificity", "correlation", "true"),
)


class Diverged(ValueError):
    """Training left NaN or infinity in the weights or in the watched metric."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run of the stages.

    Attributes:
        pressure: Value of the method's dial, see `cvzoo.methods`.
        compression: Numbers of the model given, over those that are left; NaN where
            the trial failed.
        metric: The watched metric on the validation data; likewise.
        failure: Why the trial gave no model; empty where it gave one.
    """

    pressure: float
    compression: float
    metric: float
    failure: str = ""


class Result(NamedTuple):
    trial: Trial
    model: keras.Model | None


class Watched(NamedTuple):
    """The metric that tells whether a model is good enough."""

    name: str
    is_larger_better: bool

    def loss(self, before, after):
        """How much worse a value is than the one before."""
        if not math.isfinite(after):
            return math.inf
        return before - after if self.is_larger_better else after - before


def choose_metric(scores, metric=None, mode="auto"):
    """The `Watched` one of a model's metrics; arguments as of `cvzoo.compress`."""
    known = [name for name in scores if name not in ("nll", "kl")]
    if metric is None:
        # Of several outputs each has a loss of its own.
        own = (name for name in known if not name.endswith("loss"))
        metric = next(own, "loss")
    if metric not in known:
        raise ValueError(
            f"The model has no metric {metric!r} that is one number. It has: "
            f"{', '.join(known)}."
        )
    if mode not in ("auto", "max", "min"):
        raise ValueError(f"`mode` must be 'auto', 'max' or 'min'. Received: {mode!r}")
    return Watched(metric, mode == "max" if mode != "auto" else _is_max(metric))


def _is_max(name):
    for words, is_max in ((SMALLER_IS_BETTER, False), (LARGER_IS_BETTER, True)):
        if any(word in name.lower() for word in words):
            return is_max
    raise ValueError(
        f"The name of metric {name!r} does not tell whether more of it is better. "
        "Give `mode='max'` or `mode='min'`."
    )


class Search:
    """Trials at one pressure after another; compression rises with the pressure."""

    def __init__(self, run, watched, before, trials):
        self._run, self._watched, self._before = run, watched, before
        self._trials = trials
        self.results = []

    def _try(self, pressure):
        try:
            result = self._run(pressure)
        except Diverged as error:
            # The trials before it took hours, so it costs only itself.
            failed = Trial(pressure, math.nan, math.nan, failure=str(error))
            result = Result(failed, None)
        self.results.append(result)
        return result

    def _finished(self):
        """The trials that gave a model."""
        finished = [one for one in self.results if not one.trial.failure]
        if not finished:
            reasons = sorted({one.trial.failure for one in self.results})
            raise Diverged(
                f"No trial of {len(self.results)} gave a model: {'; '.join(reasons)}. "
                "Compile the model with a smaller learning rate or clipped gradients."
            )
        return finished

    def _loss(self, result):
        return self._watched.loss(self._before, result.trial.metric)

    def for_metric(self, max_loss, pressure):
        """The smallest model that loses at most `max_loss`; whether there is one."""
        if "acc" in self._watched.name and max_loss >= self._before:
            raise ValueError(
                "`max_metric_loss` is in units of the metric: 0.01 is one point of "
                f"accuracy. Received: {max_loss}, which any model meets, as "
                f"{self._watched.name} is {self._before:.4f} now"
            )
        low = high = None
        while len(self.results) < self._trials:
            result = self._try(pressure)
            if self._loss(result) <= max_loss:
                low = pressure
            else:
                high = pressure
            pressure = _next(pressure, low, high, 4.0)
            if low is not None and high is not None and high < 1.15 * low:
                break
        finished = self._finished()
        good = [one for one in finished if self._loss(one) <= max_loss]
        if good:
            return max(good, key=lambda one: one.trial.compression), True
        return min(finished, key=self._loss), False

    def for_compression(self, target, method):
        """The best model that is small enough, and whether there is one."""
        low = high = None
        pressure = NEAR * target if method.is_compression else method.start
        while len(self.results) < self._trials:
            result = self._try(pressure)
            # A failed trial counts as one that pressed too hard.
            found = math.inf if result.trial.failure else result.trial.compression
            if target <= found <= CLOSE * target:
                break
            if found < target:
                low = pressure
            else:
                high = pressure
            step = NEAR * max(target / found, found / target)
            pressure = _next(pressure, low, high, min(4.0, step))
        finished = self._finished()
        good = [one for one in finished if one.trial.compression >= target]
        if good:
            return min(good, key=self._loss), True
        return max(finished, key=lambda one: one.trial.compression), False


def _next(pressure, low, high, step):
    """Halfway between one too low and one too high, once both are known."""
    if low is not None and high is not None:
        return math.sqrt(low * high)
    return pressure * step if high is None else pressure / step
