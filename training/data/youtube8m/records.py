"""Writes shards in the formats of YouTube-8M, for other videos as well."""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from cvzoo.layers.frames import OFFSET, STEP


def quantize(features):
    """Bytes for features: those in [-2, 2] in 255 steps, others as the nearest of them.

    `q = round((x + 2) · 255/4)`, as the frames of YouTube-8M were written
    (google/youtube-8m, feature_extractor). `cvzoo.layers.DequantizeFrames` makes
    features of them again, which differ by at most 0.0157 = 2/255 + 4/512.

    Args:
        features: Float array of any shape.

    Returns:
        uint8 array of that shape.
    """
    clipped = np.clip(features, -2, 2)
    return np.round((clipped + 2) * (255 / 4)).astype(np.uint8)


def dequantize(frames):
    """Features that bytes stand for: `q · 4/255 + 4/512 − 2`, float32."""
    return np.asarray(frames, np.float32) * STEP + OFFSET


def write_frames(path, records, id_key="id"):
    """Writes a shard at frame level, whole or not at all.

    Args:
        path: File to write, in a folder that is there.
        records: Iterable of `(id, labels, streams)` or `(id, labels, streams, ratings)`
            of each video: text; integers; stream (`"rgb"`, `"audio"`) → uint8 `(frames,
            width)`; and, of segments, `(label, start, score)` of each rating.
        id_key: What the id is called: `"id"`, or `"video_id"` in older releases.

    Returns:
        Number of videos.
    """
    return _write(path, (_frames(id_key, *record) for record in records))


def write_means(path, records, id_key="id"):
    """Writes a shard at video level, whole or not at all.

    Args:
        path, id_key: As of `write_frames`.
        records: Iterable of `(id, labels, means)` of each video; the last one is stream
            → floats `(width,)`.

    Returns:
        Number of videos.
    """
    return _write(path, (_means(id_key, *record) for record in records))


def _write(path, records):
    path, count = Path(path), 0
    aside = path.with_name(f"{path.name}.part")
    try:
        with tf.io.TFRecordWriter(str(aside)) as writer:
            for record in records:
                writer.write(record.SerializeToString(deterministic=True))
                count += 1
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return count


def _frames(id_key, name, labels, streams, ratings=()):
    context = _labelled(id_key, name, labels)
    if ratings:
        classes, starts, scores = zip(*ratings, strict=True)
        context |= {
            "segment_labels": _integers(classes),
            "segment_start_times": _integers(starts),
            "segment_end_times": _integers(start + 5 for start in starts),
            "segment_scores": _floats(scores),
        }
    lists = {
        stream: tf.train.FeatureList(
            feature=[_bytes(frame.tobytes()) for frame in _checked(stream, frames)]
        )
        for stream, frames in streams.items()
    }
    return tf.train.SequenceExample(
        context=tf.train.Features(feature=context),
        feature_lists=tf.train.FeatureLists(feature_list=lists),
    )


def _checked(stream, frames):
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 2:
        raise ValueError(
            f"Frames of {stream!r} must be uint8 (frames, width): see `quantize`. "
            f"Received: {frames.dtype} {frames.shape}"
        )
    return frames


def _means(id_key, name, labels, means):
    features = {f"mean_{stream}": _floats(mean) for stream, mean in means.items()}
    features |= _labelled(id_key, name, labels)
    return tf.train.Example(features=tf.train.Features(feature=features))


def _labelled(id_key, name, labels):
    return {id_key: _bytes(name.encode()), "labels": _integers(labels)}


def _bytes(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _integers(values):
    values = [int(value) for value in values]
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _floats(values):
    values = [float(value) for value in values]
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
