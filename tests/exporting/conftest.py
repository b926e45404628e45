"""Other ways of running exports than in processes of their own."""

import numpy as np
import pytest
import tensorflow as tf

from cvzoo.exporting import verification


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


@pytest.fixture
def in_this_process(monkeypatch):
    """Exports are run here, which saves the start of a process."""

    def run_here(folder, batches, format, calls=1):
        run = {"tf_saved_model": _saved_model, "litert": _litert}[format](folder)
        outputs = [run(batch) for batch in batches]
        return verification.Found(outputs, np.zeros((len(batches), 2)), 0)

    monkeypatch.setattr(verification, "run", run_here)


@pytest.fixture
def only_zeros(monkeypatch):
    """Exports seem to give three zeros, under the name `logits`."""

    def run(folder, batches, format, calls=1):
        (name,) = batches[0]
        outputs = [{"logits": np.zeros((len(one[name]), 3))} for one in batches]
        return verification.Found(outputs, np.zeros((len(batches), 2)), 0)

    monkeypatch.setattr(verification, "run", run)
