"""Other ways of running exports than in processes of their own."""

import numpy as np
import pytest
import tensorflow as tf

from cvzoo.exporting import verification


@pytest.fixture
def in_this_process(monkeypatch):
    """SavedModels are run here, which saves the start of a process."""

    def run_here(folder, batches, format, calls=1):
        serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
        outputs = []
        for batch in batches:
            found = serve(**{name: tf.constant(one) for name, one in batch.items()})
            outputs.append({name: one.numpy() for name, one in found.items()})
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
