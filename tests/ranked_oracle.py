"""Metrics of ranked labels, slow and label by label in plain Python."""

import warnings

import numpy as np

import cvzoo

RANDOM = np.random.default_rng(0)
METRICS = {
    "gap": cvzoo.GlobalAveragePrecision,
    "gap at 3": lambda: cvzoo.GlobalAveragePrecision(3),
    "hit": cvzoo.HitAtOne,
    "perr": cvzoo.PrecisionAtEqualRecallRate,
    "map": cvzoo.MeanAveragePrecision,
    "map at 3": lambda: cvzoo.MeanAveragePrecision(k=3),
    "map, absent 0": lambda: cvzoo.MeanAveragePrecision(absent="zero"),
}


def metric_of(name, labels, scores, videos=None):
    metric = METRICS[name]()
    metric.update_state(labels, scores, videos)
    return metric


def value(metric):
    """The result, without the warning of no positives."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No label is positive")
        return metric.result()


def mixed(number):
    """SplitMix64's output function."""
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    number = (number ^ number >> 27) * 0x94D049BB133111EB % 2**64
    return number ^ number >> 31


def ranking(entries):
    """(score, video, class, label) in the order of all metrics."""

    def place(one):
        score, video, number, label = one
        seed = mixed(video % 2**64) + (number + 1) * 0x9E3779B97F4A7C15
        return -score, mixed(seed % 2**64) >> 1, label

    return sorted(entries, key=place)


def rankings_of(labels, scores, ids):
    """The ranking of each video."""
    found = []
    for video, row, own in zip(ids, scores.tolist(), labels.tolist(), strict=True):
        found.append(
            ranking(
                (float(score), video, number, label)
                for number, (score, label) in enumerate(zip(row, own, strict=True))
            )
        )
    return found


def precision_at_positives(ranked, positives):
    found = right = 0
    for rank, one in enumerate(ranked, 1):
        if one[3]:
            right += 1
            found += right / rank
    return found / positives if positives else 0.0


def slow(name, labels, scores, ids):
    """The value of a metric of `METRICS`, from its definition; ids are integers."""
    labels = labels.astype(int)
    rankings = rankings_of(labels, scores, ids)
    name, _, k = name.partition(" at ")
    k = int(k) if k else {"gap": 20}.get(name)
    if name == "hit":
        return np.mean([ranked[0][3] for ranked in rankings])
    if name == "perr":
        counts = labels.sum(1)
        return np.mean(
            [
                sum(one[3] for one in ranked[:count]) / max(count, 1)
                for ranked, count in zip(rankings, counts, strict=True)
            ]
        )
    best = [one for ranked in rankings for one in ranked[:k]]
    if name == "gap":
        return precision_at_positives(ranking(best), labels.sum())
    found = [
        precision_at_positives(ranking(one for one in best if one[2] == number), count)
        for number, count in enumerate(labels.sum(0))
        if count or name == "map, absent 0"
    ]
    return np.mean(found or [0.0])


def noisy(videos, classes, rate, digits=9):
    """Labels, and scores that tell something of them; few digits make ties."""
    labels = RANDOM.random((videos, classes)) < rate
    scores = RANDOM.normal(size=(videos, classes)) + labels
    return labels, np.round(scores, digits).astype(np.float32)
