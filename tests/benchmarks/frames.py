"""Videos of YouTube-8M's format read from files, beside TensorFlow's operations alone.

SYNTHETIC frames of published size, 120 to 300 seconds of 1024 and 128 bytes, from the
disk's cache.
"""

import concurrent.futures
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.benchmarks.prepare_musicnet import peak
from training.data.youtube8m.checking import check
from training.data.youtube8m.reading import PARSERS, Videos
from training.data.youtube8m.synthetic import write

ASKED, BATCH, ROUNDS = 0.7, 80, 5
FEATURES, CLASSES = {"rgb": 1024, "audio": 128}, 3862
# Shards and their videos, for speed: several times what waits to be drawn from, whose
# first filling counts for little then, as in an epoch. And videos of a shard, for
# memory.
SHARDS, VIDEOS = 4, 800
LARGE = (800, 1600)


def videos(paths, count):
    """The videos of some shards of equal size."""
    return Videos(
        tuple(map(str, paths)), (count,) * len(paths), CLASSES, "frame", FEATURES
    )


def bare(paths, audio):
    """Batches of frames by the two operations, nothing checked, cut or made dense."""
    streams = list(FEATURES)[: 1 + audio]
    context = {
        "id": tf.io.FixedLenFeature([], tf.string),
        "labels": tf.io.VarLenFeature(tf.int64),
    }
    lists = {name: tf.io.FixedLenSequenceFeature([], tf.string) for name in streams}

    def parse(records):
        found, frames, lengths = tf.io.parse_sequence_example(records, context, lists)
        decoded = [
            tf.io.decode_raw(frames[name], tf.uint8, fixed_length=FEATURES[name])
            for name in streams
        ]
        return tuple(decoded), lengths["rgb"], found["labels"]

    records = tf.data.TFRecordDataset([str(path) for path in paths])
    return records.batch(BATCH).map(parse, num_parallel_calls=PARSERS).prefetch(1)


def take(dataset):
    """Takes all there is; returns the seconds that went by, and those of CPU."""
    start, busy = time.perf_counter(), time.process_time()
    for _ in dataset:
        pass
    return time.perf_counter() - start, time.process_time() - busy


def speed(folder, shards=SHARDS, count=VIDEOS, rounds=ROUNDS):
    """Prints videos a second of both, and of what else the reader does."""
    names = [f"train{number:04d}" for number in range(shards)]
    paths = write(folder, names, count)
    for audio in (False, True):
        print(
            f"Videos a second, batch {BATCH}, {'with' if audio else 'without'} sound "
            f"(asked ×{ASKED} or more), by the clock and by CPU time"
        )
        times = _times(paths, count, audio, rounds)
        fastest = np.array(next(iter(times.values())))
        for name, values in times.items():
            each = shards * count / np.median(values, axis=0)[0]
            clock, busy = np.median(fastest / np.array(values), axis=0)
            print(f"  {name:42} {each:10,.0f}   ×{clock:.2f}   ×{busy:.2f}")


def look_through(path):
    """Prints how fast a shard is looked through, for the index."""
    check(path.parent, path.name)  # Builds graphs.
    start, busy = time.perf_counter(), time.process_time()
    check(path.parent, path.name)
    clock, busy = time.perf_counter() - start, time.process_time() - busy
    size = path.stat().st_size / 1e6
    print(
        f"Looking through a shard: {size / clock:,.0f} MB a second, "
        f"{size / busy:,.0f} by CPU time"
    )


def _times(paths, count, audio, rounds):
    """Name → seconds, by the clock and of CPU, of each round; they take turns."""
    reader, shuffled = videos(paths, count), {"audio": audio, "seed": [0, 0]}
    datasets = {
        "parse_sequence_example, decode_raw": bare(paths, audio),
        "reader, in order": reader.batches(BATCH, audio=audio),
        "reader, shuffled": reader.batches(BATCH, **shuffled),
        "reader, shuffled, half videos": reader.batches(
            BATCH, half_videos=True, **shuffled
        ),
    }
    times = {name: [] for name in datasets}
    for _ in range(rounds):
        for name, dataset in datasets.items():
            times[name].append(take(dataset))
    return times


def wire(paths, count):
    """Prints the bytes of frames as they are given, beside those of floats."""
    (rgb, audio, _), _ = next(iter(videos(paths, count).batches(BATCH, audio=True)))
    size = rgb.numpy().nbytes + audio.numpy().nbytes
    floats = 4 * (rgb.numpy().size + audio.numpy().size)
    print(f"Frames of a batch: {size / 2**20:.1f} MiB, ×{size / floats:.2f} of float32")


def memory(path, count):
    """Peak memory in MiB, before and after a shuffled pass over a shard."""
    reader = videos([path], count)
    # What starting TensorFlow takes does not count.
    take(reader.batches(1, audio=True).take(1))
    before = peak()
    take(reader.batches(BATCH, audio=True, seed=[0, 0]))
    return before, peak(), reader.shuffled_records


def show_memory(folder, sizes=LARGE):
    """Prints the peak of shards of several sizes, each in another process."""
    context = multiprocessing.get_context("spawn")
    for count in sizes:
        (path,) = write(folder, ["train00"], count)
        with concurrent.futures.ProcessPoolExecutor(1, context) as process:
            before, most, drawn = process.submit(memory, path, count).result()
        print(
            f"Memory, a shard of {path.stat().st_size / 2**20:,.0f} MiB: "
            f"{most:,.0f} MiB, {before:,.0f} MiB before; drawn from {drawn} records"
        )
        wire([path], count)
        look_through(path)
        path.unlink()


def main():
    """All benchmarks."""
    with tempfile.TemporaryDirectory() as folder:
        speed(Path(folder, "speed"))
        show_memory(Path(folder, "memory"))


if __name__ == "__main__":
    main()
