"""`decode`: a network's scores → names of classes, with probabilities."""

import numpy as np

from cvzoo import catalogue, preset_files
from cvzoo.preset_files import PresetError

# From which probability on a class of several is named.
LEAST = 0.5


def decode(name, scores, top=5, least=LEAST):
    """Names of the classes that scores of a preset speak for, likeliest first.

    Args:
        name: As for `from_preset`.
        scores: What the model returns: `(examples, …, classes)`.
        top: How many of the classes are named at most, where an example has one.
        least: Probability from which a class is named, where an example has any number
            of them, such as the notes that sound.

    Returns:
        For each example, a list of `(name of the class, probability)`; nested where
        scores have more axes.

    Raises:
        PresetError: The preset does not say what its scores are, or has another number
            of classes.
    """
    manifest = preset_files.read_manifest(catalogue.find(name))
    probable = checked_probabilities(name, manifest, scores)
    if manifest["outputs"]["decode"] == "one class":
        return named(probable, manifest["classes"], top, 0.0)
    return named(probable, manifest["classes"], len(manifest["classes"]), least)


def checked_probabilities(name, manifest, scores):
    """Scores of a preset as probabilities, float64 `(…, classes)`; see `decode`."""
    decode_as, classes = manifest["outputs"]["decode"], manifest["classes"]
    scores = np.asarray(scores, np.float64)
    if decode_as == "values" or not classes:
        raise PresetError(
            f"Preset {name} does not say what its scores are. Give `save_preset` "
            "`classes`, and `outputs` unless the loss tells."
        )
    if not scores.ndim or scores.shape[-1] != len(classes):
        raise PresetError(
            f"Scores of {name} must be (…, {len(classes)}), one a class. Received: "
            f"shape {scores.shape}"
        )
    return probabilities(scores, manifest["outputs"])


def probabilities(scores, outputs):
    """Scores as probabilities.

    Args:
        scores: `(…, classes)`.
        outputs: What the manifest says of them.
    """
    if not outputs["logits"]:
        return scores
    if outputs["decode"] == "one class":
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)
    # `exp` of the negative modulus does not overflow.
    small = np.exp(-np.abs(scores))
    return np.where(scores >= 0, 1, small) / (1 + small)


def named(probable, classes, top, least):
    """The likeliest classes with their probabilities, for each example.

    Args:
        probable: Probabilities `(…, classes)`.
        classes: Their names.
        top: How many at most.
        least: Probability of the least likely one.
    """
    if probable.ndim > 1:
        return [named(one, classes, top, least) for one in probable]
    places = np.argsort(-probable, kind="stable")[:top]
    return [(classes[n], float(probable[n])) for n in places if probable[n] >= least]
