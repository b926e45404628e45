"""The sparsify stage: a training step, the divergence, and predictions after it."""

import keras
import tensorflow as tf

import cvzoo
from cvzoo import layers, ops
from tests.benchmarks.timing import show


def training_step(sparsifier):
    """A training step of one complex layer, 784 → 4096, batch 128, Adam included."""
    inputs = keras.Input((784, 2))
    z = layers.ToComplex("trailing")(inputs)
    z = layers.ComplexDense(4096, sparsifier=sparsifier)(z)
    model = keras.Model(inputs, layers.FromComplex("real")(z))
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    signal, target = tf.random.normal((128, 784, 2)), tf.random.normal((128, 4096))
    return lambda: model.train_on_batch(signal, target)


def divergence_gradient(compiled):
    """Value and gradients of the exact complex divergence of 784×4096 weights."""
    kernel = tuple(tf.Variable(tf.random.normal((784, 4096))) for _ in range(2))
    log_sigma2 = tf.Variable(tf.fill((784, 4096), -10.0))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            if compiled:
                total = ops.summed_divergence(ops.VD_COMPLEX, kernel, log_sigma2)
            else:
                nu = -ops.log_alpha(kernel, log_sigma2)
                total = tf.reduce_sum(ops.divergence_per_weight(ops.VD_COMPLEX, nu))
        return total, tape.gradient(total, [log_sigma2, *kernel])

    return lambda: step()[0].numpy()


def prediction(name):
    """One image through a shipped preset, and through its uncompressed network."""
    model = cvzoo.from_preset(name, compile=False, masked=False)
    dense = cvzoo.create_model(
        "two_layer_dense", field="complex", units=512, input_shape=(8, 8, 1)
    )
    image = tf.random.uniform((1, 8, 8, 1))
    run = {key: tf.function(value) for key, value in (("d", dense), ("c", model))}
    return {
        "uncompressed": lambda: run["d"](image).numpy(),
        name: lambda: run["c"](image).numpy(),
    }


def main():
    """All benchmarks."""
    n = 60_000
    show(
        "Training step of ComplexDense 784 → 4096, batch 128",
        {
            "deterministic": training_step(None),
            "VariationalDropout": training_step(cvzoo.VariationalDropout(1.0, n)),
            "ARD": training_step(cvzoo.ARD(1.0, n)),
        },
        bound="×2.5",
    )
    show(
        "Divergence of 3.2 million complex weights, with gradients",
        {
            "one compiled pass": divergence_gradient(compiled=True),
            "operation by operation": divergence_gradient(compiled=False),
        },
    )
    for row in cvzoo.list_presets():
        show("One image", prediction(row.name))
