"""Losses that Keras lacks."""

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import compiling
from tests.helpers import gradients


def cases():
    generator = np.random.default_rng(0)
    labels = (generator.random((5, 7)) < 0.3).astype(np.float32)
    return labels, generator.normal(scale=3, size=(5, 7)).astype(np.float32)


def expected(labels, chances):
    """Σ over classes, mean over examples, in float64."""
    labels, chances = (np.asarray(one, np.float64) for one in (labels, chances))
    terms = labels * np.log(chances + 1e-5)
    terms += (1 - labels) * np.log(1 - chances + 1e-5)
    return -terms.sum() / len(labels)


def test_the_cross_entropy_is_summed_over_classes():
    labels, logits = cases()
    chances = 1 / (1 + np.exp(-logits.astype(np.float64)))
    wanted = expected(labels, chances)
    found = cvzoo.MultiLabelCrossEntropy()(labels, chances.astype(np.float32))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    found = cvzoo.MultiLabelCrossEntropy(from_logits=True)(labels, logits)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    # Whole labels, as shards have them.
    found = cvzoo.MultiLabelCrossEntropy()(
        labels.astype("int64"), chances.astype(np.float32)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_certain_mistakes_cost_no_more_than_the_logarithm_of_epsilon():
    labels = np.array([[1.0, 0.0]], np.float32)
    loss = cvzoo.MultiLabelCrossEntropy()
    np.testing.assert_allclose(loss(labels, 1 - labels), -2 * np.log(1e-5), rtol=1e-3)
    (found,) = gradients(lambda chances: loss(labels, chances), 1 - labels)
    assert np.isfinite(found).all()


def test_it_is_kept_by_models_and_by_presets(tmp_path):
    loss = cvzoo.MultiLabelCrossEntropy(from_logits=True)
    copy = cvzoo.MultiLabelCrossEntropy.from_config(loss.get_config())
    assert copy.get_config() == loss.get_config()
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("adam", loss)
    settings = compiling.settings_of(model)
    assert settings["loss"] == "multi_label_cross_entropy" and settings["from_logits"]
    cvzoo.save_preset(model, tmp_path / "preset")
    loaded = cvzoo.from_preset(tmp_path / "preset")
    assert loaded.loss.get_config() == loss.get_config()


def test_epsilon_must_be_positive():
    with pytest.raises(ValueError, match="`epsilon` must be positive. Received: 0"):
        cvzoo.MultiLabelCrossEntropy(epsilon=0)
