"""What paper 2 published of its networks for images, cell by cell.

Source: Nazarov and Burnaev, 2020, §5.2 and §5.3, Figures 1 to 3 and 7 to 14, read off
the vector figures of the authors' repository, v2020.6. Accuracies are those of the test
split, read to about 0.0005, compressions to about 1 %.

Strengths are C = 1.5·2^(−k/2), for whole numbers k. Compression is N / (N − Z): N
trainable weights without `log_sigma2`, Z of them pruned, a complex one counted as two.
"""

import dataclasses
from typing import NamedTuple

MNIST_LIKE = ("mnist", "kmnist", "fashion_mnist", "emnist_letters")
DATASETS = (*MNIST_LIKE, "cifar10")
CONV, DENSE, VGG = "simple_conv", "two_layer_dense", "vgg16"


@dataclasses.dataclass(frozen=True)
class Cell:
    """A network, and how it was compressed.

    Attributes:
        model: `"simple_conv"`, `"two_layer_dense"` or `"vgg16"`.
        field: `"complex"` or `"real"`.
        width: 1; 0.5 of the paper's ½C, 2 of its 2R.
        features: `"raw"` or `"fft"`.
        dataset: One of `DATASETS`.
        method: `"vd"` or `"ard"`; `None` of an uncompressed network.
        k: Number of the strength; `None` of an uncompressed network.
    """

    model: str
    field: str
    width: float
    features: str
    dataset: str
    method: str | None = None
    k: int | None = None

    def __str__(self):
        width = {0.5: "½", 1: "", 2: "2"}.get(self.width, f"{self.width}×")
        field = {"complex": "C", "real": "R"}.get(self.field, self.field)
        network = f"{self.dataset} {self.features} {width}{field} {self.model}"
        if self.method is None:
            return network
        return f"{network} {self.method.upper()} k={self.k}"


class Accuracy(NamedTuple):
    """Test accuracy of an uncompressed network, over all its runs.

    Attributes:
        medians: The median; of VGG16, those of the VD runs and of the ARD runs, lower
            one first.
        lowest, highest: The range, `None` where it is not known.
    """

    medians: tuple
    lowest: float | None = None
    highest: float | None = None


class Compressed(NamedTuple):
    """Means of five runs of a compressed network, `None` where not known.

    Attributes:
        compression: N / (N − Z).
        before, after: Test accuracy before and after fine-tuning.
    """

    compression: float
    before: float | None = None
    after: float | None = None


# Columns: model, field, width.
C_CONV, R_CONV = (CONV, "complex", 1), (CONV, "real", 1)
C_DENSE, R_DENSE = (DENSE, "complex", 1), (DENSE, "real", 1)
_HALF_CONV, _TWICE_CONV = (CONV, "complex", 0.5), (CONV, "real", 2)
_HALF_DENSE, _TWICE_DENSE = (DENSE, "complex", 0.5), (DENSE, "real", 2)

_COLUMNS = {
    "raw": (C_CONV, R_CONV, _HALF_CONV, C_DENSE, R_DENSE, _HALF_DENSE),
    "fft": (C_CONV, R_CONV, _TWICE_CONV, C_DENSE, R_DENSE, _TWICE_DENSE),
}
_MEDIANS = {
    ("mnist", "raw"): (0.9883, 0.9868, 0.9860, 0.9682, 0.9679, 0.9673),
    ("mnist", "fft"): (0.9860, 0.9849, 0.9855, 0.9526, 0.9531, 0.9525),
    ("kmnist", "raw"): (0.9193, 0.9101, 0.9051, 0.8625, 0.8618, 0.8607),
    ("kmnist", "fft"): (0.8997, 0.8899, 0.8942, 0.8077, 0.8056, 0.8080),
    ("fashion_mnist", "raw"): (0.8836, 0.8786, 0.8735, 0.8628, 0.8623, 0.8622),
    ("fashion_mnist", "fft"): (0.8748, 0.8739, 0.8742, 0.8556, 0.8550, 0.8552),
    ("emnist_letters", "raw"): (0.9011, 0.8964, 0.8922, 0.8558, 0.8544, 0.8539),
    ("emnist_letters", "fft"): (0.8986, 0.8929, 0.8972, 0.7960, 0.7947, 0.7944),
}
_RANGES = {
    ("mnist", "raw", C_CONV): (0.9865, 0.9904),
    ("mnist", "raw", R_CONV): (0.9852, 0.9886),
    ("mnist", "fft", C_CONV): (0.9839, 0.9887),
    ("mnist", "fft", C_DENSE): (0.947, 0.958),
    ("kmnist", "raw", C_CONV): (0.911, 0.927),
}

# k → compression, accuracy before and after fine-tuning, for each column.
_MNIST_COLUMNS = (C_CONV, R_CONV, C_DENSE, R_DENSE)
_MNIST_VD = {
    "raw": {
        2: (
            (324, 0.9769, 0.9800),
            (234, 0.9780, 0.9806),
            (658, 0.9347, 0.9399),
            (576, 0.9479, 0.9516),
        ),
        6: (
            (187, 0.9845, 0.9845),
            (124, 0.9852, 0.9849),
            (489, 0.9601, 0.9622),
            (385, 0.9658, 0.9661),
        ),
        10: (
            (97, 0.9876, 0.9873),
            (57, 0.9868, 0.9863),
            (292, 0.9679, 0.9689),
            (212, 0.9681, 0.9682),
        ),
        14: (
            (46, 0.9878, 0.9880),
            (26, 0.9869, 0.9869),
            (140, 0.9680, 0.9703),
            (99, 0.9675, 0.9698),
        ),
        20: (
            (12.7, 0.9886, 0.9891),
            (8.3, 0.9880, 0.9881),
            (36.6, 0.9642, 0.9695),
            (28, 0.9630, 0.9689),
        ),
        30: (
            (1.5, 0.9892, 0.9893),
            (1.9, 0.9880, 0.9876),
            (5.7, 0.9678, 0.9690),
            (4.5, 0.9692, 0.9688),
        ),
    },
    "fft": {
        2: (
            (327, 0.9787, 0.9810),
            (221, 0.9791, 0.9795),
            (648, 0.9622, 0.9650),
            (1138, 0.9623, 0.9631),
        ),
        6: (
            (193, 0.9842, 0.9838),
            (117, 0.9840, 0.9836),
            (491, 0.9679, 0.9697),
            (757, 0.9670, 0.9697),
        ),
        10: (
            (103, 0.9859, 0.9862),
            (61, 0.9856, 0.9856),
            (346, 0.9690, 0.9702),
            (493, 0.9679, 0.9689),
        ),
        14: (
            (54, 0.9858, 0.9861),
            (32, 0.9856, 0.9856),
            (187, 0.9685, 0.9693),
            (241, 0.9671, 0.9666),
        ),
        20: (
            (19.6, 0.9859, 0.9858),
            (12.4, 0.9861, 0.9861),
            (32.8, 0.9661, 0.9657),
            (41, 0.9655, 0.9654),
        ),
    },
}

# ARD on raw pixels: compression, and accuracy after fine-tuning where it is known.
_MNIST_ARD = {
    C_CONV: {2: 327, 6: 192, 10: 96, 14: 44.5, 20: 12.0},
    R_DENSE: {2: 570, 10: 204, 20: 26},
}
_OTHER_ARD = {
    "kmnist": {2: (233, 0.8596), 10: (64, 0.9133), 20: (8.3, 0.9262)},
    "fashion_mnist": {2: (256, 0.8580), 10: (33, 0.8828), 20: (2.8, 0.8855)},
    "emnist_letters": {2: (169, 0.8745), 10: (32, 0.8955), 20: (3.4, 0.8995)},
}

_VGG_COLUMNS = (("complex", "vd"), ("complex", "ard"), ("real", "vd"), ("real", "ard"))
_VGG = {
    15: (
        (93, 0.898, 0.913),
        (87, 0.894, 0.913),
        (71, 0.906, 0.910),
        (60, 0.905, 0.910),
    ),
    14: (
        (122, 0.888, 0.911),
        (114, 0.887, 0.910),
        (91, 0.901, 0.909),
        (78, 0.904, 0.908),
    ),
    13: (
        (160, 0.871, 0.908),
        (149, 0.880, 0.910),
        (119, 0.891, 0.906),
        (102, 0.900, 0.908),
    ),
    12: (
        (207, 0.863, 0.904),
        (195, 0.856, 0.906),
        (153, 0.889, 0.905),
        (132, 0.894, 0.904),
    ),
    11: (
        (264, 0.831, 0.899),
        (251, 0.852, 0.901),
        (201, 0.875, 0.899),
        (174, 0.885, 0.902),
    ),
    10: (
        (331, 0.818, 0.892),
        (316, 0.833, 0.894),
        (258, 0.865, 0.895),
        (226, 0.872, 0.897),
    ),
    9: (
        (403, 0.801, 0.883),
        (386, 0.795, 0.884),
        (329, 0.825, 0.887),
        (290, 0.856, 0.892),
    ),
    8: (
        (479, 0.774, 0.873),
        (462, 0.778, 0.874),
        (412, 0.796, 0.879),
        (370, 0.813, 0.884),
    ),
    7: (
        (550, 0.763, 0.860),
        (536, 0.763, 0.862),
        (505, 0.770, 0.870),
        (460, 0.800, 0.875),
    ),
}


def _uncompressed():
    cells = {}
    for (dataset, features), medians in _MEDIANS.items():
        for column, median in zip(_COLUMNS[features], medians, strict=True):
            span = _RANGES.get((dataset, features, column), ())
            cells[Cell(*column, features, dataset)] = Accuracy((median,), *span)
    for field, *values in (
        ("complex", (0.9003, 0.9011), 0.891, 0.906),
        ("real", (0.8966, 0.8972), 0.891, 0.901),
    ):
        cells[Cell(VGG, field, 1, "raw", "cifar10")] = Accuracy(*values)
    return cells


def _compressed():
    cells = {}
    for features, by_k in _MNIST_VD.items():
        for k, row in by_k.items():
            for column, values in zip(_MNIST_COLUMNS, row, strict=True):
                cell = Cell(*column, features, "mnist", "vd", k)
                cells[cell] = Compressed(*values)
    for column, by_k in _MNIST_ARD.items():
        for k, compression in by_k.items():
            cells[Cell(*column, "raw", "mnist", "ard", k)] = Compressed(compression)
    for dataset, by_k in _OTHER_ARD.items():
        for k, (compression, after) in by_k.items():
            cell = Cell(*C_CONV, "raw", dataset, "ard", k)
            cells[cell] = Compressed(compression, after=after)
    for k, row in _VGG.items():
        for (field, method), values in zip(_VGG_COLUMNS, row, strict=True):
            cell = Cell(VGG, field, 1, "raw", "cifar10", method, k)
            cells[cell] = Compressed(*values)
    return cells


UNCOMPRESSED = _uncompressed()
COMPRESSED = _compressed()
