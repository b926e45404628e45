"""Exports in their runtimes: latency beside the uncompressed network, and many threads.

Weights are random: time and bytes do not depend on what they are, but on how many are
not zero. Models take turns in one process; LiteRT has one thread.
"""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import cvzoo
from tests.benchmarks import timing

HIDDEN, LIVE_UNITS, DENSITY = 4096, 64, 0.2
BATCHES = (1, 64)
SIZE = 4096
# Presets whose call takes half a millisecond or more.
SCALED = ("vgg8_complex_vd_digits", "musicnet_deep_complex_vd_chorales")
THREADS, SECONDS, MIXED = 16, 60, (1, 2, 3, 5, 8, 13, 21, 34)


def two_layers():
    """Complex TwoLayerDense, 784 → 4096 → 10, with 64 units left, and as it was."""
    keras.utils.set_random_seed(0)
    network = cvzoo.create_model(
        "two_layer_dense", field="complex", units=HIDDEN, input_shape=(28, 28, 1)
    )
    small = keras.models.clone_model(network)
    generator = np.random.default_rng(0)
    is_live = np.arange(HIDDEN) < LIVE_UNITS
    hidden, output = (
        one for one in small.layers if isinstance(one, cvzoo.layers.ComplexDense)
    )
    for layer, mask in ((hidden, is_live[None, :]), (output, is_live[:, None])):
        kept = generator.random(layer.kernel_real.shape) < DENSITY
        for part in (layer.kernel_real, layer.kernel_imag):
            part.assign(part.numpy() * kept * mask)
    return network, small


def circulant_layers():
    """A dense layer and a diagonal-circulant one, n = 4096."""
    x = keras.Input((SIZE,), name="x")
    dense, circulant = keras.layers.Dense(SIZE), cvzoo.layers.DiagonalCirculant(SIZE)
    return keras.Model(x, dense(x)), keras.Model(x, circulant(x))


def saved_model_call(folder):
    """Function of a batch of inputs that runs a SavedModel."""
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    (name,) = serve.structured_input_signature[1]
    return lambda inputs: serve(**{name: inputs})


def litert_call(folder):
    """Function of a batch of inputs that runs a LiteRT file on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(folder / "model.tflite"), num_threads=1)
    serve = runner.get_signature_runner()
    (name,) = serve.get_input_details()
    return lambda inputs: serve(**{name: inputs})


def exported(models, folder):
    """Exports of models by name, in both formats; prints their bytes."""
    calls = {}
    for format, make in (
        ("tf_saved_model", saved_model_call),
        ("litert", litert_call),
    ):
        for name, model in models.items():
            path = folder / f"{format} {name}"
            report = cvzoo.export(model, path, format, tolerance=1e-3)
            print(f"  {format + ', ' + name:42} {report['bytes']:12,} bytes")
            calls.setdefault(format, {})[name] = make(path)
    return calls


def compare(title, models, shape, bounds, folder):
    """Bytes, and latency of the second model beside the first."""
    print(title)
    generator = np.random.default_rng(0)
    for format, calls in exported(models, folder).items():
        for batch in BATCHES:
            inputs = generator.random((batch, *shape), np.float32)
            if format == "tf_saved_model":
                inputs = tf.constant(inputs)
            timing.show(
                f"{format}, batch {batch}",
                {
                    name: lambda call=call, inputs=inputs: call(inputs)
                    for name, call in calls.items()
                },
                bounds.get((format, batch), "no bound"),
                repeats=5,
            )


def memory():
    """Bytes that this process holds; on Linux."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(re.search(r"VmRSS:\s*(\d+) kB", status).group(1))


def many_threads(folder):
    """One SavedModel called from many threads with batches of mixed sizes."""
    call = saved_model_call(folder)
    generator = np.random.default_rng(0)
    batches = [
        tf.constant(generator.random((size, 28, 28, 1), np.float32)) for size in MIXED
    ]
    expected = [next(iter(call(one).values())).numpy() for one in batches]
    wrong, calls, end = [0] * THREADS, [0] * THREADS, time.time() + SECONDS

    def work(number):
        random = np.random.default_rng(number)
        while time.time() < end:
            place = random.integers(len(batches))
            found = next(iter(call(batches[place]).values())).numpy()
            wrong[number] += not np.allclose(found, expected[place], atol=1e-5)
            calls[number] += 1

    threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
    for one in threads:
        one.start()
    time.sleep(SECONDS / 4)
    early = memory()
    for one in threads:
        one.join()
    grown = (memory() - early) / 2**20
    print(
        f"  {THREADS} threads, {SECONDS} s: {sum(calls):,} calls, {sum(wrong)} wrong "
        f"(bound 0), memory +{grown:.1f} MiB after a quarter of it"
    )


def throughput(folder, shape, threads, seconds=5):
    """Calls a second of one example from some threads."""
    call = saved_model_call(folder)
    inputs = tf.constant(np.random.default_rng(0).random((1, *shape), np.float32))
    call(inputs)
    counts, end = [0] * threads, time.time() + seconds

    def work(number):
        while time.time() < end:
            call(inputs)
            counts[number] += 1

    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    return sum(counts) / seconds


def main():
    """All of them."""
    network, small = two_layers()
    models = {"uncompressed": network, "small": small}
    numbers = [
        sum(int(np.count_nonzero(one.numpy())) for one in model.weights)
        for model in models.values()
    ]
    bounds = {
        ("tf_saved_model", 1): "×0.33",
        ("tf_saved_model", 64): "×0.2",
        ("litert", 1): "×0.2",
        ("litert", 64): "×0.2",
    }
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        title = f"Complex 784 → 4096 → 10, ×{numbers[0] / numbers[1]:.0f} fewer numbers"
        compare(title, models, (28, 28, 1), bounds, folder)
        dense, circulant = circulant_layers()
        compare(
            f"Diagonal-circulant beside dense, n = {SIZE}",
            {"dense": dense, "circulant": circulant},
            *((SIZE,), {("litert", 1): "×0.33"}, folder),
        )
        many_threads(folder / "tf_saved_model small")
        # Threads of TensorFlow are set when it starts.
        command = [sys.executable, "-m", "tests.benchmarks.exports"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(done.stdout, end="")


def scaling():
    """Throughput of two threads beside one, with one thread inside each call."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        for name in SCALED:
            folder = Path(scratch, name)
            cvzoo.export(name, folder)
            shape = cvzoo.examples(name).shape[1:]
            one, two = (throughput(folder, shape, threads) for threads in (1, 2))
            print(
                f"  {name}, one intra-op thread, {1000 / one:.2f} ms a call: two "
                f"threads ×{two / one:.2f} of one's calls (bound ≥ ×1.7)"
            )


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    scaling()
