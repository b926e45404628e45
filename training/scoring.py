"""A metric of all scores of a data set, which replicas and workers share out."""

import numpy as np
import tensorflow as tf

from training.keras_gaps import has_several_workers


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
            metric: `cvzoo.PooledAveragePrecision`, or a tuple of them.
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
    """Gives the metric of each worker the scores of all.

    All workers must call it at the same place of the program.

    Args:
        metric: `cvzoo.PooledAveragePrecision`, of the same classes on each worker.
        strategy: From `distribution.make_strategy`.
    """
    if not has_several_workers(strategy):
        return
    state = metric.get_state()
    positives, negatives = state["positives"], state["negatives"]
    # One that does not count for each replica: TensorFlow 2.21 crashes where a share
    # is empty.
    padding = np.zeros(_local_replicas(strategy), np.float32)
    scores = np.concatenate([positives, negatives, padding])
    labels = np.repeat([1, 0, 2], [len(positives), len(negatives), len(padding)])
    # `gather` wants one type on all workers; float64 changes no score.
    widths = _gather(np.full(len(padding), scores.itemsize), strategy)
    dtype = np.float64 if np.any(widths == 8) else np.float32
    scores = _gather(scores.astype(dtype), strategy)
    labels = _gather(labels.astype(dtype), strategy)
    metric.set_state(
        {"positives": scores[labels == 1], "negatives": scores[labels == 0]}
    )


def _local_replicas(strategy):
    return len(strategy.extended.worker_devices)


def _gather(array, strategy):
    """All workers' arrays, one after another; each replica sends a share of its own."""
    local = _local_replicas(strategy)
    shares = np.array_split(array, local)
    mine = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(shares[context.replica_id_in_sync_group % local])
    )
    # Each `gather` is traced anew, of which TensorFlow would warn each time.
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        return strategy.gather(mine, axis=0).numpy()
    finally:
        logger.setLevel(level)
