"""Runs a LiteRT file on inputs in a process that imports numpy and ai_edge_litert only.

Run as text, and with the files, that `run_saved_model` tells of.
"""

import sys
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter

folder, inputs_file, outputs_file, calls = sys.argv[1:]
serve = Interpreter(f"{folder}/model.tflite", num_threads=1).get_signature_runner()
batches = {}
with np.load(inputs_file) as stored:
    for key in stored.files:
        number, _, name = key.partition("/")
        batches.setdefault(int(number), {})[name] = stored[key]
outputs, milliseconds = {}, []
for number in sorted(batches):
    for name, value in serve(**batches[number]).items():
        outputs[f"{number}/{name}"] = value
    times = []
    for _ in range(int(calls)):
        start = time.perf_counter()
        serve(**batches[number])
        times.append(1000 * (time.perf_counter() - start))
    milliseconds.append(np.percentile(times, (50, 99)))
assert not {"cvzoo", "tensorflow"} & set(sys.modules), "nothing else may be imported"
try:  # Linux alone has it. In kibibytes.
    with open("/proc/self/status") as status:
        peak = int(status.read().partition("VmHWM:")[2].split()[0])
except OSError:
    peak = 0
np.savez(outputs_file, milliseconds=milliseconds, peak=peak, **outputs)
