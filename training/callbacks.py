"""What is watched and shown while a stage runs."""

import math

import keras
from rich import progress as bars

# Of what an epoch is logged with, beside its bar.
SHOWN = (
    *("loss", "kl", "accuracy", "global_average_precision"),
    "val_average_precision",
)


class DivergenceError(RuntimeError):
    """The loss became NaN or infinite; the model is back at its last good epoch."""


class StopOnNaN(keras.callbacks.Callback):
    """Stops at the first loss that is not finite, back at the last good epoch."""

    def __init__(self, stage):
        super().__init__()
        self.stage = stage
        self.epoch = 0

    def on_train_begin(self, logs=None):
        self.good, self.good_epoch = self.model.get_weights(), None
        self.candidate = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        # The epoch's last update comes after its last loss: these weights are known
        # to be good when the next epoch begins with a finite loss.
        self.candidate = self.model.get_weights(), epoch

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            if self.candidate is not None:
                self.good, self.good_epoch = self.candidate
                self.candidate = None
            return
        self.model.set_weights(self.good)
        kept = (
            "the weights at its start"
            if self.good_epoch is None
            else f"the weights after epoch {self.good_epoch + 1}"
        )
        raise DivergenceError(
            f"The loss became {loss} in stage '{self.stage}', epoch {self.epoch + 1}, "
            f"step {batch + 1}. The model was set back to {kept}. Try a smaller "
            "learning rate or `global_clipnorm`."
        )


class StepDecay(keras.callbacks.Callback):
    """Multiplies the learning rate from some epochs of the stage on.

    A callback and not a schedule in the optimizer: its step count may be carried over
    from the stage before.

    Args:
        learning_rate: That of the first epoch.
        factors: What it is multiplied with, each time.
        drops: Whole numbers of epochs that come before, or shares of `epochs`.
        epochs: How many the stage has.
    """

    def __init__(self, learning_rate, factors, drops, epochs):
        super().__init__()
        self.learning_rate, self.factors = learning_rate, factors
        self.lower_from = [
            drop if isinstance(drop, int) else round(drop * epochs) for drop in drops
        ]

    def rate(self, epoch):
        """The learning rate of an epoch."""
        drops = zip(self.lower_from, self.factors, strict=True)
        return math.prod(
            (factor for first, factor in drops if epoch >= first),
            start=self.learning_rate,
        )

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = self.rate(epoch)


class ProgressBar(keras.callbacks.Callback):
    """One line per stage: a bar, the epochs, and the last loss and score."""

    def __init__(self, label, epochs, first=0):
        super().__init__()
        self.bar = bars.Progress(
            bars.TextColumn("{task.description:8}"),
            bars.BarColumn(bar_width=16),
            bars.TextColumn("epoch {task.completed:3}/{task.total}"),
            bars.TextColumn("{task.fields[state]}"),
        )
        self.task = self.bar.add_task(label, total=epochs, completed=first, state="")

    def on_train_begin(self, logs=None):
        self.bar.start()

    def on_epoch_end(self, epoch, logs=None):
        state = "  ".join(
            f"{key} {value:.3f}" for key, value in (logs or {}).items() if key in SHOWN
        )
        self.bar.update(self.task, completed=epoch + 1, state=state)

    def on_train_end(self, logs=None):
        self.bar.stop()
