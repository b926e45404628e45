"""Videos in shards as a recipe's examples: their frames, or the mean of these."""

import contextlib

import keras
import numpy as np
import tensorflow as tf

import cvzoo
import training.data
from cvzoo.layers import FrameSampler
from cvzoo.models import registry
from training import sharing
from training.data import VIDEO_OPTIONS, DamagedDataError, DataError
from training.examples import Data
from training.scoring import Scoring

# Videos of a batch of an evaluation: 64 of 300 frames are 22 MB.
EVALUATED = 64
# More than an epoch has passes over the videos; each has an order of its own.
PASSES = 10**9
# Scores of the test videos with frames that are drawn, as in paper 1's runs.
OF_RANDOM_FRAMES = "test_random_frames"


class VideoData(Data):
    """Videos of YouTube-8M's kind, which are read from their shards in each epoch.

    Networks of frames take those, others the mean of a video's features. The order of
    an epoch depends on (seed, epoch) only.

    The recipe's data have as options `steps`, the batches of an epoch, 0 for as many
    as make each video come once; and `half_videos`, 1 for batches of twice as many
    halves of videos.

    Attributes:
        videos: Split → its `training.data.youtube8m.reading.Videos`.
        audio: Whether the network hears sound.
    """

    def __init__(self, config, strategy=None):
        super().__init__(config, strategy)
        steps, self.half_videos = (
            self.options.get(name, default) for name, default in VIDEO_OPTIONS.items()
        )
        self.audio = hears(config["model"])
        self.splits = list(self.source.SPLITS)
        self.videos = {split: videos_of(config, split) for split in self.splits}
        self._map_of_best = getattr(self.source, "MAP_OF_BEST", None)
        count = self.videos["train"].count
        self.steps_per_epoch = steps or -(-count // self.batch_size)
        self.n_train = steps * self.batch_size or count
        self.accumulate = Scoring(self.strategy)

    def training(self, epochs, first=0):
        """Batches of epochs `first` to `epochs - 1`, one after the other."""
        return sharing.shards_batches(
            lambda size, share: self._epochs(first, epochs, size, share),
            self.strategy,
            self.batch_size,
        )

    def _epochs(self, first, epochs, batch_size, share):
        """A worker's batches of some epochs, of as many steps each."""
        if share[1] > 1 and (size := self.videos["train"].size(share)) < batch_size:
            raise DataError(
                f"Worker {share[0]} of {share[1]} has {size} videos for training, in "
                f"every {share[1]}th of {len(self.videos['train'].files)} shards, and "
                f"needs a batch of {batch_size}. Use fewer workers or a smaller "
                "`data.batch_size`."
            )

        def one_pass(epoch, number):
            return self.videos["train"].batches(
                batch_size,
                audio=self.audio,
                seed=(self.seed, epoch * PASSES + number),
                half_videos=bool(self.half_videos),
                share=share,
            )

        def epoch(number):
            # As many passes as there are steps are enough, and not without end where
            # nothing can be read any more.
            passes = tf.data.Dataset.range(self.steps_per_epoch)
            batches = passes.flat_map(lambda one: one_pass(number, one))
            if share[1] > 1:  # Each worker's batches must be as large as others'.
                rows = batch_size * (2 if self.half_videos else 1)
                batches = batches.filter(lambda _, labels: tf.shape(labels)[0] == rows)
            return batches.take(self.steps_per_epoch)

        steps = (epochs - first) * self.steps_per_epoch
        batches = tf.data.Dataset.range(first, epochs).flat_map(epoch)
        return batches.apply(tf.data.experimental.assert_cardinality(steps))

    def evaluation(self, split):
        """Batches of a split, in order, and how many there are."""
        videos = self.videos[split]
        size = sharing.evaluation_size(videos.count, EVALUATED, self.strategy)
        batches = videos.batches(size, audio=self.audio).prefetch(2)
        batches = batches.apply(
            tf.data.experimental.assert_cardinality(videos.steps(size))
        )
        # Times differ between batches.
        return sharing.evaluation_batches(batches, self.strategy, joined=False)

    def _add_scores(self, scoring, metrics, model, split):
        """Adds a model's scores of a split to metrics."""
        videos, metrics = self.videos[split], tuple(metrics)
        try:
            scoring(metrics, model, self.evaluation(split))
            is_whole = metrics[0].scores_seen == videos.count * videos.classes
        except tf.errors.InvalidArgumentError as error:
            # Of the number of batches, that of `assert_cardinality`.
            if "expected to contain" not in str(error):
                raise
            is_whole = False
        if not is_whole:
            raise DamagedDataError(
                f"Fewer videos of split {split!r} can be read than there were when the "
                f"set was prepared: {videos.count}. TensorFlow's log names the shards. "
                "Prepare the set again; then the same command goes on."
            )

    def metrics(self, split):
        """What scores of a split are called → a metric for each, without scores yet.

        Of `test` there are others: the mean over classes of the average precision, as
        the data set has it, Hit@1 and PERR.
        """
        found = {split: cvzoo.GlobalAveragePrecision()}
        if split == "test":
            found |= {
                "test_MAP": cvzoo.MeanAveragePrecision(self._map_of_best),
                "test_Hit@1": cvzoo.HitAtOne(),
                "test_PERR": cvzoo.PrecisionAtEqualRecallRate(),
            }
        return found

    def scores(self, model):
        """Name of `metrics` → its result, of all splits.

        Of a network that draws frames there is GAP@20 where it draws them in
        evaluation too.
        """
        found = {}
        for split in self.held_out:
            metrics = self.metrics(split)
            self._add_scores(self.accumulate, metrics.values(), model, split)
            found |= {name: metric.result() for name, metric in metrics.items()}
        samplers = [one for one in model.layers if isinstance(one, FrameSampler)]
        if samplers and "test" in found:
            found[OF_RANDOM_FRAMES] = self._score_of_random(model, samplers)
        return found

    def _score_of_random(self, model, samplers):
        metric = cvzoo.GlobalAveragePrecision()
        with _random_frames(samplers, self.seed):
            # Another one, as it keeps what it traced.
            self._add_scores(Scoring(self.strategy), [metric], model, "test")
        return metric.result()

    def score(self, model, split):
        """The exact GAP@20 of a split."""
        metric = cvzoo.GlobalAveragePrecision()
        self._add_scores(self.accumulate, [metric], model, split)
        return metric.result()

    def measures(self, model, split):
        """The loss and metrics on a split; GAP@20 is the exact one."""
        return super().measures(model, split) | {self.metric: self.score(model, split)}

    def arrays(self, split, first=None):
        """Inputs and labels of a split, or of its first videos, as numpy arrays.

        Inputs are one array, or a list of arrays where a network has several.
        """
        size = first or self.size(split)
        batches = self.videos[split].batches(size, audio=self.audio)
        inputs, labels = batches.take(1).get_single_element()
        arrays = [np.asarray(one) for one in keras.tree.flatten(inputs)]
        return arrays if len(arrays) > 1 else arrays[0], labels.numpy()

    def labels(self, split):
        """Labels of all videos of a split, float32 `(videos, classes)`."""
        batches = self.videos[split].batches(EVALUATED)
        return np.concatenate([labels.numpy() for _, labels in batches])

    def size(self, split):
        """Number of videos of a split."""
        return self.videos[split].count

    def expected_of_model(self):
        """Arguments that an architecture must have for the data."""
        videos = self.videos["train"]
        widths = list(videos.features.values())
        if videos.level == "video":
            return {"input_shape": [sum(widths)], "classes": videos.classes}
        expected = {"features": widths[0], "classes": videos.classes}
        if self.audio and "audio" in videos.features:
            expected["audio_features"] = videos.features["audio"]
        return expected

    def check_fits(self, model):
        """Raises unless a network's inputs and outputs are those of the data."""
        if hears(model) and "audio" not in self.videos["train"].features:
            raise ValueError(
                f"The data set {self.about['name']!r} has no sound. Set "
                "`model.audio` to False. Received: model.audio=True"
            )
        super().check_fits(model)

    @property
    def classes(self):
        """Names of the classes."""
        names = self.source.CLASSES
        count = self.videos["train"].classes
        return names if len(names) == count else list(map(str, range(count)))


def videos_of(config, split):
    """Videos of a split, as the network of a recipe takes them.

    Args:
        config: A recipe whose data set has videos.
        split: Name of the split.

    Returns:
        `training.data.youtube8m.reading.Videos`.
    """
    source = training.data.find(config["data"]["name"])
    used = {"name", "batch_size", *VIDEO_OPTIONS}
    options = {key: one for key, one in config["data"].items() if key not in used}
    level = "frame" if _takes_frames(config["model"]) else "video"
    return source.videos(split, level=level, **options)


def hears(model):
    """Whether the network of a recipe takes frames of sound."""
    return _takes_frames(model) and registry.argument(model["name"], "audio", model)


def _takes_frames(model):
    return registry.has_argument(model["name"], "bags")


@contextlib.contextmanager
def _random_frames(samplers, seed):
    """Lets layers draw frames in evaluation too, the same each time."""
    kept = [(one.evaluation, one.seed_generator.state.numpy()) for one in samplers]
    try:
        for layer in samplers:
            layer.evaluation = "random"
            layer.seed_generator.state.assign([seed, 0])
        yield
    finally:
        for layer, (evaluation, state) in zip(samplers, kept, strict=True):
            layer.evaluation = evaluation
            layer.seed_generator.state.assign(state)
