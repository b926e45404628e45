"""Training and validation data: what is counted, evaluated and refused."""

import keras
import numpy as np
import pytest

from cvzoo.training_data import Data

EXAMPLES = 192


def data():
    return np.zeros((EXAMPLES, 20), np.float32), np.arange(EXAMPLES) % 3


def test_examples_and_steps_are_counted():
    import tensorflow as tf

    found = Data(data(), data(), batch_size=50)
    assert (found.n_train, found.steps_per_epoch) == (EXAMPLES, 4)
    batches = tf.data.Dataset.from_tensor_slices(data()).batch(64)
    found = Data(batches, data())
    assert (found.n_train, found.steps_per_epoch) == (EXAMPLES, 3)
    unknown = batches.filter(lambda x, y: True)
    found = Data(unknown, data(), n_train=130)
    assert (found.n_train, found.steps_per_epoch) == (130, 3)
    with pytest.raises(ValueError, match="Give it as `n_train`"):
        Data(unknown, data())
    found = Data(data(), data(), n_train=10_000)
    assert (found.n_train, found.steps_per_epoch) == (10_000, 6)


class Endless(keras.utils.PyDataset):
    num_batches = None

    def __getitem__(self, index):
        return data()


class Once(Endless):
    num_batches = 1


def test_data_that_cannot_be_gone_through_again_and_again():
    import tensorflow as tf

    assert Data(Once(), Once()).n_train == EXAMPLES
    batches = tf.data.Dataset.from_tensor_slices(data()).batch(64)
    for endless in (batches.repeat(), Endless()):
        with pytest.raises(ValueError, match="training data are without end"):
            Data(endless, data())
        with pytest.raises(ValueError, match="validation data are without end"):
            Data(data(), endless)
    with pytest.raises(ValueError, match="at least one batch"):
        Data(batches.take(0), data())
    generator = (batch for batch in [data()])
    for wrong in (generator, list(data()), data()[0], data()[:1], None):
        with pytest.raises(ValueError, match="Data must be a"):
            Data(wrong, data(), n_train=EXAMPLES)
        with pytest.raises(ValueError, match="Data must be a"):
            Data(data(), wrong)
    for wrong in (0, 2.5, "100", float("nan")):
        with pytest.raises(ValueError, match="`n_train` must be positive"):
            Data(data(), data(), n_train=wrong)
        with pytest.raises(ValueError, match="`batch_size` must be positive"):
            Data(data(), data(), batch_size=wrong)


def test_metrics_that_are_one_number_in_the_order_of_compiling():
    inputs = keras.Input((20,))
    outputs = [keras.layers.Dense(3, "softmax", name=name)(inputs) for name in "ab"]
    model = keras.Model(inputs, outputs)
    features, labels = data()
    one_hot = keras.utils.to_categorical(labels, 3)
    examples = (features, [one_hot, one_hot])
    model.compile(
        loss=["categorical_crossentropy"] * 2,
        metrics=[None, [keras.metrics.F1Score(), "recall", "accuracy"]],
    )
    scores = Data(examples, examples).evaluate(model)
    assert list(scores) == ["loss", "b_recall", "b_accuracy", "a_loss", "b_loss"]
    # Of inputs of 0 all three classes have 1/3; a third of the examples are of each.
    expected = [2 * np.log(3), 0, 1 / 3, np.log(3), np.log(3)]
    np.testing.assert_allclose(list(scores.values()), expected, rtol=1e-5)
