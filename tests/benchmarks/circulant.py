"""DiagonalCirculant against Dense of the same width, its rivals, and bare FFTs.

A step is forward and gradients to inputs and weights; with Adam, its update too. Of the
rivals a low rank, Toeplitz and ACDC have 3n numbers, as it has, Fastfood 4n, and
circulant blocks n²/64. The dense layer in int8 is measured where LiteRT is installed:
`pip install ai-edge-litert`. A call from Python has its price, which counts for small
n; that of LiteRT is lower.
"""

import importlib.util
import math

import keras
import tensorflow as tf

from cvzoo import layers
from cvzoo.layers import structured
from tests.benchmarks.timing import show

WIDTHS = (64, 128, 256, 512, 1024, 2048, 4096, 8192)
BATCH = 64
OURS = "DiagonalCirculant"
# Below, what a call costs besides hides the transforms.
FIRST_TRANSFORMS = 1024


def layers_of(width):
    """Name → layer of as many inputs and units, built."""
    made = {
        "Dense": keras.layers.Dense(width),
        OURS: layers.DiagonalCirculant(width),
        # 2n numbers and a bias, as the one above.
        "LowRank, rank 1": structured.LowRank(width, rank=1),
        "Toeplitz": structured.Toeplitz(width),
        "ACDC": structured.ACDC(width),
        "Fastfood": structured.Fastfood(width),
        "BlockCirculant, blocks of 64": layers.BlockCirculant(width, 64),
    }
    for layer in made.values():
        layer.build((None, width))
    return made


def step(layer, inputs, jit_compile=False, optimizer=None):
    """A function that runs forward and gradients, and updates weights if told how."""
    variables = layer.trainable_variables
    upstream = tf.random.normal(inputs.shape)
    if optimizer is not None:
        optimizer.build(variables)

    @tf.function(jit_compile=jit_compile)
    def run(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=True)
        values = [variable.value for variable in variables]
        gradients = tape.gradient(outputs, [inputs, values], upstream)
        if optimizer is None:
            return gradients
        optimizer.apply(gradients[1], variables)
        return gradients[0]

    return lambda: run(inputs)


def forward(layer, inputs, jit_compile=False):
    """A function that calls a layer, or any function of a tensor."""
    run = tf.function(lambda x: layer(x), jit_compile=jit_compile)
    return lambda: run(inputs)


def transforms(inputs):
    """The pair of FFTs that a circulant product needs besides its kernel's."""
    return tf.signal.irfft(tf.signal.rfft(inputs), [inputs.shape[-1]])


def int8_in_litert(layer, inputs):
    """A function that calls a layer, all of it in int8, in LiteRT with two threads."""
    from ai_edge_litert.interpreter import Interpreter

    signature = [tf.TensorSpec.from_tensor(inputs)]
    run = tf.function(lambda x: layer(x), input_signature=signature)
    module = tf.Module()
    module.kept = [variable.value for variable in layer.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [run.get_concrete_function()], module
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: iter([[inputs]])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    interpreter = Interpreter(model_content=converter.convert(), num_threads=2)
    interpreter.allocate_tensors()
    values = inputs.numpy()
    place = interpreter.get_input_details()[0]["index"]
    output = interpreter.get_output_details()[0]["index"]

    def call():
        interpreter.set_tensor(place, values)
        interpreter.invoke()
        return interpreter.get_tensor(output)

    return call


def with_xla(make, layers_by_name):
    """Name → function of each layer, and of the first two compiled by XLA."""
    functions = {}
    for name, layer in layers_by_name.items():
        functions[name] = make(layer)
        if name in ("Dense", OURS):
            functions[f"{name}, XLA"] = make(layer, jit_compile=True)
    return functions


def measure(width):
    """Workload → name → median of milliseconds."""
    made = layers_of(width)
    both = {name: made[name] for name in ("Dense", OURS)}
    batch, one = tf.random.normal((BATCH, width)), tf.random.normal((1, width))

    def adam_step(layer, jit_compile=False):
        return step(layer, batch, jit_compile, keras.optimizers.Adam())

    def forwards(inputs):
        functions = with_xla(
            lambda layer, **options: forward(layer, inputs, **options), made
        )
        if importlib.util.find_spec("ai_edge_litert") is not None:
            functions["Dense, int8, LiteRT"] = int8_in_litert(made["Dense"], inputs)
        return functions

    workloads = {
        f"Step, batch {BATCH}": lambda: with_xla(
            lambda layer, **options: step(layer, batch, **options), made
        ),
        f"Step with Adam, batch {BATCH}": lambda: with_xla(adam_step, both),
        "Forward, batch 1": lambda: forwards(one),
        f"Forward, batch {BATCH}": lambda: forwards(batch),
    }
    # Short ones are repeated, as clocks and calls have their noise.
    repeats = max(1, 4096 // width)
    medians = {
        name: show(f"{name}, n = {width}", functions(), repeats=repeats)
        for name, functions in workloads.items()
    }
    if width >= FIRST_TRANSFORMS:
        show(
            f"Forward and its FFTs, batch {BATCH}, n = {width}",
            {
                "rfft, irfft": forward(transforms, batch),
                OURS: forward(made[OURS], batch),
                "rfft, irfft, XLA": forward(transforms, batch, jit_compile=True),
                f"{OURS}, XLA": forward(made[OURS], batch, jit_compile=True),
            },
            bound="1.3",
            repeats=repeats,
        )
    return medians


def break_even(widths, ratios):
    """The width at which a ratio that grows with it is 1, between logarithms.

    Returns:
        A number, or `None` where no two neighbours lie on both sides of 1.
    """
    logarithms = [math.log(ratio) for ratio in ratios]
    for place in range(len(widths) - 1):
        low, high = logarithms[place : place + 2]
        if low < 0 <= high:
            share = -low / (high - low)
            first, second = widths[place : place + 2]
            return first * (second / first) ** share
    return None


def speedups(workload, medians):
    """Prints times of `Dense` over those of each, by width, and break-evens.

    Args:
        workload: Its name.
        medians: Width → name → milliseconds.
    """
    print(f"{workload}, Dense over each; with XLA, Dense with XLA")
    print(" " * 26 + " n =" + "".join(f"{width:8}" for width in medians))
    for name in next(iter(medians.values())):
        if name == "Dense":
            continue
        # Like with like: with XLA over with XLA.
        base = "Dense, XLA" if name == f"{OURS}, XLA" else "Dense"
        ratios = [times[base] / times[name] for times in medians.values()]
        line = "".join(f"{f'×{ratio:.2f}':>8}" for ratio in ratios)
        even = break_even(tuple(medians), ratios)
        print(f"  {name:28}{line}" + (f"   break-even at {even:.0f}" if even else ""))


def main():
    """All widths; then the ratios of each workload."""
    medians = {}
    for width in WIDTHS:
        keras.utils.set_random_seed(0)
        numbers = {
            name: layer.count_params() for name, layer in layers_of(width).items()
        }
        print(f"Numbers at n = {width}:", numbers)
        for workload, times in measure(width).items():
            medians.setdefault(workload, {})[width] = times
    for workload, by_width in medians.items():
        speedups(workload, by_width)
