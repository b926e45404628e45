"""A network that learns from another one's outputs."""

import json

import keras
import numpy as np

from training import config as configs
from training import distillation, train


def linear(seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])


def test_without_labels_the_student_becomes_the_teacher():
    teacher, student = linear(1), linear(2)
    stage = {"temperature": 2.0, "student_loss_weight": 0.0}
    distiller = distillation.distiller(teacher, student, stage)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    distiller.compile(keras.optimizers.Adam(0.05), loss)
    x = np.random.default_rng(0).normal(size=(256, 3)).astype("float32")
    kernel = np.array(teacher.layers[0].kernel)
    distiller.fit(x, np.zeros(256, int), batch_size=32, epochs=30, verbose=0)
    np.testing.assert_array_equal(teacher.layers[0].kernel, kernel)

    def probabilities(model):
        logits = model.predict(x, verbose=0)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    np.testing.assert_allclose(
        probabilities(student), probabilities(teacher), atol=0.02
    )


def test_the_teacher_sees_the_student_s_examples_only():
    config = configs.get("dcnn_distilled_digits", ["data.fold=3", "seed=5"])
    teacher = distillation.teacher_config(config)
    assert teacher["name"] == "dcnn_dense_digits"
    assert (teacher["data"], teacher["seed"]) == (config["data"], 5)
    configs.check(teacher)


def test_a_run_keeps_its_teacher_and_does_not_train_it_again(tmp_path):
    config = train.quick(configs.get("dcnn_distilled_digits"))
    trained = train.run(config, tmp_path, quiet=True)
    kept = json.loads((tmp_path / "teacher" / "config.json").read_text())
    assert kept["name"] == "dcnn_dense_digits"
    when = (tmp_path / "teacher" / "train.keras").stat().st_mtime_ns
    again = train.run(config, tmp_path, quiet=True)
    assert (tmp_path / "teacher" / "train.keras").stat().st_mtime_ns == when
    for left, right in zip(
        trained.model.get_weights(), again.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(left, right)
    # The student alone is kept.
    assert (tmp_path / "preset" / "weights.safetensors").stat().st_size < 1e6
    assert set(trained.scores["test"]) == {"train"}
