"""What networks that label videos are compared with, beside `baselines`."""

import numpy as np
import sklearn.linear_model
import sklearn.preprocessing

import cvzoo
from cvzoo import packing
from cvzoo.layers.frames import OFFSET, STEP
from training import stages
from training.baselines import Row

# Inverse strengths of the penalty; validation chooses.
PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
# Of a label that all training videos have, or none.
LARGEST_LOGIT = 10.0


def label_prior(run):
    """How often each label is there in training, whatever is seen."""
    rates = run.data.labels("train").mean(axis=0)

    def scores(split):
        return np.broadcast_to(rates, (run.data.size(split), len(rates)))

    return _row(run, "label prior", {"rates": rates}, scores)


def mean_frame_linear(run):
    """Logistic regression on the mean frame, one for each label.

    The penalty is the one of the best mean average precision.
    """
    scaler = sklearn.preprocessing.StandardScaler()
    scaler.fit(mean_frames(run.data, "train"))
    inputs = {
        split: scaler.transform(mean_frames(run.data, split))
        for split in run.data.splits
    }
    labels = run.data.labels("train")
    best = -1
    for penalty in PENALTIES:
        fitted = [_fitted(penalty, inputs["train"], column) for column in labels.T]
        kernel, bias = (np.stack(part, axis=-1) for part in zip(*fitted, strict=True))
        metric = cvzoo.MeanAveragePrecision()
        metric.update_state(
            run.data.labels("validation"), inputs["validation"] @ kernel + bias
        )
        if metric.result() > best:
            best, tensors = metric.result(), {"kernel": kernel, "bias": bias}
    return _row(
        run,
        "logistic regression on the mean frame",
        tensors | {"mean": scaler.mean_, "scale": scaler.scale_},
        lambda split: inputs[split] @ tensors["kernel"] + tensors["bias"],
    )


ROWS = {function.__name__: function for function in (label_prior, mean_frame_linear)}


def mean_frames(data, split):
    """Mean features of the frames of each video of a split, `(videos, features)`."""
    found = []
    for (*streams, counts), _ in data.videos[split].batches(64, audio=data.audio):
        frames, counts = np.concatenate(streams, axis=-1), counts.numpy()
        is_there = np.arange(frames.shape[1]) < counts[:, None]
        sums = np.einsum("btf,bt->bf", frames, is_there, dtype=np.float64)
        found.append(sums / np.maximum(counts, 1)[:, None] * STEP + OFFSET)
    return np.concatenate(found)


def _fitted(penalty, inputs, labels):
    """Weights `(features,)` and bias of one label."""
    rate = labels.mean()
    if rate in (0, 1):
        return np.zeros(inputs.shape[1]), np.sign(rate - 0.5) * LARGEST_LOGIT
    model = sklearn.linear_model.LogisticRegression(C=penalty, max_iter=1000)
    model.fit(inputs, labels)
    return model.coef_[0], model.intercept_[0]


def _row(run, name, tensors, scores_of):
    """The row of what scores the videos of a split, by some tensors."""
    found = {}
    for split in run.data.held_out:
        for key, metric in run.data.metrics(split).items():
            metric.update_state(run.data.labels(split), scores_of(split))
            found[key] = {name: metric.result()}
    tensors = {key: np.float32(value) for key, value in tensors.items()}
    return Row(
        name,
        int(sum(np.count_nonzero(value) for value in tensors.values())),
        len(packing.pack(tensors)),
        found.get("validation", {}).get(name),
        found["test"][name],
        more=stages.other_tests(found, name),
    )
