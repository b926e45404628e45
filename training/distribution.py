"""Which devices train, and each one's share of every batch.

`one_device` is plain Keras. `mirrored` uses all GPUs of this machine, or takes a CPU
for several. `multi_worker` is one process a machine, of several that train together.
"""

import dataclasses
import functools
import json
import os
import socket

import keras
import tensorflow as tf

STRATEGIES = ("one_device", "mirrored", "multi_worker")
_ALL = 2**31  # A batch of all there is.
_EXAMPLE = (
    '{"cluster": {"worker": ["host1:12345", "host2:12345"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


class DistributionError(ValueError):
    """Devices, workers or batches that do not go together."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where to train.

    Attributes:
        strategy: One of `STRATEGIES`. By default `multi_worker` where the variable
            `TF_CONFIG` is set, otherwise `one_device`.
        cpus: Number of replicas that `mirrored` makes of the CPU, `None` for GPUs.
        workers: Addresses `"host:port"` of all workers, in the same order on each, for
            `multi_worker`; `None` to find them in `TF_CONFIG`, or else from Slurm.
        index: Which of the workers this process is, from 0.
    """

    strategy: str | None = None
    cpus: int | None = None
    workers: tuple | None = None
    index: int | None = None


def add_options(parser):
    """Adds a group to an `argparse` parser; `settings_from` reads it."""
    group = parser.add_argument_group("devices")
    group.add_argument(
        "--strategy",
        choices=STRATEGIES,
        help="default: multi_worker where TF_CONFIG is set, otherwise one_device",
    )
    group.add_argument(
        "--cpus", type=int, metavar="N", help="mirrored: N replicas on the CPU"
    )
    group.add_argument(
        "--workers", metavar="HOST:PORT,…", help="multi_worker: all of them, in order"
    )
    group.add_argument(
        "--index", type=int, metavar="I", help="multi_worker: which one this is, from 0"
    )


def settings_from(options):
    """`Settings` from the options that `add_options` added."""
    workers = None if options.workers is None else tuple(options.workers.split(","))
    return Settings(options.strategy, options.cpus, workers, options.index)


def make_strategy(settings):
    """The `tf.distribute` strategy of some `Settings`.

    To be called before any TensorFlow operation runs. Models, optimizers and metrics
    are made inside `strategy.scope()`.
    """
    kind = settings.strategy
    if kind is None:
        is_worker = settings.workers is not None or "TF_CONFIG" in os.environ
        kind = "multi_worker" if is_worker else "one_device"
    if kind not in STRATEGIES:
        raise DistributionError(
            f"`strategy` must be one of {', '.join(STRATEGIES)}. Received: {kind!r}"
        )
    _check_applies("cpus", settings.cpus, "mirrored", kind)
    _check_applies("workers", settings.workers, "multi_worker", kind)
    _check_applies("index", settings.index, "multi_worker", kind)
    if kind == "mirrored":
        return mirrored(settings.cpus)
    if kind == "multi_worker":
        return multi_worker(settings.workers, settings.index)
    return tf.distribute.get_strategy()


def _check_applies(name, value, owner, kind):
    if value is not None and kind != owner:
        raise DistributionError(
            f"`{name}` belongs to the strategy {owner}. Received: {name}={value!r} "
            f"with {kind}. Leave it out, or choose {owner}."
        )


@functools.cache
def mirrored(cpus=None):
    """One replica for each GPU, or several on the CPU.

    The same numbers always give the same object: another strategy would number its
    collective operations from the start again, and TensorFlow takes them for the
    first one's.
    """
    if cpus is None:
        return tf.distribute.MirroredStrategy()
    if cpus < 1:
        raise DistributionError(f"`cpus` must be positive. Received: {cpus}")
    device = tf.config.list_physical_devices("CPU")[0]
    if tf.config.get_logical_device_configuration(device) is None:
        parts = [tf.config.LogicalDeviceConfiguration()] * cpus
        try:
            tf.config.set_logical_device_configuration(device, parts)
        except RuntimeError as error:
            raise DistributionError(
                "The CPU can be divided only before TensorFlow runs its first "
                "operation. Call `make_strategy` first in the program."
            ) from error
    found = len(tf.config.list_logical_devices("CPU"))
    if found < cpus:
        raise DistributionError(
            f"This process has its CPU divided into {found} already. Received: "
            f"cpus={cpus}. Ask for as many or fewer, or start another process."
        )
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(cpus)])


def multi_worker(workers=None, index=None):
    """One of several processes that train together.

    Args:
        workers: Addresses `"host:port"` of all, in the same order on each; then
            `TF_CONFIG` is written here. `None` to find them in `TF_CONFIG`, or else
            from the variables that Slurm's `srun` sets.
        index: Which of `workers` this process is.
    """
    if workers is not None:
        if index is None:
            raise DistributionError(
                "`workers` needs `index`: which of them this process is, from 0."
            )
        os.environ["TF_CONFIG"] = tf_config(workers, index)
    elif index is not None:
        raise DistributionError("`index` needs `workers`, the addresses of all.")
    elif "TF_CONFIG" not in os.environ:
        os.environ["TF_CONFIG"] = tf_config(*slurm_workers())
    addresses, index = read_tf_config(os.environ["TF_CONFIG"])
    check_port(addresses[index])
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise DistributionError(
            "Workers can be joined only before TensorFlow runs its first operation. "
            f"Call `make_strategy` first in the program. ({error})"
        ) from error


def tf_config(workers, index):
    """The value of `TF_CONFIG` for one of several workers."""
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": list(workers)}, "task": task})


def read_tf_config(text):
    """Addresses of all workers, and the index of this one, from `TF_CONFIG`."""
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        addresses, kind, index = cluster["worker"], task["type"], task["index"]
    except (ValueError, KeyError, TypeError) as error:
        raise _malformed(text, f"{type(error).__name__}: {error}") from error
    if list(cluster) != ["worker"] or kind != "worker":
        raise _malformed(text, "its only job must be 'worker'")
    if not isinstance(addresses, list) or not addresses:
        raise _malformed(text, "'worker' must list addresses")
    for address in addresses:
        if not _is_address(address):
            raise _malformed(text, f"{address!r} is no 'host:port'")
    if len(set(addresses)) < len(addresses):
        raise _malformed(text, "two workers have the same address")
    if not isinstance(index, int) or not 0 <= index < len(addresses):
        raise _malformed(text, f"'index' must be from 0 to {len(addresses) - 1}")
    return addresses, index


def _is_address(address):
    host, _, port = str(address).rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 65536


def _malformed(text, reason):
    return DistributionError(
        f"The addresses of workers cannot be read: {reason}. Expected in TF_CONFIG, "
        f"for example: {_EXAMPLE}. Received: {text}"
    )


def slurm_workers():
    """Addresses of all tasks of a Slurm step, and the index of this one."""
    # Graphics cards are Slurm's to hand out, by `--gpus-per-task`.
    try:
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=0, gpus_per_task=0, auto_set_gpu=False
        )
        # Not its `cluster_spec`, which sorts hosts by name: n10 would come before n2,
        # and Slurm's tasks are numbered the other way.
        tasks = resolver._resolve_task_configuration()
        index = resolver._resolve_own_rank()
    except RuntimeError as error:
        raise DistributionError(
            "multi_worker found no workers. Give `--workers host:port,… --index i`, "
            f"or set TF_CONFIG, or start with `srun`. ({error})"
        ) from error
    # The same on all tasks of a job, and most likely different from another job's.
    port = 10000 + int(os.environ.get("SLURM_JOB_ID", 0)) % 20000
    return [f"{host}:{port + i}" for host, n in tasks.items() for i in range(n)], index


def check_port(address):
    """Raises where a worker cannot listen at its own address."""
    port = int(address.rpartition(":")[2])
    with socket.socket() as probe:
        # As TensorFlow will: a port that was in use a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise DistributionError(
                f"This worker cannot listen at its address {address}: {error}. End "
                "the program that uses the port, or give all workers other ports."
            ) from error


def is_chief(strategy):
    """Whether this process is the one of all workers that writes files."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.task_id


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
    replicas = strategy.num_replicas_in_sync
    if batch_size < replicas:
        raise DistributionError(
            "A batch needs an example for each replica. Received: batch size "
            f"{batch_size}, {replicas} replicas. Make batches larger, or use fewer "
            "devices."
        )

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
