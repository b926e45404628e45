"""What tests of exports share."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from cvzoo import catalogue
from cvzoo.exporting import verification

# The others are exported by slow tests.
IN_EVERY_RUN = ("two_layer_dense_complex_vd_digits",)
NAMES = [
    pytest.param(name, marks=() if name in IN_EVERY_RUN else pytest.mark.slow)
    for name in catalogue.preset_names()
]


def run(folder, batches, format="tf_saved_model"):
    """Outputs of an export, from a process of its own."""
    return verification.run(folder, batches, format).outputs


@contextlib.contextmanager
def run_in_this_process():
    """Exports are run here, and not in processes of their own."""

    def run_here(folder, batches, format, calls=1):
        run = {"tf_saved_model": _saved_model, "litert": _litert}[format](folder)
        outputs = [run(batch) for batch in batches]
        return verification.Found(outputs, np.zeros((len(batches), 2)), 0)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(verification, "run", run_here)
        yield


def _saved_model(folder):
    """Function of a batch that gives the outputs of all signatures."""
    signatures = tf.saved_model.load(str(folder)).signatures

    def run(batch):
        found = {}
        types = signatures["serving_default"].structured_input_signature[1]
        given = {name: tf.cast(one, types[name].dtype) for name, one in batch.items()}
        for signature, serve in signatures.items():
            prefix = "" if signature == "serving_default" else f"{signature}/"
            for name, one in serve(**given).items():
                is_short = one.dtype == tf.bfloat16
                one = tf.cast(one, tf.float32) if is_short else one
                found[prefix + name] = one.numpy()
        return found

    return run


def _litert(folder):
    """Function of a batch that gives the outputs."""
    from ai_edge_litert.interpreter import Interpreter

    serve = Interpreter(f"{folder}/model.tflite").get_signature_runner()
    return lambda batch: serve(**batch)
