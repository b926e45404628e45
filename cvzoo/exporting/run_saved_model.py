"""Runs a SavedModel on inputs in a process that imports tensorflow and never cvzoo.

Run as text, `python -c "$(cat FILE)" FOLDER INPUTS.npz OUTPUTS.npz CALLS`, so that this
folder does not come onto the import path. The arrays of the files are named `<number of
the batch>/<name>`; `milliseconds` has the median and the 99th percentile of the time of
so many calls of each, `peak` the most memory that the process held.
"""

import sys
import time

import numpy as np
import tensorflow as tf

folder, inputs_file, outputs_file, calls = sys.argv[1:]
loaded = tf.saved_model.load(folder)
serve = loaded.signatures["serving_default"]
batches = {}
with np.load(inputs_file) as stored:
    for key in stored.files:
        number, _, name = key.partition("/")
        batches.setdefault(int(number), {})[name] = tf.constant(stored[key])
outputs, milliseconds = {}, []
for number in sorted(batches):
    for name, value in serve(**batches[number]).items():
        # Files have no bfloat16.
        value = tf.cast(value, tf.float32) if value.dtype == tf.bfloat16 else value
        outputs[f"{number}/{name}"] = value.numpy()
    times = []
    for _ in range(int(calls)):
        start = time.perf_counter()
        serve(**batches[number])
        times.append(1000 * (time.perf_counter() - start))
    milliseconds.append(np.percentile(times, (50, 99)))
for other in loaded.signatures.values():
    other(**batches[0])
assert "cvzoo" not in sys.modules, "this process must not import cvzoo"
try:  # Linux alone has it. In kibibytes.
    with open("/proc/self/status") as status:
        peak = int(status.read().partition("VmHWM:")[2].split()[0])
except OSError:
    peak = 0
np.savez(outputs_file, milliseconds=milliseconds, peak=peak, **outputs)
