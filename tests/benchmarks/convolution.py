"""A training step of ComplexConv2D against real convolutions, and against PyTorch's.

A step is forward and gradients to inputs and weights, without an optimizer. Peers are
measured in the same run when they are installed: `pip install ".[bench]"`.
"""

import importlib.util

import keras
import tensorflow as tf

from cvzoo import layers
from tests.benchmarks.timing import geometric_mean, layer_step, show

BATCH = 64
SHAPES = ((32, 64), (16, 128), (8, 256), (4, 512))


def tensorflow_steps(size, channels):
    """Name → step: the real convolution, that of twice the channels, and ours."""

    def image(channels):
        return tf.random.normal((BATCH, size, size, channels))

    def real(channels):
        layer = keras.layers.Conv2D(channels, 3, padding="same")
        return layer_step(layer, image(channels))

    complex_layer = layers.ComplexConv2D(channels, 3, padding="same")
    return {
        "keras Conv2D, C": real(channels),
        "keras Conv2D, 2C": real(2 * channels),
        "cvzoo ComplexConv2D, C": layer_step(
            complex_layer, (image(channels), image(channels))
        ),
    }


def torch_steps(size, channels):
    """Name → step of the peers that are installed."""
    if importlib.util.find_spec("torch") is None:
        return {}
    import torch

    torch.set_num_threads(tf.config.threading.get_intra_op_parallelism_threads() or 2)
    shape = (BATCH, channels, size, size)

    def run(layer, inputs, parts):
        upstream = [torch.randn_like(part) for part in parts(layer(inputs))]

        def once():
            for parameter in layer.parameters():
                parameter.grad = None
            torch.autograd.backward(parts(layer(inputs)), upstream)

        return once

    complex_input = torch.randn(shape, dtype=torch.complex64, requires_grad=True)
    plain = torch.nn.Conv2d(channels, channels, 3, padding=1, dtype=torch.complex64)
    steps = {"torch complex64": run(plain, complex_input, lambda z: [z])}
    if importlib.util.find_spec("complextorch") is not None:
        import complextorch

        layer = complextorch.nn.Conv2d(channels, channels, 3, padding=1)
        steps["complextorch"] = run(layer, complex_input, lambda z: [z])
    if importlib.util.find_spec("cplxmodule") is not None:
        from cplxmodule import Cplx
        from cplxmodule.nn import CplxConv2d

        pair = Cplx(*(torch.randn(shape, requires_grad=True) for _ in range(2)))
        layer = CplxConv2d(channels, channels, 3, padding=1)
        steps["cplxmodule"] = run(layer, pair, lambda z: [z.real, z.imag])
    return steps


def main():
    """All shapes, and the geometric means of the ratios."""
    ratios = {}
    for size, channels in SHAPES:
        steps = {**tensorflow_steps(size, channels), **torch_steps(size, channels)}
        title = f"Training step, 3×3, {size}×{size}, {channels} channels, batch {BATCH}"
        medians = show(title, steps)
        ours = medians.pop("cvzoo ComplexConv2D, C")
        for name, other in medians.items():
            ratios.setdefault(name, []).append(ours / other)
    print("ComplexConv2D over each, geometric mean over the shapes")
    for name, values in ratios.items():
        print(f"  {name:42} ×{geometric_mean(values):.2f}")
