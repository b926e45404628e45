"""The layers for videos once more, by loops over frames and clusters in float64."""

import numpy as np
import scipy.linalg


def randomize(layer, seed=0):
    """Gives all weights of a layer numbers of order one; variances are positive."""
    generator = np.random.default_rng(seed)
    for variable in layer.weights:
        if "seed" in variable.path:
            continue
        low = 0.5 if variable.name in ("moving_variance", "root_deviation") else -1.0
        variable.assign(generator.uniform(low, 1.5, variable.shape))


def numbers(variable):
    return np.asarray(variable, np.float64)


def matrix(projection):
    """The matrix W of `x W` of a linear layer, `(inputs, units)`, written out."""
    weights = {v.name: numbers(v) for v in projection.weights}
    if "kernel" in weights:
        return weights["kernel"]
    if "left" in weights:
        return weights["left"] @ weights["right"]
    blocks = []
    for number, circulant in enumerate(weights["circulant"]):
        # y = circ(w)ᵀ (d ⊙ x), the code of paper 1 for frames.
        block = scipy.linalg.circulant(circulant).T
        if "diagonal" in weights:
            block = block @ np.diag(weights["diagonal"][number])
        blocks.append(block.T)
    return np.concatenate(blocks, axis=1)[:, : projection.units]


def linear(projection, x):
    bias = 0.0 if projection.bias is None else numbers(projection.bias)
    return x @ matrix(projection) + bias


def batch_norm(norm, rows, statistics=None):
    """Of rows, with the moving statistics, or those of other rows."""
    gamma, beta, mean, variance = (numbers(variable) for variable in norm.weights)
    if statistics is not None:
        mean, variance = statistics.mean(axis=0), statistics.var(axis=0)
    return gamma * (rows - mean) / np.sqrt(variance + 1e-3) + beta


def softmax(row):
    powers = np.exp(row - row.max())
    return powers / powers.sum()


def length_one(vector):
    return vector / np.sqrt((vector**2).sum())


def projected(layer, video, statistics=None):
    """`norm(x W)` of the frames `(time, features)` of one video."""
    if statistics is not None:
        statistics = linear(layer.projected, statistics)
    return batch_norm(layer.norm, linear(layer.projected, video), statistics)


def dbof(layer, video, statistics=None):
    active = np.clip(projected(layer, video, statistics), 0, 6)
    return active.max(axis=0) if layer.pooling == "max" else active.mean(axis=0)


def shares(layer, video, statistics=None):
    return np.array([softmax(row) for row in projected(layer, video, statistics)])


def soft_dbof(layer, video, statistics=None):
    a = shares(layer, video, statistics)
    parts = [length_one(a.sum(axis=0))]
    if layer.with_max:
        parts.append(length_one(a.max(axis=0)))
    return np.concatenate(parts)


def netvlad(layer, video, statistics=None, has_centres=True):
    a = shares(layer, video, statistics)
    time, features = video.shape
    found = np.zeros((features, layer.clusters))
    for k in range(layer.clusters):
        centre = numbers(layer.centres)[:, k] if has_centres else 0.0
        for t in range(time):
            found[:, k] += a[t, k] * (video[t] - centre)
        found[:, k] = length_one(found[:, k])
    return length_one(feature_major(found))


def netrvlad(layer, video, statistics=None):
    return netvlad(layer, video, statistics, has_centres=False)


def netfv(layer, video, statistics=None):
    a = shares(layer, video, statistics)
    time, features = video.shape
    if layer.tied_centres:
        centres = 0.01 * matrix(layer.projected)
    else:
        centres = numbers(layer.centres)
    deviations = numbers(layer.root_deviation) ** 2 + 1e-6
    first, second = (np.zeros((features, layer.clusters)) for _ in range(2))
    for k in range(layer.clusters):
        for j in range(features):
            for t in range(time):
                scaled = (video[t, j] - centres[j, k]) / deviations[j, k]
                first[j, k] += a[t, k] * scaled
                second[j, k] += a[t, k] * (scaled**2 - 1)
        first[:, k] = length_one(first[:, k])
        if layer.second_order == "intra":
            second[:, k] = length_one(second[:, k])
    both = [length_one(feature_major(one)) for one in (first, second)]
    return np.concatenate(both)


def feature_major(table):
    """Of V[j, k], the vector with V[j, k] at j · K + k."""
    return np.array([value for row in table for value in row])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gated(layer, x):
    """Context gating of rows."""
    gates = linear(layer.projected, x)
    if layer.norm is not None:
        gates = batch_norm(layer.norm, gates)
    return x * sigmoid(gates)


def mixture(layer, x):
    """The mixture of experts of rows, class by class."""
    gates, experts = linear(layer.gates, x), linear(layer.experts, x)
    m = layer.mixtures
    found = np.zeros((len(x), layer.classes))
    for row in range(len(x)):
        for c in range(layer.classes):
            share = softmax(gates[row, c * (m + 1) : (c + 1) * (m + 1)])
            for expert in range(m):  # the last share is the dummy's
                chance = sigmoid(experts[row, c * m + expert])
                found[row, c] += share[expert] * chance
    return found
