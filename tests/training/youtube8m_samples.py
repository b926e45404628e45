"""Records of YouTube-8M put together by hand, field by field, and small videos."""

import numpy as np
import tensorflow as tf

from training.data.youtube8m import synthetic
from training.data.youtube8m.reading import Videos

# Small widths, for what does not depend on them.
FEATURES, CLASSES = {"rgb": 6, "audio": 4}, 5
# Videos of published widths.
SHORT = synthetic.Synthetic(lengths=(2, 4))


def integers(*values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def floats(*values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def text(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def frame_record(
    name=b"aaaa", labels=(1,), rgb=None, audio=None, id_key="id", **context
):
    """A serialized record at frame level; lists that are `None` are not there."""
    record = tf.train.SequenceExample()
    if name is not None:
        record.context.feature[id_key].CopyFrom(text(name))
    record.context.feature["labels"].CopyFrom(integers(*labels))
    for key, value in context.items():
        record.context.feature[key].CopyFrom(value)
    for key, frames in (("rgb", rgb), ("audio", audio)):
        if frames is not None:
            # That a list is there counts, even without frames.
            listed = record.feature_lists.feature_list[key]
            for frame in frames:
                listed.feature.add().bytes_list.value.append(frame.tobytes())
    return record.SerializeToString(deterministic=True)


def mean_record(name=b"aaaa", labels=(1,), rgb=None, audio=None):
    """A serialized record at video level."""
    record = tf.train.Example()
    record.features.feature["id"].CopyFrom(text(name))
    record.features.feature["labels"].CopyFrom(integers(*labels))
    for key, mean in (("mean_rgb", rgb), ("mean_audio", audio)):
        if mean is not None:
            record.features.feature[key].CopyFrom(floats(*mean))
    return record.SerializeToString(deterministic=True)


def frames(count, width, seed=0):
    return np.random.default_rng(seed).integers(1, 256, (count, width), np.uint8)


def write(path, records):
    """Writes serialized records; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path


def videos(path, count, level="frame", **options):
    """The videos of a file of small widths."""
    return Videos((str(path),), (count,), CLASSES, level, FEATURES, **options)


def only(dataset):
    """The one batch of a dataset, as numpy arrays."""
    (batch,) = dataset.as_numpy_iterator()
    return batch


def ids(dataset):
    """All ids of a dataset that has them, in order."""
    return [name for *_, names in dataset.as_numpy_iterator() for name in names]


def downloads(folder):
    """Writes three shards of two videos each, one of them of `test`."""
    synthetic.write(folder, ["train00", "validate0A", "validateA1"], 2, source=SHORT)
    return folder
