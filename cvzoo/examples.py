"""Training and validation data in the forms that `fit` takes, and their numbers."""

import math

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
        if n_train is not None and n_train < 1:
            raise ValueError(f"`n_train` must be positive. Received: {n_train}")
        self._train = _as_arguments(train, batch_size)
        self._validation = _as_arguments(validation, batch_size)
        if isinstance(train, tuple):
            batch_size = batch_size or 32  # the default of `fit`
            self.n_train = n_train or len(keras.tree.flatten(train[0])[0])
            self.steps_per_epoch = math.ceil(self.n_train / batch_size)
        else:
            self._count_batches(train, n_train)

    def _count_batches(self, train, n_train):
        batches = int(train.cardinality() if hasattr(train, "cardinality") else -2)
        if batches < 0 and hasattr(train, "__getitem__"):
            batches = len(train)  # a PyDataset
        if batches == -1:
            raise ValueError(
                "The training data are without end. Give an epoch of them, for "
                "example `train.take(steps)`."
            )
        if batches < 0 and n_train is None:
            raise ValueError(
                "The number of training examples cannot be counted: the dataset does "
                "not know how many batches it has. Give it as `n_train`."
            )
        first = keras.tree.flatten(next(iter(train)))[0]
        size = int(first.shape[0])
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


def _as_arguments(data, batch_size):
    if not isinstance(data, tuple):
        return {"x": data}
    if len(data) not in (2, 3):
        raise ValueError(
            "Data must be a dataset of batches, or a tuple `(x, y)` or "
            f"`(x, y, sample_weight)`. Received a tuple of {len(data)}."
        )
    names = ("x", "y", "sample_weight")
    return {**dict(zip(names, data, strict=False)), "batch_size": batch_size}
