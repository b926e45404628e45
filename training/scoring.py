"""A metric of all scores of a data set, which replicas and workers share out."""

import numpy as np
import tensorflow as tf

from training.keras_gaps import has_several_workers

# Of arrays that can be sent: a number says which one it is.
_DTYPES = [
    np.dtype(name)
    for name in ("float32", "float64", "int64", "uint64", "int32", "uint8", "bool")
]


class Scoring:
    """Adds a model's scores of a data set to a metric: each replica scores its share.

    It is the `accumulate` of `cvzoo.PooledAveragePrecisionEvaluation` under
    `tf.distribute`. All workers must call it at the same place of the program; then
    each has the scores of all, and so the same value, bit by bit.

    Args:
        strategy: From `distribution.make_strategy`.
    """

    def __init__(self, strategy):
        self.strategy = strategy
        self._model = self._step = None

    def __call__(self, metric, model, data):
        """Adds the scores.

        Args:
            metric: `cvzoo.PooledAveragePrecision`, `cvzoo.GlobalAveragePrecision` or
                one like them, or a tuple of some.
            model: A Keras model of one output.
            data: Batches and how many there are, from `sharing.evaluation_batches`.
        """
        batches, steps = data
        metrics = metric if isinstance(metric, tuple) else (metric,)
        if self._model is not model:  # Traced once, and not each epoch.
            self._model = model
            self._step = self._step_of(model, batches.element_spec)
        batches = iter(batches)
        for _ in range(steps):
            for labels, scores in self._step(next(batches)):
                for each in metrics:
                    each.update_state(labels.numpy(), scores.numpy())
        for each in metrics:
            gather(each, self.strategy)

    def _step_of(self, model, batch_spec):
        def score(inputs, labels):
            return labels, model(inputs, training=False)

        @tf.function(input_signature=[batch_spec])
        def step(batch):
            labels, scores = self.strategy.run(score, batch)
            local = self.strategy.experimental_local_results
            return list(zip(local(labels), local(scores), strict=True))

        return step


def gather(metric, strategy):
    """Gives the metric of each worker what those of all have kept.

    All workers must call it at the same place of the program.

    Args:
        metric: `cvzoo.PooledAveragePrecision`, `cvzoo.GlobalAveragePrecision` or one
            like them, of the same arguments on each worker: the arrays of several
            `get_state`, one after another, are a state that `set_state` takes.
        strategy: From `distribution.make_strategy`.

    Raises:
        ValueError: The rows of workers have different sizes, as with other classes;
            on each of them.
    """
    if not has_several_workers(strategy):
        return
    local, state = _local_replicas(strategy), metric.get_state()
    shares = {name: np.array_split(array, local) for name, array in state.items()}
    forms = [
        np.array([[_form(own[replica]) for own in shares.values()]], np.int64)
        for replica in range(local)
    ]
    # Of each replica and array; then all workers know which of them raises.
    lengths, widths, dtypes = np.moveaxis(_gather(forms, strategy), -1, 0)
    _check_widths(list(shares), lengths, widths)
    metric.set_state(
        {
            name: _gather_rows(
                own, lengths[:, place], widths[:, place], dtypes[:, place], strategy
            )
            for place, (name, own) in enumerate(shares.items())
        }
    )


def _form(array):
    """Number of rows, size of one (-1: a single number), and type."""
    width = -1 if array.ndim == 1 else array.shape[1]
    return len(array), width, _DTYPES.index(array.dtype)


def _check_widths(names, lengths, widths):
    for place, name in enumerate(names):
        found = sorted({*widths[lengths[:, place] > 0, place].tolist()})
        if len(found) > 1:
            raise ValueError(
                "All workers must have the same classes. Received: rows of "
                f"{' and '.join(map(str, found))} {name}."
            )


def _gather_rows(shares, lengths, widths, dtypes, strategy):
    """All workers' rows of an array, of which `shares` are this one's."""
    if not lengths.any():
        return np.concatenate(shares)
    # A worker without rows may not know how wide they are. `gather` wants one type on
    # all workers; float64 changes no float32, and int64 has all bits of uint64.
    size = () if widths.max() < 0 else (widths.max(),)
    dtype = np.result_type(*(_DTYPES[one] for one in dtypes))
    sent = dtype if dtype.kind == "f" else np.dtype(np.int64)
    # One row that does not count for each replica: TensorFlow 2.21 crashes where a
    # share is empty.
    padding = np.zeros((1, *size), sent)
    padded = [
        np.concatenate([share.reshape(-1, *size).astype(sent), padding])
        if len(share)
        else padding
        for share in shares
    ]
    rows = _gather(padded, strategy)
    return np.delete(rows, np.cumsum(lengths + 1) - 1, axis=0).astype(dtype)


def _local_replicas(strategy):
    return len(strategy.extended.worker_devices)


def _gather(shares, strategy):
    """All workers' arrays, one after another; each replica sends a share of its own."""
    mine = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(
            shares[context.replica_id_in_sync_group % len(shares)]
        )
    )
    # Each `gather` is traced anew, of which TensorFlow would warn each time.
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        return strategy.gather(mine, axis=0).numpy()
    finally:
        logger.setLevel(level)
