"""Which devices train.

`one_device` is plain Keras. `mirrored` uses all GPUs of this machine, or takes a CPU
for several. `multi_worker` is one process a machine, of several that train together.
"""

import dataclasses
import functools
import os
import sys

import tensorflow as tf

from training.cluster import (
    DistributionError,
    check_port,
    read_tf_config,
    tf_config,
)
from training.keras_gaps import has_several_workers

STRATEGIES = ("one_device", "mirrored", "multi_worker")


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


def settings_from(options, recipe=None):
    """`Settings` from the options that `add_options` added.

    Args:
        options: What the parser gave.
        recipe: A recipe, whose `devices` count where no option is given.
    """
    devices = (recipe or {}).get("devices", {})
    workers = None if options.workers is None else tuple(options.workers.split(","))
    given = Settings(options.strategy, options.cpus, workers, options.index)
    return Settings(**devices) if given == Settings() else given


def make_strategy(settings):
    """The `tf.distribute` strategy of some `Settings`.

    To be called before any TensorFlow operation runs. Models, optimizers and metrics
    are made inside `strategy.scope()`.
    """
    kind = settings.strategy
    if kind is None:
        is_worker = settings.workers is not None or os.environ.get("TF_CONFIG")
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
    elif not os.environ.get("TF_CONFIG"):
        os.environ["TF_CONFIG"] = tf_config(*slurm_workers())
    addresses, index = read_tf_config(os.environ["TF_CONFIG"])
    check_port(addresses[index])
    if len(addresses) > 1:
        # TensorFlow waits without a word, and without an end.
        print(
            f"Worker {index} of {len(addresses)} waits for all others: "
            f"{', '.join(addresses)}",
            file=sys.stderr,
            flush=True,
        )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise DistributionError(
            "Workers can be joined only before TensorFlow runs its first operation. "
            f"Call `make_strategy` first in the program. ({error})"
        ) from error


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


def is_chief(strategy):
    """Whether this process is the one of all workers that writes files."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.task_id


def synchronize_batch_norm(model):
    """Makes a model's batch norms take the statistics of all replicas."""
    for layer in model._flatten_layers():
        if hasattr(layer, "synchronized"):
            layer.synchronized = True


def wait_for_all(strategy):
    """Returns once all workers have called it; at once where there is one."""
    if has_several_workers(strategy):
        here = strategy.run(lambda: tf.constant(1.0))
        strategy.reduce(tf.distribute.ReduceOp.SUM, here, axis=None).numpy()
