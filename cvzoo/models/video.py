"""Networks that label videos, from their frames: paper 1, §6.3 and Table 5.

Those that take the mean of a video's features, of Table 4, are `dcnn` with
`input_shape=(1152,)`, `classes=3862` and `initialization="youtube8m"`.
"""

import keras

from cvzoo.layers import (
    ContextGating,
    DBoF,
    DequantizeFrames,
    FrameSampler,
    MixtureOfExperts,
    NetFV,
    NetRVLAD,
    NetVLAD,
    SoftDBoF,
)
from cvzoo.layers.linear import check_choice, check_size
from cvzoo.layers.projection import (
    EPSILON,
    MOMENTUM,
    PROJECTIONS,
    check_projection,
    make_projection,
    normal,
)
from cvzoo.models.registry import register_model

# Layer, and the published number of clusters for images; sound has half as many.
AGGREGATIONS = {
    "dbof": (DBoF, 8192),
    "soft_dbof": (SoftDBoF, 8192),
    "netvlad": (NetVLAD, 64),
    "netrvlad": (NetRVLAD, 64),
    "netfv": (NetFV, 64),
}
VARIANTS = ("araujo", "loupe")
GATINGS = ("published", "none", *PROJECTIONS)


@register_model(
    tiny={
        **{"clusters": 4, "fc_units": 6, "mixtures": 2, "bags": 2, "frames": 3},
        **{"features": 5, "audio_features": 3, "classes": 4},
    },
    size="fc_units",
)
def video_classifier(
    aggregation="dbof",
    embedding="dense",
    fc="dense",
    moe="dense",
    gating="published",
    rank=None,
    clusters=None,
    fc_units=512,
    mixtures=4,
    bags=10,
    frames=15,
    evaluation="even",
    audio=False,
    quantized=True,
    variant="araujo",
    initialization="youtube8m",
    regularization=1e-8,
    momentum=MOMENTUM,
    features=1024,
    audio_features=128,
    classes=3862,
    name="video_classifier",
):
    """Frames → embedding, averaged over bags → FC → mixture of experts → gating.

    Images and sound have an embedding and an FC each, which are put side by side.
    As it stands, 45 359 764 parameters with those of batch norm's moving statistics,
    the original network of paper 1's Table 5.

    Args:
        aggregation: The embedding: `"dbof"`, `"soft_dbof"`, `"netvlad"`, `"netrvlad"`
            or `"netfv"`.
        embedding: Its projection: `"dense"`, `"diagonal_circulant"`, `"circulant"` or
            `"low_rank"`.
        fc: Likewise of the layer after it; relu6 and batch norm follow.
        moe: Likewise of the mixture of experts. Paper 1 has plain `"circulant"` there.
        gating: The context gating of the probabilities: `"published"` is dense after a
            dense mixture of experts and `"none"` after others; or a kind as above.
        rank: Of all that are `"low_rank"`, but at most their inputs and units.
        clusters: Of the embedding of images; that of sound has half as many. Defaults
            to 8192 of both DBoFs, and 64 of the others.
        fc_units: Units of the FC layer of each stream.
        mixtures: Experts of a class, without the dummy.
        bags, frames, evaluation: See `cvzoo.layers.FrameSampler`. With `bags=None`
            nothing is drawn: all frames are aggregated, and `frames` is not used.
        audio: Whether sound is heard besides.
        quantized: Whether frames are bytes, as in the shards of YouTube-8M, or floats.
        variant: `"araujo"`, as in the code of paper 1; or `"loupe"`, where context
            gating follows the FC layer of each stream instead of batch norm and relu6.
        initialization: Of circulants: `"youtube8m"` as in the code, or `"paper"` as in
            §5. See `cvzoo.layers.DBoF`.
        regularization: Of the mixture of experts.
        momentum: Of all batch norms.
        features, audio_features: Of a frame.
        classes: Number of classes.
        name: Name of the model.

    Returns:
        A `keras.Model` from the list `[rgb, num_frames]`, or `[rgb, audio,
        num_frames]`, to `probabilities` `(batch, classes)`, which are no logits and
        need not add up to 1. `rgb` is `(batch, time, features)`, `audio` likewise, and
        `num_frames`, integers `(batch,)`, says how many frames of each video count.
        Any time will do; YouTube-8M's videos have at most 300 frames.

    Reference:
        Paper 1, §6.3 and Table 5; [Miech et al., 2017](
        https://arxiv.org/abs/1706.06905).
    """
    make = _Maker(aggregation, clusters, variant, rank, initialization, momentum)
    make.check(embedding, fc, moe, gating)
    sizes = {"rgb": check_size("features", features)}
    if audio:
        sizes["audio"] = check_size("audio_features", audio_features)
    inputs = _inputs(sizes, quantized)
    num_frames = inputs[-1]
    streams = _listed(DequantizeFrames(name="dequantized")(inputs))
    if bags is not None:
        sample = FrameSampler(bags, frames, evaluation, name="sampled")
        streams = _listed(sample([*streams, num_frames]))
        num_frames = None
    outputs = []
    for stream, x in zip(sizes, streams, strict=True):
        x = make.embedding(embedding, x, num_frames, stream)
        outputs.append(make.fc(fc, x, fc_units, stream))
    x = keras.layers.Concatenate(name="streams")(outputs) if audio else outputs[0]
    if gating == "published":
        gating = "dense" if moe == "dense" else "none"
    is_last = gating == "none"
    mixture = MixtureOfExperts(
        classes,
        mixtures=mixtures,
        regularization=regularization,
        name="probabilities" if is_last else "mixture",
        **make.arguments(moe, x.shape[-1], classes * mixtures),
    )
    x = mixture(x)
    if not is_last:
        x = make.gating(gating, x, "probabilities")
    return keras.Model(inputs, x, name=name)


def _inputs(sizes, quantized):
    """Inputs of streams with some numbers of features, and of the numbers of frames."""
    dtype = "uint8" if quantized else "float32"
    streams = [
        keras.Input((None, size), dtype=dtype, name=name)
        for name, size in sizes.items()
    ]
    return [*streams, keras.Input((), dtype="int32", name="num_frames")]


def _listed(streams):
    return streams if isinstance(streams, list) else [streams]


class _Maker:
    """Makes and applies the parts of a network."""

    def __init__(self, aggregation, clusters, variant, rank, initialization, momentum):
        self.kind, usual = AGGREGATIONS[
            check_choice("aggregation", aggregation, AGGREGATIONS)
        ]
        self.clusters = check_size("clusters", usual if clusters is None else clusters)
        self.variant = check_choice("variant", variant, VARIANTS)
        self.rank, self.initialization = rank, initialization
        self.momentum = momentum

    def check(self, embedding, fc, moe, gating):
        """Raises where kinds of projections cannot be, or need a rank."""
        for key, kind in (("embedding", embedding), ("fc", fc), ("moe", moe)):
            check_choice(key, kind, PROJECTIONS)
        check_choice("gating", gating, GATINGS)
        is_ranked = "low_rank" in (embedding, fc, moe, gating)
        kind = "low_rank" if is_ranked else "dense"
        check_projection(kind, self.rank, self.initialization)

    def arguments(self, projection, inputs, units):
        """Arguments of a projection, whose rank is no larger than makes sense."""
        is_ranked = projection == "low_rank"
        return {
            "projection": projection,
            "rank": min(self.rank, inputs, units) if is_ranked else None,
            "initialization": self.initialization,
        }

    def embedding(self, projection, x, num_frames, stream):
        """One vector of the frames; the mean over bags, where there are any."""
        clusters = self._clusters(stream)
        aggregate = self.kind(
            clusters,
            momentum=self.momentum,
            name=f"embedding_{stream}",
            **self.arguments(projection, x.shape[-1], clusters),
        )
        if num_frames is not None:
            return aggregate([x, num_frames])
        mean = keras.layers.GlobalAveragePooling1D(name=f"bags_{stream}")
        return mean(aggregate(x))

    def _clusters(self, stream):
        return self.clusters if stream == "rgb" else max(self.clusters // 2, 1)

    def fc(self, projection, x, units, stream):
        """A linear layer, and then batch norm and relu6, or context gating."""
        is_loupe = self.variant == "loupe"
        layer = make_projection(
            units=check_size("fc_units", units),
            dense_initializer=normal(
                1 / (self._clusters(stream) if is_loupe else units)
            ),
            circulant_initializer=normal(1 / units),
            name=f"fc_{stream}",
            **self.arguments(projection, x.shape[-1], units),
        )
        x = layer(x)
        if is_loupe:
            return self.gating("dense", x, f"gated_{stream}")
        norm = keras.layers.BatchNormalization(
            momentum=self.momentum, epsilon=EPSILON, name=f"norm_{stream}"
        )
        return keras.layers.ReLU(max_value=6.0, name=f"relu_{stream}")(norm(x))

    def gating(self, projection, x, name):
        size = x.shape[-1]
        gate = ContextGating(
            momentum=self.momentum, name=name, **self.arguments(projection, size, size)
        )
        return gate(x)
