"""Networks of paper 1: the published numbers of weights, and how they begin."""

import keras
import numpy as np
import pytest

import cvzoo

DIGITS = {"input_shape": (28, 28, 1), "pad_images": 2}
YOUTUBE = {"input_shape": (1152,), "classes": 3862}
LDR = {"depth": 1, "head": "dense", "negative_slope": 0.0}
MNIST = {"depth": 8, **DIGITS}


def _cifar10(layer, counts, **arguments):
    """Published counts of networks on flattened CIFAR-10, by depth."""
    arguments = {"layer": layer, **arguments}
    return [("dcnn", {**arguments, "depth": depth}, n) for depth, n in counts.items()]


def _scattering(counts, **arguments):
    return [
        ("scattering_dcnn", {**arguments, "depth": depth}, count)
        for depth, count in counts.items()
    ]


PUBLISHED = [
    # Table 1, and the weights of the networks of Figure 4a.
    *_cifar10("diagonal_circulant", {2: 21_524, 5: 49_172}),
    *_cifar10("dense", {1: 9_470_986}),
    ("dcnn", {"layer": "ldr_tridiagonal", "rank": 2, **LDR}, 64_518),
    ("dcnn", {"layer": "ldr_tridiagonal", "rank": 3, **LDR}, 70_662),
    ("dcnn", {"layer": "toeplitz_like", "rank": 2, **LDR}, 46_090),
    ("dcnn", {"layer": "toeplitz_like", "rank": 3, **LDR}, 52_234),
    *_cifar10("diagonal_toeplitz", {1: 18_452, 30: 374_804}),
    *_cifar10("toeplitz", {2: 24_586, 40: 374_794}),
    *_cifar10("low_rank", {1: 21_534}, rank=2),
    *_cifar10("low_rank", {1: 372_122}, rank=40),
    # Table 2.
    *_scattering({1: 124_436, 3: 217_748}),
    *_scattering({3: 1_088_740}, ensemble=5),
    *_scattering({1: 139_966}, layer="ldr_subdiagonal", rank=1),
    *_scattering({1: 419_902}, layer="ldr_subdiagonal", rank=10),
    *_scattering({1: 388_800}, layer="toeplitz_like", rank=10),
    # Table 3.
    ("dcnn", MNIST, 25_620),
    ("lenet", {}, 4_257_674),
    # Table 4.
    ("dcnn", {"depth": 4, **YOUTUBE}, 25_410),
    ("dcnn", {"depth": 32, **YOUTUBE}, 122_178),
    ("dcnn", {"depth": 4, "head": "dense", **YOUTUBE}, 4_466_710),
    ("dcnn", {"depth": 1, "layer": "dense", **YOUTUBE}, 5_781_142),
]


@pytest.mark.parametrize(("name", "arguments", "published"), PUBLISHED)
def test_networks_have_the_papers_counts(name, arguments, published):
    assert cvzoo.create_model(name, **arguments).count_params() == published
