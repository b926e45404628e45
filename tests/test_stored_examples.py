"""Stored examples are run in bounded memory, and what goes wrong is told."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import cvzoo
from cvzoo import stored_examples
from cvzoo.preset_files import PresetError
from tests.helpers import inputs_of, small_model


def test_as_many_examples_are_run_at_once_as_memory_allows(monkeypatch):
    x = keras.Input((None, 3))
    y = keras.layers.UpSampling1D(4)(x)
    model = keras.Model(x, keras.layers.GlobalAveragePooling1D()(y))
    inputs = np.ones((9, 5, 3), np.float32)
    numbers = 15 + 60 + 3  # of an example: input, layers, output
    batches = []

    def predict(inputs, batch_size, verbose):
        batches.append(batch_size)
        return np.zeros((9, 3))

    monkeypatch.setattr(model, "predict", predict)
    for most in (numbers, 2 * numbers + 1, 10**6):
        monkeypatch.setattr(stored_examples, "MOST_NUMBERS", most)
        stored_examples.run(model, inputs)
    assert batches == [1, 2, 32]
    monkeypatch.setattr(stored_examples, "MOST_NUMBERS", numbers - 1)
    with pytest.raises(PresetError, match="give 78 numbers .* at most 77 are run"):
        stored_examples.run(model, inputs)


def test_errors_of_tensorflow_are_told_as_those_of_presets(tmp_path, monkeypatch):
    model = small_model()
    folder = cvzoo.save_preset(model, tmp_path / "one", examples=inputs_of(model, 2))

    def predict(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, "no memory")

    monkeypatch.setattr(keras.Model, "predict", predict)
    with pytest.raises(PresetError, match="cannot be run on the stored.*no memory"):
        cvzoo.from_preset(folder, verify=True)
