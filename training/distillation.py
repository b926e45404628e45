"""Knowledge distillation: a network learns from the outputs of a larger one too."""

import keras

from training import config as configs


def teacher_config(config):
    """The recipe of a recipe's teacher, for the same examples."""
    teacher = config["stages"]["train"]["teacher"]
    if isinstance(teacher, str):
        teacher = configs.get(teacher)
    return {**teacher, "data": config["data"], "seed": config["seed"]}


def distiller(teacher, student, stage):
    """A model whose `fit` trains the student on labels and on the teacher's outputs.

    Args:
        teacher: A trained model.
        student: Another one of the same inputs, and as many logits.
        stage: `temperature` that both models' logits are divided by, and
            `student_loss_weight` of the labels' loss; 1 minus it is that of the
            teacher's.

    Reference:
        Hinton, Vinyals and Dean, 2015, https://arxiv.org/abs/1503.02531 ("dark
        knowledge").
    """
    # By its name, as by default, Keras 3.15 takes the divergence of logits, which are
    # no probabilities.
    divergence = keras.losses.KLDivergence()
    return keras.distillation.Distiller(
        teacher,
        student,
        keras.distillation.LogitsDistillation(stage["temperature"], divergence),
        student_loss_weight=stage["student_loss_weight"],
    )
