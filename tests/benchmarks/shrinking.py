"""Predictions of a pruned network before and after `shrink`, in TensorFlow and LiteRT.

The complex network 784 → 4096 → 10 of paper 2 with random masks: 0.15 % of the weights,
on as many hidden units as pruning left on digits. LiteRT is measured where it is
installed: `pip install ai-edge-litert`. It has no Fourier transform, so both start from
the features.
"""

import importlib.util

import keras
import numpy as np
import tensorflow as tf

import cvzoo
from cvzoo import layers, sparsity
from tests.benchmarks.timing import show

UNITS, LIVE = 4096, (502, 170)


def network():
    """The network, from features `(784, 2)` to logits."""
    features = keras.Input((784, 2), name="features")
    z = layers.ToComplex("trailing")(features)
    z = layers.ComplexDense(UNITS, name="hidden")(z)
    z = layers.PerPart(keras.layers.ReLU())(z)
    z = layers.ComplexDense(10, name="output")(z)
    return keras.Model(features, layers.FromComplex("real")(z))


def pruned(model, live):
    """The network with 0.15 % of its weights, on some of the hidden units."""
    generator = np.random.default_rng(0)
    units = generator.permutation(UNITS)[:live]

    def mask(layer):
        shape = sparsity.kernel_variables(layer)[0].shape
        kept = np.zeros(shape, np.float32)
        axis = 1 if layer.name == "hidden" else 0
        per_unit = max(1, round(0.0015 * kept.size / live))
        for unit in units:
            others = generator.permutation(shape[1 - axis])[:per_unit]
            kept[(others, unit) if axis else (unit, others)] = 1
        return kept

    return sparsity.with_masks(model, mask)


def in_tensorflow(model, batch):
    """A function that predicts one batch."""
    inputs = tf.random.normal((batch, 784, 2))
    run = tf.function(lambda x: model(x, training=False))
    return lambda: run(inputs).numpy()


def in_litert(model, batch):
    """The same in LiteRT with two threads."""
    from ai_edge_litert.interpreter import Interpreter

    @tf.function(input_signature=[tf.TensorSpec((batch, 784, 2), tf.float32)])
    def serve(features):
        return model(features, training=False)

    module = tf.Module()
    module.kept = [variable.value for variable in model.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [serve.get_concrete_function()], module
    )
    interpreter = Interpreter(model_content=converter.convert(), num_threads=2)
    interpreter.allocate_tensors()
    inputs = np.random.default_rng(0).normal(size=(batch, 784, 2)).astype(np.float32)
    place = interpreter.get_input_details()[0]["index"]
    output = interpreter.get_output_details()[0]["index"]

    def run():
        interpreter.set_tensor(place, inputs)
        interpreter.invoke()
        return interpreter.get_tensor(output)

    return run


def main():
    """Batches of 1 and of 64."""
    dense = network()
    models = {"uncompressed": dense}
    for live in LIVE:
        models[f"shrunk to {live} units"] = cvzoo.shrink(pruned(dense, live))
    runtimes = {"TensorFlow": in_tensorflow}
    if importlib.util.find_spec("ai_edge_litert") is not None:
        runtimes["LiteRT"] = in_litert
    for runtime, make in runtimes.items():
        for batch in (1, 64):
            show(
                f"Prediction in {runtime}, batch {batch}",
                {name: make(model, batch) for name, model in models.items()},
            )
