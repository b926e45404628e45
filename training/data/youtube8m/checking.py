"""One shard looked through, for the index: what is in it, and what is wrong with it."""

import dataclasses
import functools
import hashlib
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError

from training.data.youtube8m import parsing, segments
from training.data.youtube8m.reading import MAX_FRAMES

FEATURES = {"rgb": 1024, "audio": 128}
# Numbers of classes of the releases of 2018 and 2017.
VOCABULARIES = (3862, 4716)
# Records that are parsed together.
_BATCH = 64


@dataclasses.dataclass
class Problems:
    """What is used in spite of what is wrong with it. Numbers of videos, mostly.

    Attributes:
        missing_audio: Sound that is missing, or shorter than the video.
        no_frames: Without frames, or without means.
        too_long: More than 300 frames; the rest is cut off.
        no_id: Without an id.
        bad_ratings: Lists of segments that do not fit together; they are left out.
        not_finite: Numbers of features; 0 is in their place.
        unknown_labels: Number of classes → labels that are none of these, as text;
            they are left out.
    """

    missing_audio: int = 0
    no_frames: int = 0
    too_long: int = 0
    no_id: int = 0
    bad_ratings: int = 0
    not_finite: int = 0
    unknown_labels: dict = dataclasses.field(
        default_factory=lambda: {str(classes): 0 for classes in VOCABULARIES}
    )


@dataclasses.dataclass
class Shard:
    """What the index knows of a shard.

    Attributes:
        path: Relative to the folder of all.
        bytes, modified, sha256: Its size, time (ns) and checksum, which is empty where
            the shard is to be looked through again in any case.
        level: `"frame"`, `"video"` or `"segment"`.
        videos: Records before the first that is damaged: those that are read.
        frames: Frames of these that are used.
        segments: Their segments.
        largest: Bytes of the largest record.
        problems: `Problems`.
        damage: What is wrong with the shard, where it was not read to its end.
        is_foreign: Whether its first record has features of another width: that is
            another data set.
    """

    path: str
    bytes: int
    modified: int
    sha256: str = ""
    level: str = "frame"
    videos: int = 0
    frames: int = 0
    segments: int = 0
    largest: int = 0
    problems: Problems = dataclasses.field(default_factory=Problems)
    damage: str | None = None
    is_foreign: bool = False

    @classmethod
    def of(cls, fields):
        """That of a dictionary, as the index has them."""
        return cls(**fields | {"problems": Problems(**fields["problems"])})


class _WidthError(ValueError):
    """Features have another width than those of YouTube-8M."""


def check(folder, path, known=None):
    """Reads a shard to its end, or to the first record that cannot be read.

    Args:
        folder: Folder of all shards.
        path: The shard, relative to it.
        known: What was returned of a shard at that path before. Where it has the same
            bytes, only the checksum is made, and the new time kept.

    Returns:
        `Shard`, as a dictionary.
    """
    file = Path(folder, path)
    stat = file.stat()
    shard = Shard(path, stat.st_size, stat.st_mtime_ns)
    try:
        with open(file, "rb") as opened:
            opened.read(1)  # Else `_read` would try without end.
        if known is not None and known["bytes"] == shard.bytes:
            shard.sha256 = _digest(file)
            if shard.sha256 == known["sha256"]:
                return known | {"modified": shard.modified}
        _read(file, shard)
        # Of what is no part of the data set it would take hours for nothing.
        shard.sha256 = "" if shard.is_foreign else shard.sha256 or _digest(file)
    except (OSError, tf.errors.OpError) as error:
        shard.sha256, shard.damage = "", f"it cannot be read: {error}"
    return dataclasses.asdict(shard)


def _digest(file):
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _read(file, shard):
    """Fills in what is in a shard."""
    place = 0
    records = tf.data.TFRecordDataset(str(file), buffer_size=2**20).ignore_errors()
    for batch in records.batch(_BATCH):
        sizes = tf.strings.length(batch).numpy()
        if not shard.videos:
            shard.level = _level(batch[0].numpy())
        good = _count(shard, batch)
        shard.videos += good
        if good:
            shard.largest = max(shard.largest, int(sizes[:good].max()))
        # Around a record there are its length and two checksums.
        place += int(sizes[:good].sum()) + 16 * good
        if good < len(sizes):
            _blame(shard, batch[good : good + 1])
            return
    if place < shard.bytes or not shard.videos:
        shard.damage = (
            f"no whole record begins at byte {place:,} of {shard.bytes:,}"
            if shard.bytes
            else "it is empty"
        )


def _blame(shard, record):
    """Says what is wrong with the first record that is not good."""
    try:
        _found(shard, record)
    except _WidthError as error:
        shard.damage = f"record {shard.videos} is none of YouTube-8M: {error}"
        shard.is_foreign = not shard.videos
    except tf.errors.InvalidArgumentError:
        shard.damage = f"record {shard.videos} is no video of level {shard.level}"


def _level(record):
    """The level of a shard, by its first record."""
    try:
        found = tf.train.SequenceExample.FromString(record)
    except DecodeError:
        return "frame"
    keys = found.context.feature.keys()
    if {"mean_rgb", "mean_audio"} & keys:
        return "video"
    return "segment" if "segment_start_times" in keys else "frame"


def _count(shard, records):
    """Counts what is in some records; returns how many, from the first, are good."""
    try:
        found = _found(shard, records)
    except (tf.errors.InvalidArgumentError, _WidthError):
        if len(records) == 1:
            return 0
        half = len(records) // 2
        good = _count(shard, records[:half])
        return good if good < half else half + _count(shard, records[half:])
    shard.frames += found.pop("frames", 0)
    shard.segments += found.pop("segments", 0)
    _add_labels(shard.problems.unknown_labels, found.pop("labels"))
    for name, number in found.items():
        setattr(shard.problems, name, getattr(shard.problems, name) + number)
    return len(records)


def _found(shard, records):
    """What is in some records, all of which must be good."""
    count = {"video": _count_means}.get(shard.level, _count_frames)
    return count(records)


def _add_labels(unknown, labels):
    for classes in VOCABULARIES:
        unknown[str(classes)] += _number((labels < 0) | (labels >= classes))


def _number(condition):
    return int(tf.math.count_nonzero(condition))


# Graphs: called one by one, their operations take longer.
_parse_frames = tf.function(
    functools.partial(
        parsing.parse_frames, streams=tuple(FEATURES), context=segments.CONTEXT
    ),
    input_signature=[tf.TensorSpec([None], tf.string)],
)
_parse_means = tf.function(
    functools.partial(
        parsing.parse_means,
        features={
            f"mean_{stream}": tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64)
            for stream in FEATURES
        },
    ),
    input_signature=[tf.TensorSpec([None], tf.string)],
)
_find_segments = tf.function(segments.find)


def _count_frames(records):
    parsed = _parse_frames(records)
    for stream, (strings, lengths) in parsed.streams.items():
        is_frame = tf.sequence_mask(lengths, tf.shape(strings)[1])
        _check_width(stream, tf.strings.length(strings)[is_frame])
    lengths, heard = (parsed.streams[stream][1] for stream in FEATURES)
    used = tf.minimum(lengths, MAX_FRAMES)
    found = _find_segments(parsed.context)
    return {
        "frames": int(tf.reduce_sum(used)),
        "segments": len(found.videos),
        "labels": parsed.labels.values,
        "missing_audio": _number(heard < used),
        "no_frames": _number(lengths == 0),
        "too_long": _number(lengths > MAX_FRAMES),
        "no_id": _number(parsed.ids == ""),
        "bad_ratings": _number(found.bad),
    }


def _count_means(records):
    ids, labels, found = _parse_means(records)
    missing = {}
    for stream in FEATURES:
        lengths = found[f"mean_{stream}"].row_lengths()
        missing[stream] = _number(lengths == 0)
        _check_width(f"mean_{stream}", lengths[lengths > 0])
    return {
        "labels": labels.values,
        "missing_audio": missing["audio"],
        "no_frames": missing["rgb"],
        "no_id": _number(ids == ""),
        "not_finite": sum(
            _number(~tf.math.is_finite(part.values)) for part in found.values()
        ),
    }


def _check_width(name, widths):
    expected = FEATURES[name.removeprefix("mean_")]
    wrong = widths[tf.cast(widths, tf.int32) != expected]
    if len(wrong):
        raise _WidthError(
            f"{name!r} has {int(wrong[0])} numbers, and {expected} were expected"
        )
