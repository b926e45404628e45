"""What products cost: a few numbers that `cvzoo bench --calibrate` measures.

A product's time is a constant and what the machine must read or multiply:

- dense, `rows × columns` and a batch: the larger of reading the matrix and of
  multiplying;
- sparse, of some non-zeros: for each, finding its place, and for each example more;
- by Fourier transforms over n points: `n log₂ n` for each example.
"""

import dataclasses
import json
import math
import os
import statistics
import time

import numpy as np

FILE = "costs.json"
# In a LiteRT file a circulant layer is a matrix up to so many numbers: 64 kB, and its
# transforms, of plain loops, would take longer.
LITERT_MATRIX = 2**14
_POINTS, _SIDE, _BATCH, _DENSITY = 4096, 2048, 64, 0.01


@dataclasses.dataclass(frozen=True)
class Costs:
    """Microseconds, as measured on 2 cores of an AMD EPYC with AVX-512.

    Attributes:
        call: Of any product.
        read: A number of a matrix that is read.
        multiply: A product and a sum.
        place: A non-zero of a sparse matrix.
        sparse_multiply: A product and a sum of one.
        transform_call: Of any product by transforms.
        point: `n log₂ n` of a transform's points.
    """

    call: float = 10.0
    read: float = 2.5e-4
    multiply: float = 1.2e-5
    place: float = 2e-3
    sparse_multiply: float = 5e-4
    transform_call: float = 60.0
    point: float = 1.5e-3

    def dense(self, rows, columns, batch):
        """Of a product of a batch with a matrix."""
        numbers = rows * columns
        return self.call + max(self.read, self.multiply * batch) * numbers

    def sparse(self, nonzeros, batch):
        """Of one with a matrix that has so many numbers that are not zero."""
        return self.call + (self.place + self.sparse_multiply * batch) * nonzeros

    def transform(self, points, batch):
        """Of one with a circulant matrix of a size."""
        return self.transform_call + self.point * batch * points * math.log2(points + 1)


def path():
    """Where measured costs are kept: in the folder of downloads."""
    from cvzoo.downloads import environment

    return environment.cache_home() / FILE


def load():
    """The costs that were measured on this machine, or else those above."""
    try:
        return Costs(**json.loads(path().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Costs()


def save(table):
    """Keeps measured costs for later exports."""
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_suffix(f".{os.getpid()}.part")
    aside.write_text(json.dumps(dataclasses.asdict(table), indent=1), encoding="utf-8")
    os.replace(aside, file)
    return file


def measure():
    """`Costs` of this machine, by a few products; some seconds."""
    import tensorflow as tf

    generator = np.random.default_rng(0)
    side = _SIDE

    def inputs(batch, size):
        return tf.constant(generator.random((batch, size), np.float32))

    def dense(size):
        matrix = tf.Variable(generator.random((size, size), np.float32))
        return lambda x: tf.matmul(x, matrix)

    mask = generator.random((side, side)) < _DENSITY
    places = tf.constant(np.argwhere(mask))
    values = tf.Variable(generator.random(int(mask.sum()), np.float32))

    def sparse(x):
        matrix = tf.SparseTensor(places, values, (side, side))
        return tf.sparse.sparse_dense_matmul(matrix, x, adjoint_b=True)

    def transform(size):
        kernel = tf.Variable(generator.random(size, np.float32))
        spectrum = tf.Variable(tf.signal.rfft(kernel))
        return lambda x: tf.signal.irfft(tf.signal.rfft(x) * spectrum, [size])

    small = _time(dense(4), inputs(1, 4))
    one, many = (_time(dense(side), inputs(n, side)) for n in (1, _BATCH))
    sparse_one, sparse_many = (_time(sparse, inputs(n, side)) for n in (1, _BATCH))
    short = _time(transform(8), inputs(1, 8))
    long = _time(transform(_POINTS), inputs(_BATCH, _POINTS))
    nonzeros = len(places)
    per_product = max(sparse_many - sparse_one, 0) / ((_BATCH - 1) * nonzeros)
    return Costs(
        call=small,
        read=max(one - small, 0) / side**2,
        multiply=max(many - small, 0) / (_BATCH * side**2),
        place=max((sparse_one - small) / nonzeros - per_product, 0),
        sparse_multiply=per_product,
        transform_call=short,
        point=max(long - short, 0) / (_BATCH * _POINTS * math.log2(_POINTS + 1)),
    )


def _time(function, inputs, rounds=21, calls=5):
    """Median microseconds of a call of a compiled function."""
    import tensorflow as tf

    compiled = tf.function(function, autograph=False).get_concrete_function(inputs)
    compiled(inputs)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            compiled(inputs)
        times.append(1e6 * (time.perf_counter() - start) / calls)
    return statistics.median(times)
