"""Runs an export in a process that imports its runtime and never cvzoo.

Run as text, `python -c "$(cat FILE)" FORMAT FOLDER INPUTS.npz OUTPUTS.npz CALLS`, so
that this folder does not come onto the import path. The arrays of the files are named
`<number of the batch>/<name>`; `milliseconds` has the median and the 99th percentile of
the time of so many calls of each, `peak` the most memory that the process held.
"""

import sys
import time

import numpy as np


def saved_model(folder):
    """Functions of a SavedModel: the one that gives scores, then the others."""
    import tensorflow as tf

    # On GPUs that round float32 to 10 bits what is compared would differ.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    signatures = tf.saved_model.load(folder).signatures

    def called(signature, inputs):
        found = signature(**{name: tf.constant(one) for name, one in inputs.items()})
        # Files have no bfloat16.
        return {
            name: tf.cast(one, tf.float32).numpy()
            if one.dtype == tf.bfloat16
            else one.numpy()
            for name, one in found.items()
        }

    names = sorted(signatures, key=lambda name: name != "serving_default")
    return [
        lambda inputs, name=name: called(signatures[name], inputs) for name in names
    ]


def litert(folder):
    """The function of a LiteRT file, on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(f"{folder}/model.tflite", num_threads=1)
    serve = interpreter.get_signature_runner()
    return [lambda inputs: serve(**inputs)]


format, folder, inputs_file, outputs_file, calls = sys.argv[1:]
serve, *others = {"tf_saved_model": saved_model, "litert": litert}[format](folder)
batches = {}
with np.load(inputs_file) as stored:
    for key in stored.files:
        number, _, name = key.partition("/")
        batches.setdefault(int(number), {})[name] = stored[key]
outputs, milliseconds = {}, []
for number in sorted(batches):
    for name, value in serve(batches[number]).items():
        outputs[f"{number}/{name}"] = value
    times = []
    for _ in range(int(calls)):
        start = time.perf_counter()
        serve(batches[number])
        times.append(1000 * (time.perf_counter() - start))
    milliseconds.append(np.percentile(times, (50, 99)))
for other in others:
    other(batches[0])
unwanted = {"cvzoo", "tensorflow"} if format == "litert" else {"cvzoo"}
assert not unwanted & set(sys.modules), f"this process must not import {unwanted}"
try:  # Linux alone has it. In kibibytes.
    with open("/proc/self/status") as status:
        peak = int(status.read().partition("VmHWM:")[2].split()[0])
except OSError:
    peak = 0
np.savez(outputs_file, milliseconds=milliseconds, peak=peak, **outputs)
