"""The sparsify stage: a training step, the divergence, and predictions after it.

Peers are measured in the same run when they are installed: `pip install ".[bench]"`.
"""

import importlib.util

import keras
import tensorflow as tf

import cvzoo
from cvzoo import layers, ops
from tests.benchmarks.timing import geometric_mean, layer_step, show

BATCH = 64
SHAPES = ((32, 64), (16, 128), (8, 256), (4, 512))
SIZES = ((784, 4096), (2048, 2048))


def training_step(inputs, units, sparsifier):
    """A training step of one complex layer, batch 128, Adam included."""
    signal = keras.Input((inputs, 2))
    z = layers.ToComplex("trailing")(signal)
    z = layers.ComplexDense(units, sparsifier=sparsifier)(z)
    model = keras.Model(signal, layers.FromComplex("real")(z))
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    x, y = tf.random.normal((128, inputs, 2)), tf.random.normal((128, units))
    return lambda: model.train_on_batch(x, y)


def peer_steps(inputs, units):
    """Name → the same step with variational dropout, of peers that are installed."""
    installed = [
        name
        for name in ("complextorch", "cplxmodule")
        if importlib.util.find_spec(name) is not None
    ]
    if not installed:
        return {}
    import torch

    torch.set_num_threads(tf.config.threading.get_intra_op_parallelism_threads() or 2)
    x, y = torch.randn((128, inputs, 2)), torch.randn((128, units))

    def run(layer, signal, named_penalties):
        adam = torch.optim.Adam(layer.parameters(), 1e-3)

        def once():
            adam.zero_grad()
            loss = torch.nn.functional.mse_loss(layer(signal).real, y)
            penalties = named_penalties(layer, reduction="sum")
            (loss + sum(one for _, one in penalties)).backward()
            adam.step()

        return once

    steps = {}
    if "complextorch" in installed:
        from complextorch.nn import relevance

        signal, layer = torch.view_as_complex(x), relevance.LinearVD(inputs, units)
        steps["complextorch LinearVD"] = run(layer, signal, relevance.named_penalties)
    if "cplxmodule" in installed:
        from cplxmodule import Cplx
        from cplxmodule.nn import relevance

        signal, layer = (
            Cplx(x[..., 0], x[..., 1]),
            relevance.CplxLinearVD(inputs, units),
        )
        steps["cplxmodule CplxLinearVD"] = run(layer, signal, relevance.named_penalties)
    return steps


def convolution_steps(size, channels):
    """Name → step of a complex convolution, and of its divergence alone."""
    shape = (BATCH, size, size, channels)
    pair = tf.random.normal(shape), tf.random.normal(shape)

    def layer(sparsifier=None):
        return layers.ComplexConv2D(channels, 3, padding="same", sparsifier=sparsifier)

    sparse = layer(cvzoo.VariationalDropout(1.0, 50_000))
    steps = {
        "deterministic": layer_step(layer(), pair, squared_error=True),
        "VariationalDropout": layer_step(sparse, pair, squared_error=True),
    }

    @tf.function
    def divergence():
        with tf.GradientTape() as tape:
            penalty = sparse.sparsifier.penalty(sparse)
        values = [v.value for v in (sparse.log_sigma2, *sparse.kernel_parts)]
        return [tf.reduce_sum(one) for one in tape.gradient(penalty, values)]

    return {
        **steps,
        "divergence and its gradient": lambda: [one.numpy() for one in divergence()],
    }


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
    n = 60_000  # training examples; a peer's divergence is not divided by them
    for inputs, units in SIZES:
        show(
            f"Training step of ComplexDense {inputs} → {units}, batch 128",
            {
                "deterministic": training_step(inputs, units, None),
                "VariationalDropout": training_step(
                    inputs, units, cvzoo.VariationalDropout(1.0, n)
                ),
                "ARD": training_step(inputs, units, cvzoo.ARD(1.0, n)),
                **peer_steps(inputs, units),
            },
            bound="×2.0",
        )
    ratios = {}
    for size, channels in SHAPES:
        steps = convolution_steps(size, channels)
        title = f"Training step, 3×3, {size}×{size}, {channels} channels, batch {BATCH}"
        medians = show(title, steps)
        plain = medians.pop("deterministic")
        for name, median in medians.items():
            ratios.setdefault(name, []).append(median / plain)
    print("ComplexConv2D over deterministic, geometric mean (bounds ×1.5, ×0.05)")
    for name, values in ratios.items():
        print(f"  {name:42} ×{geometric_mean(values):.3f}")
    show(
        "Divergence of 3.2 million complex weights, with gradients",
        {
            "one compiled pass": divergence_gradient(compiled=True),
            "operation by operation": divergence_gradient(compiled=False),
        },
    )
    for row in cvzoo.list_presets():
        if row.name.startswith("two_layer_dense"):
            show("One image", prediction(row.name))
