"""Training and validation data in the forms that `fit` takes, and their numbers."""

import math
import numbers

import keras
import numpy as np


class Data:
    """Training and validation data as `fit` and `evaluate` take them.

    Attributes:
        n_train: Number of training examples; of a dataset of batches, rounded up to
            whole batches.
        steps_per_epoch: Number of batches.
    """

    def __init__(self, train, validation, batch_size=None, n_train=None):
        for name, value in (("n_train", n_train), ("batch_size", batch_size)):
            if value is not None and not is_whole(value, 1):
                raise ValueError(
                    f"`{name}` must be positive, a whole number. Received: {value!r}"
                )
        self._train = _as_arguments(train, batch_size)
        self._validation = _as_arguments(validation, batch_size)
        batches = _count_batches(train, "training")
        _count_batches(validation, "validation")
        if isinstance(train, tuple):
            examples = len(keras.tree.flatten(train[0])[0])
            self.n_train = n_train or examples
            self.steps_per_epoch = math.ceil(examples / (batch_size or 32))  # of `fit`
        else:
            self._count_examples(train, batches, n_train)

    def _count_examples(self, train, batches, n_train):
        if batches < 0 and n_train is None:
            raise ValueError(
                "The number of training examples cannot be counted: the dataset does "
                "not know how many batches it has. Give it as `n_train`."
            )
        first = next(iter(train), None)
        if first is None:
            raise ValueError(
                "The training data must have at least one batch. Received an empty "
                f"dataset: {train!r}"
            )
        size = int(keras.tree.flatten(first)[0].shape[0])
        self.n_train = n_train or batches * size
        self.steps_per_epoch = batches if batches > 0 else math.ceil(n_train / size)

    def fit(self, model, epochs, callbacks):
        """Trains a model without a word."""
        # Keras warns where it is told to shuffle what comes in an order of its own.
        shuffle = "cardinality" not in dir(self._train["x"])
        model.fit(
            **self._train,
            epochs=epochs,
            callbacks=callbacks,
            shuffle=shuffle,
            verbose=0,
        )

    def evaluate(self, model):
        """Name of each metric that is one number → its value on the validation data.

        In the order in which they were compiled, the loss first.
        """
        scores = model.evaluate(**self._validation, return_dict=True, verbose=0)
        # `evaluate` sorts by name; this is the order in which they were compiled.
        names = model.get_metrics_result()
        return {
            name: float(scores[name]) for name in names if not np.ndim(scores[name])
        }


def is_whole(value, least):
    """Whether a value is a whole number, and at least `least`."""
    return isinstance(value, numbers.Integral) and value >= least


def _as_arguments(data, batch_size):
    is_tuple = isinstance(data, tuple)
    if not (len(data) in (2, 3) if is_tuple else _is_dataset(data)):
        kind = f"tuple of {len(data)}" if is_tuple else type(data).__name__
        raise ValueError(
            "Data must be a `tf.data.Dataset` or `PyDataset` of batches, or a tuple "
            f"`(x, y)` or `(x, y, sample_weight)` of arrays. Received a {kind}. A "
            "generator is used up after one epoch: put it into "
            "`tf.data.Dataset.from_generator`."
        )
    if not is_tuple:
        return {"x": data}
    names = ("x", "y", "sample_weight")
    return {**dict(zip(names, data, strict=False)), "batch_size": batch_size}


def _is_dataset(data):
    # By its methods, so that TensorFlow need not be imported.
    return hasattr(data, "cardinality") or isinstance(data, keras.utils.PyDataset)


def _count_batches(data, kind):
    """Number of batches of an epoch; below 0 where it is not known."""
    if isinstance(data, tuple):
        return -2
    if hasattr(data, "cardinality"):
        batches = int(data.cardinality())
    else:
        batches = -1 if data.num_batches is None else data.num_batches
    if batches == -1:
        raise ValueError(
            f"The {kind} data are without end. Give an epoch of them, for example "
            "`dataset.take(steps)`."
        )
    return batches
