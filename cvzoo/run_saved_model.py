"""Runs a SavedModel on inputs in a process that imports tensorflow and never cvzoo.

Run as text, `python -c "$(cat run_saved_model.py)" FOLDER INPUTS.npz OUTPUTS.npz`, so
that this folder does not come onto the import path. The arrays of the files are named
`<number of the batch>/<name>`.
"""

import sys

import numpy as np
import tensorflow as tf

folder, inputs_file, outputs_file = sys.argv[1:]
serve = tf.saved_model.load(folder).signatures["serving_default"]
batches = {}
with np.load(inputs_file) as stored:
    for key in stored.files:
        number, _, name = key.partition("/")
        batches.setdefault(number, {})[name] = tf.constant(stored[key])
outputs = {
    f"{number}/{name}": value.numpy()
    for number, inputs in batches.items()
    for name, value in serve(**inputs).items()
}
assert "cvzoo" not in sys.modules, "this process must not import cvzoo"
np.savez(outputs_file, **outputs)
