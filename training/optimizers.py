"""Adam in one pass over memory."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("cvzoo_training")
class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam, its step by TensorFlow's kernel of the same formula.

    Keras goes through memory a dozen times for each step, which took a quarter of the
    time of networks of millions of weights at small batches. For one device; all
    arguments are those of `keras.optimizers.Adam`, but `amsgrad`, which it lacks.
    """

    def __init__(self, *args, amsgrad=False, **kwargs):
        if amsgrad:
            raise ValueError(
                "`FusedAdam` has no `amsgrad`. Use `keras.optimizers.Adam` for it."
            )
        super().__init__(*args, **kwargs)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        step = keras.ops.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=keras.ops.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(tf.convert_to_tensor(gradient), variable.dtype),
        )


def _handle(variable):
    """Where TensorFlow keeps a variable of its own, or of Keras."""
    if not isinstance(variable, tf.Variable):
        variable = variable.value
    return variable.handle
