"""Runs an export in a process that imports its runtime and never cvzoo.

Run as text, `python -c "$(cat FILE)" FORMAT FOLDER INPUTS.npz OUTPUTS.npz CALLS`, so
that this folder does not come onto the import path. The arrays of the files are named
`<number of the batch>/<name>`, those of other signatures than that of scores
`<number of the batch>/<signature>/<name>`; `milliseconds` has the median and the 99th
percentile of the time of so many calls of each, `peak` the most memory that the process
held.
"""

import sys
import time

import numpy as np


def saved_model(folder):
    """Signatures of a SavedModel: name → function, that of scores being called ""."""
    import tensorflow as tf

    signatures = tf.saved_model.load(folder).signatures

    def called(signature, inputs):
        # Files of numpy have neither bfloat16 nor texts of any length.
        types = signature.structured_input_signature[1]
        found = signature(
            **{
                name: tf.cast(one, types[name].dtype)
                if types[name].dtype == tf.bfloat16
                else tf.constant(one)
                for name, one in inputs.items()
            }
        )
        return {name: plain(one) for name, one in found.items()}

    def plain(tensor):
        if tensor.dtype == tf.bfloat16:
            return tf.cast(tensor, tf.float32).numpy()
        values = tensor.numpy()
        return values.astype(bytes) if tensor.dtype == tf.string else values

    return {
        "" if name == "serving_default" else name: lambda inputs, one=one: called(
            one, inputs
        )
        for name, one in signatures.items()
    }


def litert(folder):
    """The same of a LiteRT file, on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(f"{folder}/model.tflite", num_threads=1)
    serve = interpreter.get_signature_runner()
    return {"": lambda inputs: serve(**inputs)}


format, folder, inputs_file, outputs_file, calls = sys.argv[1:]
signatures = {"tf_saved_model": saved_model, "litert": litert}[format](folder)
serve = signatures[""]
batches = {}
with np.load(inputs_file) as stored:
    for key in stored.files:
        number, _, name = key.partition("/")
        batches.setdefault(int(number), {})[name] = stored[key]
outputs, milliseconds = {}, []
for number in sorted(batches):
    for signature, call in signatures.items():
        for name, value in call(batches[number]).items():
            outputs["/".join(filter(None, (str(number), signature, name)))] = value
    times = []
    for _ in range(int(calls)):
        start = time.perf_counter()
        serve(batches[number])
        times.append(1000 * (time.perf_counter() - start))
    milliseconds.append(np.percentile(times, (50, 99)))
unwanted = {"cvzoo", "tensorflow"} if format == "litert" else {"cvzoo"}
assert not unwanted & set(sys.modules), f"this process must not import {unwanted}"
try:  # Linux alone has it. In kibibytes.
    with open("/proc/self/status") as status:
        peak = int(status.read().partition("VmHWM:")[2].split()[0])
except OSError:
    peak = 0
np.savez(outputs_file, milliseconds=milliseconds, peak=peak, **outputs)
