"""Windows of recordings as a recipe's examples, random to train and regular to test."""

import numpy as np
import tensorflow as tf

import cvzoo
from cvzoo.models import registry
from training import sharing
from training.data import WINDOW_OPTIONS, windows
from training.examples import Data
from training.scoring import Scoring

# The score of `test` over those notes that sound in training.
OF_TRAINING = "test_notes_of_training"


class Windows(Data):
    """Windows of recordings, and the notes at their middles.

    A training batch has one random window of each of as many recordings as it is
    large; of a batch as large as there are recordings, of every one, as in the papers.
    What is drawn depends on (seed, epoch, step) only.

    The recipe's data have as options `steps`, the batches of an epoch, and `protocol`
    and `stride` as of `training.data.windows`; Trabelsi's protocol has its own stride.

    Attributes:
        recordings: Split → its `Recordings`.
        window: Samples of a window.
    """

    def __init__(self, config, strategy=None):
        super().__init__(config, strategy)
        own = {
            name: self.options.pop(name, default)
            for name, default in WINDOW_OPTIONS.items()
        }
        self.steps_per_epoch, self.stride = own["steps"], own["stride"]
        self.protocol = own["protocol"]
        self._check_options()
        self.n_train = self.steps_per_epoch * self.batch_size
        model = config["model"]
        self.window = registry.argument(model["name"], "window", model)
        self.splits = list(self.source.SPLITS)
        self.recordings = {
            split: self.source.recordings(split, **self.options)
            for split in self.splits
        }
        self._check_lengths()
        self.accumulate = Scoring(self.strategy)

    def _check_options(self):
        if self.protocol not in windows.PROTOCOLS:
            raise ValueError(
                f"`data.protocol` must be one of {windows.PROTOCOLS}. Received: "
                f"{self.protocol!r}"
            )
        if min(self.steps_per_epoch, self.stride) < 1:
            raise ValueError(
                "`data.steps` and `data.stride` must be positive. Received: "
                f"{self.steps_per_epoch} and {self.stride}"
            )

    def _check_lengths(self):
        for split, recordings in self.recordings.items():
            short = np.flatnonzero(recordings.lengths < self.window)
            if len(short):
                raise ValueError(
                    f"Recording {recordings.names[short[0]]!r} of split {split!r} has "
                    f"{recordings.lengths[short[0]]} samples, and a window needs "
                    f"{self.window}."
                )

    def training(self, epochs, first=0):
        """Batches of epochs `first` to `epochs - 1`, one after the other."""
        recordings, steps = self.recordings["train"], self.steps_per_epoch
        batches = tf.data.Dataset.range(first * steps, epochs * steps).map(
            lambda number: windows.read_in_graph(
                recordings, (self._train_starts, number), self.window
            ),
            num_parallel_calls=2,
        )
        shares = sharing.training_batches(batches, self.strategy, self.batch_size)
        return shares if shares is not batches else batches.prefetch(4)

    def _train_starts(self, number):
        """Where the windows of a batch start; batches are numbered over all epochs."""
        recordings = self.recordings["train"]
        epoch, step = divmod(int(number), self.steps_per_epoch)
        # All recordings in a new order, again and again.
        count = len(recordings.names)
        places = step * self.batch_size + np.arange(self.batch_size)
        first, last = places[0] // count, places[-1] // count
        order = np.concatenate(
            [
                np.random.default_rng([self.seed, epoch, 0, turn]).permutation(count)
                for turn in range(first, last + 1)
            ]
        )
        which = order[places - first * count]
        share = np.random.default_rng([self.seed, epoch, 1, step]).random(len(which))
        return windows.train_starts(
            recordings, self.window, which, share, self.protocol
        )

    def evaluation(self, split):
        """Batches of a split, in order, and how many there are."""
        batches = windows.evaluation(
            self.recordings[split], self.window, self.stride, self.protocol
        )
        return sharing.evaluation_batches(batches.prefetch(2), self.strategy)

    def metrics(self, split):
        """What scores of a split are called → a metric for each, without scores yet.

        Of `test` there is another one, of the notes that sound in training only.
        """
        found = {split: cvzoo.PooledAveragePrecision()}
        if split == "test":
            present = np.flatnonzero(self.recordings["train"].present()).tolist()
            found[OF_TRAINING] = cvzoo.PooledAveragePrecision(present)
        return found

    def scores(self, model):
        """Name of `metrics` → the exact pooled average precision, of all splits."""
        found = {}
        for split in self.held_out:
            metrics = self.metrics(split)
            self.accumulate(tuple(metrics.values()), model, self.evaluation(split))
            found |= {name: metric.result() for name, metric in metrics.items()}
        return found

    def score(self, model, split):
        """The exact pooled average precision of a split."""
        metric = cvzoo.PooledAveragePrecision()
        self.accumulate(metric, model, self.evaluation(split))
        return metric.result()

    def measures(self, model, split):
        """The loss and metrics on a split; the average precision is the exact one."""
        return super().measures(model, split) | {self.metric: self.score(model, split)}

    def watch(self, rule):
        """A callback that scores validation each epoch, and may end a stage by it.

        Args:
            rule: Arguments of `cvzoo.EarlyStoppingRule`.
        """
        return cvzoo.PooledAveragePrecisionEvaluation(
            self.evaluation("validation"),
            stopping=cvzoo.EarlyStoppingRule(**rule),
            accumulate=self.accumulate,
        )

    def arrays(self, split, first=None):
        """Windows and labels of an evaluation, or of its first, as numpy arrays."""
        starts = self._evaluation_starts(split)[:first]
        return windows.read(self.recordings[split], starts, self.window)

    def labels(self, split):
        """Of each window of an evaluation: its recording's number, and its labels."""
        recordings, starts = self.recordings[split], self._evaluation_starts(split)
        which = np.searchsorted(recordings.starts, starts, side="right") - 1
        return which, recordings.labels(starts + self.window // 2)

    def size(self, split):
        """Number of windows of an evaluation."""
        return len(self._evaluation_starts(split))

    def _evaluation_starts(self, split):
        return windows.evaluation_starts(
            self.recordings[split], self.window, self.stride, self.protocol
        )

    def expected_of_model(self):
        """Arguments that an architecture must have for the data."""
        return {"notes": len(self.source.CLASSES)}
