"""Segments of videos, five seconds each, that people rated in 2019.

The context of such a record has lists besides, of equal lengths: `segment_labels`,
`segment_start_times` (seconds from the video's start), `segment_end_times` and
`segment_scores`. Few segments were rated, and each for a class or two. As in
google/youtube-8m, `readers.py`.
"""

import typing

import tensorflow as tf

from training.data.youtube8m import parsing

FRAMES = 5
CONTEXT = {
    "segment_start_times": tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
    "segment_labels": tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
    "segment_scores": tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64),
}
_NO_LABEL = -1


class Segments(typing.NamedTuple):
    """The segments of a batch of videos.

    Attributes:
        videos: Each one's place in the batch, int64 `(segments,)`.
        starts: Its first second, int64 `(segments,)`.
        rows, labels, scores: Each rating's segment, class and score, `(ratings,)`; the
            class is -1 where there was none.
        bad: Which videos have lists that do not fit together, bool `(batch,)`. They
            have no segments here.
    """

    videos: tf.Tensor
    starts: tf.Tensor
    rows: tf.Tensor
    labels: tf.Tensor
    scores: tf.Tensor
    bad: tf.Tensor


def find(context):
    """The segments of `parsing.Parsed.context`.

    A segment that was rated for several classes is one. Those that begin before their
    video are left out. Videos of the test partition have neither labels nor scores.
    """
    starts, labels, scores = (context[key] for key in CONTEXT)
    lengths, *others = (part.row_lengths() for part in (starts, labels, scores))
    is_rated = tf.reduce_all([lengths == other for other in others], axis=0)
    is_unrated = tf.reduce_all([other == 0 for other in others], axis=0) & ~is_rated
    rated, unrated = (_entries(starts, is_kept) for is_kept in (is_rated, is_unrated))
    nothing = tf.zeros_like(unrated[0])
    videos, at = (tf.concat(parts, 0) for parts in zip(rated, unrated, strict=True))
    labels = tf.concat([_entries(labels, is_rated)[1], nothing + _NO_LABEL], axis=0)
    zeros = tf.cast(nothing, tf.float32)
    scores = tf.concat([_entries(scores, is_rated)[1], zeros], axis=0)
    is_inside = at >= 0
    videos, at = videos[is_inside], at[is_inside]
    # Videos and starts as one number, for `unique`.
    most = tf.reduce_max(tf.concat([at, [0]], axis=0)) + 1
    keys, rows = tf.unique(videos * most + at, tf.int64)
    bad = ~is_rated & ~is_unrated
    return Segments(
        keys // most, keys % most, rows, labels[is_inside], scores[is_inside], bad
    )


def _entries(ragged, is_kept):
    """Rows and values of a ragged tensor, of some of its rows only."""
    rows = ragged.value_rowids()
    is_kept = tf.gather(is_kept, rows)
    return rows[is_kept], ragged.values[is_kept]


def examples(parsed, features, max_frames, classes):
    """An example for each segment of a batch of videos.

    Args:
        parsed: `parsing.Parsed` with `CONTEXT`.
        features: Stream → bytes of a frame.
        max_frames: Frames of a video from which on the rest is cut off.
        classes: Number of classes.

    Returns:
        List of uint8 `(segments, 5, bytes)`; the number of frames of each, int32, which
        is below 5 where the video ends before; scores and whether a person gave them,
        float32 `(segments, classes)`; and ids, `VIDEO:SECOND`.
    """
    found = find(parsed.context)
    streams, count = parsing.frames(parsed.streams, features, max_frames)
    left = tf.gather(tf.cast(count, tf.int64), found.videos) - found.starts
    count = tf.clip_by_value(left, 0, FRAMES)
    time = tf.range(FRAMES, dtype=tf.int64)
    is_frame = time < count[:, None]
    rows = found.videos[:, None] * tf.shape(streams[0], tf.int64)[1]
    places = rows + tf.where(is_frame, found.starts[:, None] + time, 0)
    streams = [parsing.gathered(stream, places, is_frame) for stream in streams]
    shape = [tf.size(found.videos, tf.int64), classes]
    rated = tf.ones_like(found.scores)
    labels, rated = (
        parsing.scattered(found.rows, found.labels, values, shape)
        for values in (found.scores, rated)
    )
    seconds = tf.strings.as_string(found.starts)
    ids = tf.strings.join([tf.gather(parsed.ids, found.videos), seconds], ":")
    return streams, tf.cast(count, tf.int32), labels, rated, ids
