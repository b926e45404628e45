"""Videos in shards of the format of YouTube-8M, as batches."""

import dataclasses
import os

import numpy as np
import tensorflow as tf

from training.data import DataError
from training.data.youtube8m import parsing, segments

LEVELS = ("frame", "video", "segment")
STREAMS = ("rgb", "audio")
MAX_FRAMES = 300
# What waits to be drawn from in training holds so many bytes of records at most, and
# so many records; it is emptied at the end of each epoch.
SHUFFLE_BYTES, SHUFFLE_RECORDS = 256 * 2**20, 8192
# Files that a training epoch reads in turns.
FILES_AT_ONCE = 8
# Batches that are parsed at the same time, each on a core.
PARSERS = min(8, os.cpu_count() or 1)
# Videos whose segments are found together, and segments that are shuffled together.
_SEGMENTED, _SEGMENTS = 16, 1024


@dataclasses.dataclass(frozen=True)
class Videos:
    """Some videos, in files that are read in place.

    Attributes:
        files: Paths of the shards.
        counts: Number of records of each that are read; what follows is skipped.
        classes: Number of classes.
        level: What an example is: `"frame"`, a video's frames; `"video"`, the means of
            its features; `"segment"`, the frames of five seconds, with its scores.
        features: Stream → numbers of a frame: of `"rgb"` and maybe `"audio"`.
        max_frames: Frames of a video from which on the rest is cut off.
        segments: Of level `"segment"`, the number of segments in each file's records.
        largest: Bytes of the largest record. Defaults to those of `max_frames` frames.
    """

    files: tuple
    counts: tuple
    classes: int
    level: str
    features: dict
    max_frames: int = MAX_FRAMES
    segments: tuple | None = None
    largest: int | None = None

    def __post_init__(self):
        if self.level not in LEVELS:
            raise ValueError(f"`level` must be one of {LEVELS}. Received: {self.level}")
        if tuple(self.features) not in (STREAMS, STREAMS[:1]):
            raise ValueError(
                "`features` must have widths of 'rgb', and then of 'audio' where there "
                f"is sound. Received: features={self.features}"
            )
        if (self.level == "segment") != (self.segments is not None):
            raise ValueError("`segments` is for the level 'segment', which needs it.")
        lengths = {len(self.files), len(self.counts), len(self.segments or self.counts)}
        if lengths != {len(self.files)} or not self.files:
            raise ValueError(
                "`files`, `counts` and `segments` must be of one length, and not "
                f"empty. Received: lengths {sorted(lengths)}"
            )

    @property
    def count(self):
        """Number of examples."""
        return sum(self._sizes)

    @property
    def shuffled_records(self):
        """Number of records among which training draws, at most.

        Together they have no more than `SHUFFLE_BYTES`, and there is at least one.
        """
        largest = self.largest or self._largest_record()
        return max(1, min(SHUFFLE_BYTES // largest, SHUFFLE_RECORDS))

    @property
    def _sizes(self):
        return self.counts if self.segments is None else self.segments

    def _largest_record(self):
        """Bytes of a record, where no more is known: frames, labels and names."""
        width = sum(self.features.values())
        if self.level == "video":
            return 4 * width + 1024
        # Around each string of a list there are at most 16 bytes.
        return self.max_frames * (width + 16 * len(self.features)) + 4096

    def steps(self, batch_size, share=(0, 1)):
        """Number of batches of a pass of `batches` over files that are undamaged.

        Args:
            batch_size, share: Those of `batches`.
        """
        return -(-self.size(share) // batch_size)

    def size(self, share):
        """Number of examples of a share, as `batches` takes it."""
        *_, size = self._shared(share)
        return size

    def batches(
        self,
        batch_size,
        audio=False,
        seed=None,
        half_videos=False,
        share=(0, 1),
        with_ids=False,
    ):
        """Batches of one pass over the videos.

        A file that cannot be opened any more, or was damaged after its records were
        counted, does not end the pass: TensorFlow's log has a warning, and the file, or
        the rest of it, is left out. One record that cannot be parsed takes its batch
        with it. There may be fewer batches than `steps` then, none at worst, and so the
        dataset has no cardinality; callers that need one assert it.

        Args:
            batch_size: Videos of a batch. The last one may have fewer.
            audio: Whether frames of sound are read besides. At level `"video"`, all
                streams are.
            seed: Two integers, such as those of a run and its epoch, or tensors: they
                fix the order, of files and of records. Without, videos come in the
                order of the files.
            half_videos: Whether each video becomes two, its halves, with its labels:
                all first halves of a batch, then all second ones.
            share: `(index, count)`: only every `count`-th file is read, from the one at
                `index` on. Workers that train together have one share each.
            with_ids: Whether ids are given, too.

        Returns:
            `tf.data.Dataset` of `(inputs, labels)`; then, of segments, `rated`; then,
            if asked for, ids, strings `(batch,)`, as the last one.

            - `inputs`, of frames: `(rgb, num_frames)` or `(rgb, audio, num_frames)`,
              uint8 `(batch, time, width)` and int32 `(batch,)`. Time is that of the
              batch's longest video, 1 or more; behind a video's end is 0. Frames of
              sound that are missing are bytes 127, which stand for -0.00003.
            - `inputs`, of means: float32 `(batch, sum of widths)`, images first. What
              is missing or not finite is 0.
            - `labels`: float32 `(batch, classes)`, 1 for each of a video's. Of
              segments, the score of a class. It is 0 where people said that the class
              is not there, and also where nobody was asked:
            - `rated`: float32 `(batch, classes)`, 1 where somebody was.

        Raises:
            ValueError: Arguments that do not fit, or no sound where it is asked for.
            DataError: More shares than files.
        """
        self._check(audio, half_videos, seed)
        files, counts, _ = self._shared(share)
        if seed is not None:
            seed = tf.stack([tf.cast(part, tf.int64) for part in seed])
        records = self._records(files, counts, seed)
        if self.level == "segment":
            batches = self._segments(records, audio, seed).batch(batch_size)
        else:

            def parse(records):
                return self._parsed(records, audio, half_videos)

            batches = records.batch(batch_size).map(parse, num_parallel_calls=PARSERS)
        batches = batches.ignore_errors(log_warning=True)
        if not with_ids:
            batches = batches.map(lambda *batch: batch[:-1])
        return batches.prefetch(1)

    def _check(self, audio, half_videos, seed):
        if seed is not None and len(seed) != 2:
            raise ValueError(
                "`seed` must be two integers, such as [seed, epoch], or None. "
                f"Received: seed={seed}"
            )
        if audio and "audio" not in self.features:
            raise ValueError(
                "`audio` needs videos with sound. Received: audio=True, and features "
                f"{self.features}"
            )
        if half_videos and self.level != "frame":
            raise ValueError(
                "`half_videos` is for frames of whole videos. Received: level="
                f"{self.level!r}"
            )

    def _shared(self, share):
        """Files and counts of a share, and its number of examples."""
        index, workers = share
        if not 0 <= index < workers:
            raise ValueError(
                "`share` must be (index, count), 0 <= index < count. Received: "
                f"share={share}"
            )
        files, counts, sizes = (
            part[index::workers] for part in (self.files, self.counts, self._sizes)
        )
        if not sum(sizes):
            raise DataError(
                f"There are {len(self.files)} files with {self.count} videos, too few "
                f"for {workers} workers: share {index} is empty. Use fewer workers."
            )
        return [str(file) for file in files], np.array(counts, np.int64), sum(sizes)

    def _records(self, files, counts, seed):
        """Serialized records of some files."""
        if seed is None:
            shards = tf.data.Dataset.from_tensor_slices((files, counts))
            return _that_open(shards).flat_map(_read)
        order = tf.random.experimental.stateless_shuffle(tf.range(len(files)), seed)
        shards = tf.data.Dataset.from_tensor_slices(
            (tf.gather(files, order), tf.gather(counts, order))
        )
        records = _that_open(shards).interleave(_read, FILES_AT_ONCE, 1)
        return _shuffled(records, self.shuffled_records, tf.random.fold_in(seed, 1))

    def _streams(self, audio):
        return STREAMS if audio else STREAMS[:1]

    def _parsed(self, records, audio, half_videos):
        """`(inputs, labels, ids)` of a batch of records."""
        if self.level == "video":
            ids, inputs, labels = parsing.means(records, self.features)
            return inputs, parsing.multi_hot(labels, self.classes), ids
        parsed = parsing.parse_frames(records, self._streams(audio))
        streams, count = parsing.frames(parsed.streams, self.features, self.max_frames)
        labels, ids = parsing.multi_hot(parsed.labels, self.classes), parsed.ids
        if half_videos:
            streams, count = parsing.halves(streams, count)
            labels, ids = (tf.concat([part, part], axis=0) for part in (labels, ids))
        return (*streams, count), labels, ids

    def _segments(self, records, audio, seed):
        """`(inputs, labels, rated, ids)` of each segment."""

        def parse(records):
            parsed = parsing.parse_frames(
                records, self._streams(audio), segments.CONTEXT
            )
            streams, count, labels, rated, ids = segments.examples(
                parsed, self.features, self.max_frames, self.classes
            )
            return (*streams, count), labels, rated, ids

        batches = records.batch(_SEGMENTED).map(parse, num_parallel_calls=PARSERS)
        found = batches.ignore_errors(log_warning=True).unbatch()
        if seed is None:
            return found
        return _shuffled(found, _SEGMENTS, tf.random.fold_in(seed, 2))


def _that_open(shards):
    """Pairs of file and count, without those files that cannot be opened.

    `TFRecordDataset` has the same error over and over of such a file, and
    `ignore_errors` would never end. Each is tried when its turn comes.
    """

    def tried(file, count):
        first = tf.data.FixedLengthRecordDataset(file, 1, buffer_size=1).take(1)
        # The system's error, with the name of the file, is one of this pair.
        with tf.control_dependencies([first.reduce(0, lambda read, _: read + 1)]):
            return tf.identity(file), tf.identity(count)

    return shards.map(tried).ignore_errors(log_warning=True)


def _read(file, count):
    """The first records of a file; fewer, where one of them cannot be read."""
    records = tf.data.TFRecordDataset(file, buffer_size=2**20)
    return records.ignore_errors(log_warning=True).take(count)


def _shuffled(dataset, size, seeds):
    """`dataset.shuffle`, of two seeds only: that one also goes by the global seed."""
    seeds = tf.cast(seeds, tf.int64)
    structure = dataset.element_spec
    parts = tf.nest.flatten(structure)
    variant = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(dataset),
        buffer_size=size,
        seed=seeds[0],
        seed2=seeds[1],
        output_types=[part.dtype for part in parts],
        output_shapes=[part.shape for part in parts],
        reshuffle_each_iteration=False,
    )
    return tf.data.experimental.from_variant(variant, structure)
