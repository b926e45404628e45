"""Layers that make one vector of the frames of a video, whatever their number."""

import keras
from keras import ops as kops

from cvzoo.layers.frame_aggregation import FrameAggregation
from cvzoo.layers.frames import SMALLEST_SQUARE, only_present
from cvzoo.layers.linear import check_choice
from cvzoo.layers.projection import normal

POOLINGS = ("max", "average")
SECOND_ORDERS = ("global", "intra")
# Added to the deviations of NetFV.
SMALLEST_DEVIATION = 1e-6
# Centres of NetFV that are tied are this times the kernel.
COUPLING = 0.01


@keras.saving.register_keras_serializable("cvzoo")
class DBoF(FrameAggregation):
    """Deep bag of frames: `max over frames of relu6(norm(x W))`.

    Args:
        clusters: Number of columns of W. 8192 for images and 4096 for sound in paper 1.
        pooling: `"max"` or `"average"` over the frames.
        projection: Kind of W: `"dense"`, `"diagonal_circulant"`, `"circulant"` or
            `"low_rank"`. Of circulants there are square blocks of the size of the
            frames, side by side.
        rank: Of `"low_rank"`.
        initialization: Of circulants, as in the code for YouTube-8M (`"youtube8m"`:
            normal circulants and diagonals, of variance 1/clusters), or as in §5 of the
            paper (`"paper"`: variance 2/n, random signs). A dense W begins with
            variance 1/features.
        momentum: Of the batch norm; 0.999 in that code.

    Call arguments:
        inputs: Frames `(batch, ..., time, features)`; or a list of frames and how many
            of them count, integers `(batch, ...)`. What the others hold changes
            nothing; where none count, the result is 0.
        training: Whether the batch norm takes the statistics of the batch.
        mask: Boolean `(batch, ..., time)`: which frames count, besides.

    Returns:
        Tensor `(batch, ..., clusters)`.

    Raises:
        ValueError: At build, if the number of features is not known.

    Reference:
        Abu-El-Haija et al., 2016; paper 1, §6.3.
    """

    def __init__(self, clusters, *, pooling="max", **kwargs):
        super().__init__(clusters, **kwargs)
        self.pooling = check_choice("pooling", pooling, POOLINGS)

    def aggregate(self, frames, projected, present):
        # None is below 0, so that zeros of padding are never the largest.
        active = only_present(kops.relu6(projected), present)
        if self.pooling == "max":
            return kops.max(active, axis=-2)
        if present is None:
            return kops.mean(active, axis=-2)
        count = kops.sum(kops.cast(present, "float32"), axis=-1, keepdims=True)
        return kops.sum(active, axis=-2) / kops.maximum(count, 1.0)

    def output_size(self, features):
        return self.clusters

    def get_config(self):
        return {**super().get_config(), "pooling": self.pooling}


class SoftAssignment(FrameAggregation):
    """Base of those whose frames belong to all clusters, by a softmax over them.

    A class gives `merge(frames, assigned)`, of float32 tensors, where frames that do
    not count belong to none.
    """

    def aggregate(self, frames, projected, present):
        assigned = only_present(kops.softmax(projected, axis=-1), present)
        return self.merge(frames, assigned)


@keras.saving.register_keras_serializable("cvzoo")
class SoftDBoF(SoftAssignment):
    """Soft bag of frames: how much of the video belongs to each cluster, of length 1.

    Frames belong to clusters by `softmax(norm(x W))`, which is summed over the frames.

    Args:
        clusters: Number of clusters.
        with_max: Whether the largest share of a frame, also of length 1, is put beside
            the sum.
        **kwargs: As of `DBoF`, without `pooling`.

    Call arguments:
        inputs, training, mask: As of `DBoF`.

    Returns:
        Tensor `(batch, ..., clusters)`, or twice as wide `with_max`.

    Reference:
        [Miech et al., 2017](https://arxiv.org/abs/1706.06905), Soft-DBoW.
    """

    def __init__(self, clusters, *, with_max=False, **kwargs):
        super().__init__(clusters, **kwargs)
        self.with_max = with_max

    def merge(self, frames, assigned):
        total = unit(kops.sum(assigned, axis=-2))
        if not self.with_max:
            return total
        return kops.concatenate([total, unit(kops.max(assigned, axis=-2))], axis=-1)

    def output_size(self, features):
        return self.clusters * (2 if self.with_max else 1)

    def get_config(self):
        return {**super().get_config(), "with_max": self.with_max}


@keras.saving.register_keras_serializable("cvzoo")
class NetRVLAD(SoftAssignment):
    """NetVLAD without centres: the frames of each cluster, summed by their shares.

    Args:
        clusters: Number of clusters.
        **kwargs: As of `DBoF`, without `pooling`.

    Call arguments:
        inputs, training, mask: As of `DBoF`.

    Returns:
        Tensor `(batch, ..., features · clusters)`, see `NetVLAD`.

    Reference:
        [Miech et al., 2017](https://arxiv.org/abs/1706.06905).
    """

    def merge(self, frames, assigned):
        return unit(flat(unit(weighted_sums(frames, assigned), axis=-2)))

    def output_size(self, features):
        return features * self.clusters


@keras.saving.register_keras_serializable("cvzoo")
class NetVLAD(NetRVLAD):
    """How far the frames of each cluster are from its centre, summed by their shares.

    With shares `aₜₖ = softmax over k of norm(xₜ W)`, `V[j, k] = Σₜ aₜₖ (xₜⱼ − μⱼₖ)`.
    Each cluster's vector gets length 1, and then all of them together.

    Args:
        clusters: Number of clusters, K.
        **kwargs: As of `DBoF`, without `pooling`.

    Call arguments:
        inputs, training, mask: As of `DBoF`.

    Returns:
        Tensor `(batch, ..., features · K)`: V[j, k] at place j·K + k.

    Reference:
        [Arandjelović et al., 2016](https://arxiv.org/abs/1511.07247); Miech et al.,
        2017; paper 1, §6.3.
    """

    def build(self, input_shape):
        super().build(input_shape)
        self.centres = add_centres(self)

    def merge(self, frames, assigned):
        sums = weighted_sums(frames, assigned)
        residuals = sums - kops.sum(assigned, axis=-2)[..., None, :] * self.centres
        return unit(flat(unit(residuals, axis=-2)))


@keras.saving.register_keras_serializable("cvzoo")
class NetFV(SoftAssignment):
    """Fisher vectors: first and second moments of the frames of each cluster.

    With shares a as in `NetVLAD`, centres μ and deviations `s = s̃² + 1e-6`,

    - `FV1[j, k] = Σₜ aₜₖ (xₜⱼ − μⱼₖ) / sⱼₖ`;
    - `FV2[j, k] = Σₜ aₜₖ ((xₜⱼ − μⱼₖ)² / sⱼₖ² − 1)`.

    Args:
        clusters: Number of clusters, K.
        tied_centres: Whether `μ = 0.01 · W`, so that centres cost nothing.
        second_order: Whether FV2 as a whole gets length 1 (`"global"`, as in the code
            of LOUPE and that of paper 1, which makes it flat too early), or first each
            cluster of it, as of FV1 (`"intra"`).
        **kwargs: As of `DBoF`, without `pooling`.

    Call arguments:
        inputs, training, mask: As of `DBoF`.

    Returns:
        Tensor `(batch, ..., 2 · features · K)`: FV1 and then FV2, each of length 1,
        with the places of `NetVLAD`.

    Raises:
        ValueError: Tied centres without a dense projection.

    Reference:
        [Miech et al., 2017](https://arxiv.org/abs/1706.06905); paper 1, §6.3.
    """

    def __init__(
        self, clusters, *, tied_centres=False, second_order="global", **kwargs
    ):
        super().__init__(clusters, **kwargs)
        if tied_centres and self.projection != "dense":
            raise ValueError(
                "`tied_centres=True` needs projection='dense': centres are taken from "
                f"its kernel. Received: projection={self.projection!r}"
            )
        self.tied_centres = tied_centres
        self.second_order = check_choice("second_order", second_order, SECOND_ORDERS)

    def build(self, input_shape):
        super().build(input_shape)
        self.centres = None if self.tied_centres else add_centres(self)
        start = keras.initializers.RandomNormal(mean=1.0, stddev=self.features**-0.5)
        self.root_deviation = self.add_weight(
            name="root_deviation",
            shape=(self.features, self.clusters),
            initializer=start,
            autocast=False,
        )

    def merge(self, frames, assigned):
        centres = self.centres
        if self.tied_centres:
            centres = kops.cast(self.projected.kernel, "float32") * COUPLING
        deviation = kops.square(self.root_deviation) + SMALLEST_DEVIATION
        share = kops.sum(assigned, axis=-2)[..., None, :]
        sums = weighted_sums(frames, assigned)
        squares = weighted_sums(kops.square(frames), assigned)
        first = (sums - centres * share) / deviation
        spread = squares - 2 * centres * sums + kops.square(centres) * share
        second = spread / kops.square(deviation) - share
        if self.second_order == "intra":
            second = unit(second, axis=-2)
        vectors = [unit(flat(one)) for one in (unit(first, axis=-2), second)]
        return kops.concatenate(vectors, axis=-1)

    def output_size(self, features):
        return 2 * features * self.clusters

    def get_config(self):
        return {
            **super().get_config(),
            "tied_centres": self.tied_centres,
            "second_order": self.second_order,
        }


def add_centres(layer):
    """Centres of the clusters of a layer, `(features, clusters)`."""
    return layer.add_weight(
        name="centres",
        shape=(layer.features, layer.clusters),
        initializer=normal(1 / layer.features),
        autocast=False,
    )


def weighted_sums(frames, shares):
    """`Σₜ x[t, j] a[t, k]`, of shape `(..., features, clusters)`."""
    return kops.einsum("...tj,...tk->...jk", frames, shares)


def flat(matrices):
    """The last two axes as one."""
    *_, rows, columns = matrices.shape
    return kops.reshape(matrices, (*kops.shape(matrices)[:-2], rows * columns))


def unit(vectors, axis=-1):
    """Vectors of length 1; zeros stay zeros, with finite gradients."""
    square = kops.sum(kops.square(vectors), axis=axis, keepdims=True)
    return vectors * kops.rsqrt(kops.maximum(square, SMALLEST_SQUARE))
