"""Callbacks for `fit`."""

import keras
from keras import ops as kops

from cvzoo.sparsity import sparse_layers


class KLWarmUp(keras.callbacks.Callback):
    """Weakens the divergence in the first epochs of a sparsified model's training.

    Each step scales `penalty_scale` of all layers, nested models included. It is a
    variable, so nothing is traced again. Between steps it has its full value, so that
    checkpoints, the end of training and an exception in a step leave no trace.

    Args:
        epochs: Length of the warm-up, a positive number.
        shape: `"linear"`: from 0 to the full value, step by step (with JAX, or where
            the number of steps is unknown, epoch by epoch). `"constant"`: 0 all the
            while, then the full value.

    Raises:
        ValueError: Impossible arguments; at the start of training, a model whose
            layers have no divergence.
    """

    def __init__(self, epochs, shape="linear"):
        super().__init__()
        if not epochs > 0:
            raise ValueError(f"`epochs` must be positive. Received: epochs={epochs}")
        if shape not in ("linear", "constant"):
            raise ValueError(
                f"`shape` must be 'linear' or 'constant'. Received: shape={shape!r}"
            )
        self.epochs, self.shape = epochs, shape

    def on_train_begin(self, logs=None):
        scales = [
            layer.penalty_scale
            for layer in sparse_layers(self.model)
            if hasattr(layer, "penalty_scale")
        ]
        if not scales:
            raise ValueError(
                "KLWarmUp needs a model whose layers have a divergence. Received "
                f"'{self.model.name}', which has none. Make one with `cvzoo.sparsify("
                "model, cvzoo.VariationalDropout(...), n_train)`."
            )
        self._full = [(scale, kops.convert_to_numpy(scale)) for scale in scales]
        self._epoch, self._is_scaled = 0, False
        # `fit` tells callbacks nothing of an exception.
        self._step = step = self.model.train_function

        def guarded_step(*arguments):
            try:
                return step(*arguments)
            except BaseException:
                self.on_train_end()
                raise

        self.model.train_function = guarded_step

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        progress = self._epoch / self.epochs
        if progress < 1 and self.shape == "linear":
            steps = self.params.get("steps")
            progress += batch / (steps * self.epochs) if steps else 0
        if progress < 1:
            self._scale(progress if self.shape == "linear" else 0.0)

    def on_train_batch_end(self, batch, logs=None):
        if self._is_scaled:
            self._scale(1.0)

    def on_epoch_end(self, epoch, logs=None):
        # JAX keeps variables apart in an epoch, and writes them back at its end.
        self._scale(1.0)

    def on_train_end(self, logs=None):
        self._scale(1.0)
        self.model.train_function = self._step

    def _scale(self, factor):
        self._is_scaled = factor != 1.0
        for scale, full in self._full:
            scale.assign(factor * full)
