"""Each replica's share of every batch, and each worker's of the files of a data set."""

import keras
import tensorflow as tf

from training.cluster import DistributionError

_ALL = 2**31  # A batch of all there is.


def check_batch_size(batch_size, strategy):
    """Raises where a batch has too few examples for the replicas of a strategy."""
    replicas = strategy.num_replicas_in_sync
    if batch_size < replicas:
        raise DistributionError(
            "A batch needs an example for each replica. Received: batch size "
            f"{batch_size}, {replicas} replicas. Make batches larger, or use fewer "
            "devices."
        )


def training_batches(batches, strategy, batch_size):
    """Divides each batch among the replicas, for `fit`.

    Every worker makes the same batches, in the same order, and takes its share of
    each: together the replicas see what one device would. Shares of a batch differ by
    at most one example, and sample weights make the mean over the batch exact. Where a
    last batch has fewer examples than there are replicas, a share that would be empty
    is one example of weight 0.

    Args:
        batches: `tf.data.Dataset` of `(x, y)` or `(x, y, sample_weight)`: those of all
            epochs, one after another, as `fit` with `steps_per_epoch` wants them.
        strategy: From `make_strategy`.
        batch_size: Number of examples in a batch of all replicas together.

    Returns:
        What `fit` takes, with `steps_per_epoch`; it begins again after its end. For
        one replica, the dataset as it is.
    """
    check_batch_size(batch_size, strategy)
    replicas = strategy.num_replicas_in_sync

    def share(replica, x, y, sample_weight=None):
        size = _size(x)
        start, end = replica * size // replicas, (replica + 1) * size // replicas
        # Keras takes the mean of each share, then that of the shares.
        weight = tf.cast(replicas * (end - start) / size, keras.config.floatx())
        end = tf.maximum(end, start + 1)
        weights = tf.fill([end - start], weight)
        if sample_weight is not None:
            weights *= tf.cast(sample_weight[start:end], weights.dtype)
        return *_rows((x, y), start, end), weights

    return _divided(batches, strategy, share)


def evaluation_batches(batches, strategy, joined=True):
    """Divides each batch among the replicas, for `evaluate`.

    Each example is counted once, with no weights, so that every metric is exact.

    Args:
        batches: `tf.data.Dataset` of known length.
        strategy: From `make_strategy`.
        joined: Whether the last two batches become one, so that no share is empty.
            `False` where batches differ in shape; see `evaluation_size`.

    Returns:
        What `evaluate` takes as its data (for one replica, the dataset as it is), and
        as its `steps`.
    """
    replicas = strategy.num_replicas_in_sync
    steps = int(batches.cardinality())
    if steps < 0:
        raise DistributionError(
            "Evaluation needs a dataset of known length: see "
            "`tf.data.experimental.assert_cardinality`."
        )
    if replicas == 1:
        return batches, steps
    if joined:
        kept = max(0, steps - 2)
        last = batches.skip(kept).unbatch().batch(_ALL)
        batches = batches.take(kept).concatenate(last)
        steps = min(steps, kept + 1)

    def share(replica, *batch):
        size = _size(batch)
        tf.debugging.assert_greater_equal(
            size, tf.cast(replicas, size.dtype), "fewer examples than replicas"
        )
        start, end = replica * size // replicas, (replica + 1) * size // replicas
        return _rows(batch, start, end)

    return _divided(batches, strategy, share), steps


def evaluation_size(count, largest, strategy):
    """A size of batches whose last one has an example for each replica.

    Args:
        count: Number of examples.
        largest: Of a batch, at most.
        strategy: From `make_strategy`.
    """
    replicas = strategy.num_replicas_in_sync
    for size in range(min(largest, count), replicas - 1, -1):
        if not 0 < count % size < replicas:
            return size
    raise DistributionError(
        f"{count} examples in batches of at most {largest} cannot be shared out among "
        f"{replicas} replicas. Use fewer devices."
    )


def _size(batch):
    return tf.shape(keras.tree.flatten(batch)[0], tf.int64)[0]


def _rows(batch, start, end):
    return keras.tree.map_structure(lambda part: part[start:end], batch)


def _divided(batches, strategy, share):
    """The dataset of a strategy, from the share of a replica of a batch."""
    if strategy.num_replicas_in_sync == 1:
        return batches

    def shares(context):
        local = context.num_replicas_in_sync // context.num_input_pipelines
        first = context.input_pipeline_id * local
        replicas = tf.data.Dataset.range(first, first + local)
        mine = batches.flat_map(
            lambda *batch: replicas.map(lambda replica: share(replica, *batch))
        )
        # Without end: else workers ask each other before each step whether all have
        # another batch.
        return mine.repeat().prefetch(2 * local)

    # Not `experimental_distribute_dataset`: what it makes of a last, small batch
    # depends on its shard policy, and may be an empty share.
    return strategy.distribute_datasets_from_function(shares)


def shards_batches(batches_of, strategy, batch_size):
    """Batches of a data set in files, of which each worker reads its own, for `fit`.

    One worker's batches are divided as by `training_batches`, so that its replicas
    together see what one device would.

    Args:
        batches_of: Function of a batch size and `(index, count)` of workers that gives
            a worker's `tf.data.Dataset` of `(x, y)`, those of all epochs, one after
            another. Of several workers, all batches must be of that size.
        strategy: From `make_strategy`.
        batch_size: Number of examples in a batch of all replicas together; of several
            workers, as many for each replica.

    Returns:
        What `fit` takes, with `steps_per_epoch`.
    """
    workers = worker_count(strategy)
    if workers == 1:
        batches = batches_of(batch_size, (0, 1))
        shares = training_batches(batches, strategy, batch_size)
        return shares if shares is not batches else batches.prefetch(2)
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise DistributionError(
            "Batches of data that workers read from files of their own must have as "
            f"many examples for each replica. Received: batch size {batch_size}, "
            f"{replicas} replicas. Give `data.batch_size` as a multiple of {replicas}."
        )

    def shares(context):
        local = context.num_replicas_in_sync // context.num_input_pipelines
        share = context.input_pipeline_id, context.num_input_pipelines
        batches = batches_of(batch_size // workers, share)
        mine = batches.flat_map(
            lambda *batch: tf.data.Dataset.range(local).map(
                lambda replica: _part(replica, local, batch)
            )
        )
        return mine.repeat().prefetch(2 * local)

    return strategy.distribute_datasets_from_function(shares)


def _part(replica, replicas, batch):
    """A replica's rows of a batch, as many as others'."""
    size = _size(batch) // replicas
    return _rows(batch, replica * size, (replica + 1) * size)


def worker_count(strategy):
    """Number of workers that train together."""
    resolver = strategy.cluster_resolver
    if resolver is None:
        return 1
    return len(resolver.cluster_spec().job_tasks("worker")) or 1
