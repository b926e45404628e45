"""What Keras lacks for training on several replicas of `tf.distribute`.

Parts of Keras that are not public are replaced here, so it works with the versions
that it was tested with, and no others. `tests/training/test_keras_gaps.py` fails for
each part that Keras no longer needs.
"""

import contextlib
from unittest import mock

import keras
import tensorflow as tf

TESTED = ("3.15.1",)


class KerasVersionError(RuntimeError):
    """A version of Keras whose inner parts were not looked at."""


def check_version():
    """Raises unless this version of Keras was tested."""
    if keras.__version__ not in TESTED:
        raise KerasVersionError(
            "Training on several devices replaces inner parts of Keras, tested with "
            f"Keras {', '.join(TESTED)}. Found: Keras {keras.__version__}. Install a "
            f"tested version, `pip install keras=={TESTED[-1]}`, or run `pytest "
            "tests/training/test_keras_gaps.py tests/training/test_distribution.py`: "
            "if all pass, add yours to `TESTED` in training/keras_gaps.py."
        )


@keras.saving.register_keras_serializable("cvzoo_training", name="Adam")
class Adam(keras.optimizers.Adam):
    """Adam that clips the sum of all replicas' gradients.

    Keras clips each replica's own before it sums them: with `global_clipnorm` two
    replicas then learn something else than one device does. All arguments are those
    of `keras.optimizers.Adam`.
    """

    def __init__(self, *args, **kwargs):
        check_version()
        super().__init__(*args, **kwargs)

    def _clip_gradients(self, grads):
        return grads  # Later, once they are summed.

    def _all_reduce_sum_gradients(self, grads_and_vars):
        reduced = super()._all_reduce_sum_gradients(grads_and_vars)
        grads, variables = zip(*reduced, strict=True)
        clipped = super()._clip_gradients(list(grads))
        return list(zip(clipped, variables, strict=True))


@contextlib.contextmanager
def filled():
    """While it lasts, `fit` and `evaluate` work with uneven shares and several workers.

    Two things are replaced:

    - To build a model Keras takes the mean of the replicas' first batches, which fails
      unless they have equal shapes, and on several workers. Here it takes one of them.
    - The logs of one step are meant to be averaged over all workers, which fails. Here
      they are those of one replica of each worker. What `fit` and `evaluate` give at
      the end of an epoch is read from the metrics' variables, summed over all
      replicas, and is exact.
    """
    check_version()
    # Not above: of another version it may not be there.
    from keras.src.backend.tensorflow import trainer

    reduce = trainer.reduce_per_replica

    def build(model, iterator=None, data_batch=None):
        if model._distribute_strategy is None:
            return
        if iterator is not None:
            _, _, batches = next(iter(iterator))
            data_batch = keras.tree.map_structure(first_local, next(batches))
        with model.distribute_strategy.scope():
            model._symbolic_build(data_batch=data_batch)

    def reduce_locally(values, strategy, reduction):
        if has_several_workers(strategy) and reduction in ("auto", "mean", "first"):
            return keras.tree.map_structure(first_local, values)
        return reduce(values, strategy, reduction)

    with (
        mock.patch.object(trainer.TensorFlowTrainer, "_maybe_symbolic_build", build),
        mock.patch.object(trainer, "reduce_per_replica", reduce_locally),
    ):
        yield


def filled_for(strategy):
    """`filled()`, or nothing on one device, where plain Keras does all."""
    if strategy.num_replicas_in_sync == 1 and not has_several_workers(strategy):
        return contextlib.nullcontext()
    return filled()


def first_local(value):
    """What the first replica of this process has."""
    if isinstance(value, tf.distribute.DistributedValues):
        return value.values[0]
    return value


def has_several_workers(strategy):
    """Whether several processes train together."""
    return strategy.extended._in_multi_worker_mode()
