"""Linear maps inside layers and networks for videos: dense, or of fewer numbers."""

import keras

from cvzoo.layers.circulant import Circulant, DiagonalCirculant
from cvzoo.layers.linear import check_choice, check_last_axis, check_size
from cvzoo.layers.structured.low_rank import LowRank

PROJECTIONS = ("dense", "diagonal_circulant", "circulant", "low_rank")
INITIALIZATIONS = ("youtube8m", "paper")
# Of TensorFlow's slim, which the code of paper 1 left as they were.
MOMENTUM, EPSILON = 0.999, 1e-3


def normal(variance):
    """Initializer of mean 0 and some variance."""
    return keras.initializers.RandomNormal(stddev=variance**0.5)


def fan_in_normal():
    """Initializer of variance 1/inputs."""
    return keras.initializers.VarianceScaling(
        1.0, mode="fan_in", distribution="untruncated_normal"
    )


def fan_out_normal():
    """Initializer of variance 1/outputs, or 1/n of circulants of size n."""
    return keras.initializers.VarianceScaling(
        1.0, mode="fan_out", distribution="untruncated_normal"
    )


def check_projection(projection, rank, initialization):
    """Raises where the arguments of a projection cannot be."""
    check_choice("projection", projection, PROJECTIONS)
    check_choice("initialization", initialization, INITIALIZATIONS)
    if (rank is None) == (projection == "low_rank"):
        raise ValueError(
            "`rank` must be a whole number for projection='low_rank', and None for "
            f"others. Received: rank={rank} for projection={projection!r}"
        )
    return rank and check_size("rank", rank)


def make_projection(
    projection,
    units,
    *,
    rank=None,
    initialization="youtube8m",
    dense_initializer="glorot_uniform",
    circulant_initializer=None,
    use_bias=False,
    bias_initializer="zeros",
    **kwargs,
):
    """A linear layer.

    Args:
        projection: `"dense"`: `keras.layers.Dense`; `"diagonal_circulant"` and
            `"circulant"`: square blocks of the size of the inputs, side by side and cut
            to the units, as in the frame-level code of paper 1, where the diagonal
            scales the inputs; `"low_rank"`: `LowRank`.
        units: Number of outputs.
        rank: Of `"low_rank"`.
        initialization: `"youtube8m"`: circulants, and diagonals, as the next argument
            says; `"paper"`: normal circulants of variance 2/n and random signs
            (paper 1, §5).
        dense_initializer: Of a dense kernel.
        circulant_initializer: Of circulants and diagonals, in that code.
        use_bias, bias_initializer: As of `keras.layers.Dense`.
        **kwargs: `name` and `dtype`.
    """
    bias = {"use_bias": use_bias, "bias_initializer": bias_initializer}
    if projection == "dense":
        return keras.layers.Dense(
            units, kernel_initializer=dense_initializer, **bias, **kwargs
        )
    if projection == "low_rank":
        return LowRank(units, rank, **bias, **kwargs)
    is_code = initialization == "youtube8m"
    start = circulant_initializer if is_code else None
    blocks = {"rectangular": "blocks", "transpose": True, **bias, **kwargs}
    if projection == "circulant":
        return Circulant(units, circulant_initializer=start, **blocks)
    return DiagonalCirculant(
        units,
        order="diagonal_first",
        circulant_initializer=start,
        # A copy, or both would begin with equal numbers.
        diagonal_initializer=start and start.clone(),
        **blocks,
    )


class ProjectedLayer(keras.layers.Layer):
    """Base of layers that hold projections.

    Args:
        projection, rank, initialization: As of `make_projection`.
    """

    def __init__(
        self,
        *,
        projection="dense",
        rank=None,
        initialization="youtube8m",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.rank = check_projection(projection, rank, initialization)
        self.projection = projection
        self.initialization = initialization
        self.supports_masking = True

    def make(self, name, units, **arguments):
        """A projection of the kind of this layer."""
        return make_projection(
            self.projection,
            units,
            rank=self.rank,
            initialization=self.initialization,
            name=name,
            dtype=self.dtype_policy,
            **arguments,
        )

    def check_features(self, shape):
        """The size of the last axis, which must be known."""
        return check_last_axis(self, shape)

    def get_config(self):
        return {
            **super().get_config(),
            "projection": self.projection,
            "rank": self.rank,
            "initialization": self.initialization,
        }
