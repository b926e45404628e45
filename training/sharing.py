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


def evaluation_batches(batches, strategy):
    """Divides each batch among the replicas, for `evaluate`.

    Each example is counted once, with no weights, so that every metric is exact. The
    last two batches become one, so that no share is empty.

    Args:
        batches: `tf.data.Dataset` of known length.
        strategy: From `make_strategy`.

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
    kept = max(0, steps - 2)
    last = batches.skip(kept).unbatch().batch(_ALL)
    batches = batches.take(kept).concatenate(last)

    def share(replica, *batch):
        size = _size(batch)
        tf.debugging.assert_greater_equal(
            size, tf.cast(replicas, size.dtype), "fewer examples than replicas"
        )
        start, end = replica * size // replicas, (replica + 1) * size // replicas
        return _rows(batch, start, end)

    return _divided(batches, strategy, share), min(steps, kept + 1)


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

    Args:
        batches_of: Function of a batch size and `(index, count)` of workers that gives
            a worker's `tf.data.Dataset` of `(x, y)`: batches of that size, and as many
            as `fit` takes.
        strategy: From `make_strategy`.
        batch_size: Number of examples in a batch of all replicas together, which must
            have as many for each.

    Returns:
        What `fit` takes, with `steps_per_epoch`.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return batches_of(batch_size, (0, 1)).prefetch(2)
    if batch_size % replicas:
        raise DistributionError(
            "Batches of data that workers read from files of their own must have as "
            f"many examples for each replica. Received: batch size {batch_size}, "
            f"{replicas} replicas. Give `data.batch_size` as a multiple of {replicas}."
        )

    def shares(context):
        share = context.input_pipeline_id, context.num_input_pipelines
        # Each replica takes the next batch.
        batches = batches_of(batch_size // replicas, share)
        return batches.repeat().prefetch(2 * replicas // context.num_input_pipelines)

    return strategy.distribute_datasets_from_function(shares)


def files_of_worker(files, strategy):
    """The share of a worker of the files of a data set, equal to within one.

    Args:
        files: Names of all files; the same list on each worker.
        strategy: From `make_strategy`.
    """
    resolver = strategy.cluster_resolver
    addresses = (
        [None] if resolver is None else resolver.cluster_spec().job_tasks("worker")
    )
    if len(files) < len(addresses):
        raise DistributionError(
            "Each worker needs a file of its own. Received: "
            f"{len(files)} files, {len(addresses)} workers. Write the data set in more "
            "files, or use fewer workers."
        )
    index = 0 if resolver is None else resolver.task_id
    return sorted(files)[index :: len(addresses)]
