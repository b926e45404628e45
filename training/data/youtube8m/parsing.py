"""Records of YouTube-8M, parsed a batch at a time.

Frames are a `tf.train.SequenceExample`: `id` (older: `video_id`) and `labels` in its
context, and for each second an entry of the lists `rgb` and `audio`, a string of 1024
and of 128 bytes. Means of videos are a `tf.train.Example` with `id`, `labels`,
`mean_rgb` and `mean_audio`. As in google/youtube-8m, `readers.py`.
"""

import typing

import tensorflow as tf

# The byte that stands for -0.00003, which is nearest to 0: what sound that is missing
# is filled with. See `cvzoo.layers.DequantizeFrames`.
SILENCE = 127


class Parsed(typing.NamedTuple):
    """A batch of records whose frames are not decoded yet.

    Attributes:
        ids: Strings `(batch,)`, empty where a record has none.
        labels: `tf.RaggedTensor` of int64, as they are in the file.
        streams: Name → strings `(batch, time)`, one a frame and empty behind the last
            one, and the number of frames of each video, int64 `(batch,)`.
        context: Whatever else was asked for.
    """

    ids: tf.Tensor
    labels: tf.RaggedTensor
    streams: dict
    context: dict


def parse_frames(records, streams, context=None):
    """Parses records at frame level.

    Args:
        records: Serialized records, strings `(batch,)`.
        streams: Names of the lists to read, such as `"rgb"`. A list that a record lacks
            has no frames.
        context: Name → `tf.io` feature of what else to read.
    """
    found, frames, lengths = tf.io.parse_sequence_example(
        records,
        context_features=_LABELS | (context or {}),
        sequence_features={
            name: tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True)
            for name in streams
        },
    )
    streams = {name: (frames[name], lengths[name]) for name in streams}
    return Parsed(_ids(found), found["labels"], streams, found)


def parse_means(records, features):
    """Parses records at video level.

    Args:
        records: Serialized records, strings `(batch,)`.
        features: Key in the records → `tf.io` feature.

    Returns:
        Ids and labels as in `Parsed`, and key → what was read.
    """
    found = tf.io.parse_example(records, _LABELS | features)
    return _ids(found), found["labels"], {key: found[key] for key in features}


_LABELS = {
    "id": tf.io.FixedLenFeature([], tf.string, ""),
    "video_id": tf.io.FixedLenFeature([], tf.string, ""),
    "labels": tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
}


def _ids(found):
    return tf.where(found["id"] == "", found["video_id"], found["id"])


def means(records, features):
    """Features of videos: ids, inputs and labels of records at video level.

    Args:
        records: Serialized records, strings `(batch,)`.
        features: Stream → width. Where a record lacks one, it is 0; and so is each
            number that is not finite.

    Returns:
        Ids, float32 `(batch, sum of widths)`, and ragged labels.
    """
    keys = {
        f"mean_{stream}": tf.io.FixedLenFeature([width], tf.float32, [0.0] * width)
        for stream, width in features.items()
    }
    ids, labels, found = parse_means(records, keys)
    inputs = tf.concat([found[key] for key in keys], axis=1)
    inputs = tf.where(tf.math.is_finite(inputs), inputs, tf.zeros_like(inputs))
    return ids, inputs, labels


def frames(streams, features, max_frames):
    """Decodes the frames of a batch.

    Args:
        streams: Those of `Parsed`; the first says how many frames a video has.
        features: Stream → bytes of a frame.
        max_frames: Frames of a video from which on the rest is cut off.

    Returns:
        List of uint8 `(batch, time, bytes)`, one for each stream, and the number of
        frames of each video, int32 `(batch,)`. The time is that of the longest video,
        and 1 where none has a frame. Behind the last frame of a video is 0; frames that
        only the first stream has are `SILENCE` in others.
    """
    (_, count), *_ = streams.values()
    count = tf.minimum(count, max_frames)
    time = tf.maximum(tf.reduce_max(count), 1)
    decoded = []
    for name, (strings, lengths) in streams.items():
        # Not `decode_raw` alone: padding is empty strings.
        stream = tf.io.decode_raw(
            _of_time(strings, time), tf.uint8, fixed_length=features[name]
        )
        stream = tf.ensure_shape(stream, [None, None, features[name]])
        decoded.append(_filled(stream, lengths, count))
    return decoded, tf.cast(count, tf.int32)


def _of_time(strings, time):
    """Strings `(batch, time)`: others are cut off, or empty."""

    def fitted():
        missing = tf.maximum(time - tf.shape(strings, tf.int64)[1], 0)
        empty = tf.fill([tf.shape(strings, tf.int64)[0], missing], "")
        return tf.concat([strings[:, :time], empty], axis=1)

    # Most batches fit as they are, and copying strings takes long.
    fits = tf.shape(strings, tf.int64)[1] == time
    return tf.cond(fits, lambda: tf.identity(strings), fitted)


def _filled(stream, lengths, count):
    """A stream with `SILENCE` where it ends before its video does."""

    def fill():
        time = tf.range(tf.shape(stream, tf.int64)[1])
        is_missing = (time >= lengths[:, None]) & (time < count[:, None])
        silence = tf.constant(SILENCE, tf.uint8)
        return tf.where(is_missing[..., None], silence, stream)

    return tf.cond(tf.reduce_any(lengths < count), fill, lambda: tf.identity(stream))


def halves(streams, count):
    """Halves of videos, as paper 1's code augments its data.

    Args:
        streams: List of uint8 `(batch, time, bytes)`.
        count: Number of frames of each video, int32 `(batch,)`.

    Returns:
        The same of `2 · batch` videos: all first halves, then all second ones. An odd
        frame is in the first half.
    """
    first = (count + 1) // 2
    counts = tf.concat([first, count - first], axis=0)
    half = tf.maximum(tf.reduce_max(first), 1)
    time = tf.range(half)
    is_frame = time < counts[:, None]
    starts = tf.concat([tf.zeros_like(first), first], axis=0)
    rows = tf.tile(tf.range(tf.size(count)), [2])
    # Frames of all videos in a row: one copy of each half.
    places = tf.where(is_frame, starts[:, None] + time, 0)
    places += rows[:, None] * tf.shape(streams[0])[1]
    return [gathered(stream, places, is_frame) for stream in streams], counts


def gathered(stream, places, is_kept):
    """Frames at some places, uint8 `(videos, time, bytes)`; 0 where not kept.

    Args:
        stream: uint8 `(batch, time, bytes)`.
        places: Integers `(videos, time)`, among the frames of all videos in a row.
        is_kept: Bool `(videos, time)`.
    """
    width = stream.shape[-1]
    chosen = tf.gather(tf.reshape(stream, [-1, width]), places)
    return chosen * tf.cast(is_kept, tf.uint8)[..., None]


def multi_hot(labels, classes):
    """Labels as float32 `(batch, classes)`; those outside of the classes are left out.

    Args:
        labels: `tf.RaggedTensor` of int64.
        classes: Number of classes.
    """
    return scattered(
        labels.value_rowids(),
        labels.values,
        tf.ones_like(labels.values, tf.float32),
        [labels.nrows(), classes],
    )


def scattered(rows, columns, values, shape):
    """A matrix of zeros with values at some places; the last of several at one stays.

    Places outside of its columns are left out.
    """
    is_inside = (columns >= 0) & (columns < shape[1])
    places = tf.stack([rows, columns], axis=1)[is_inside]
    matrix = tf.tensor_scatter_nd_update(tf.zeros(shape), places, values[is_inside])
    return tf.ensure_shape(matrix, [None, shape[1]])
