"""Networks that label videos, from their frames: paper 1, §6.3 and Table 5.

Those that take the mean of a video's features, of Table 4, are `dcnn` with
`input_shape=(1152,)`, `classes=3862` and `initialization="youtube8m"`.
"""

import functools

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
    for key, kind in (("embedding", embedding), ("fc", fc), ("moe", moe)):
        check_choice(key, kind, PROJECTIONS)
    check_choice("aggregation", aggregation, AGGREGATIONS)
    check_choice("variant", variant, VARIANTS)
    check_choice("gating", gating, GATINGS)
    for key, size in (("fc_units", fc_units), ("features", features)):
        check_size(key, size)
    check_size("audio_features", audio_features)
    if gating == "published":
        gating = "dense" if moe == "dense" else "none"
    kinds = (embedding, fc, moe, gating)
    is_ranked = "low_rank" in kinds
    check_projection("low_rank" if is_ranked else "dense", rank, initialization)
    project = functools.partial(_arguments, rank=rank, initialization=initialization)

    sizes = {"rgb": features, **({"audio": audio_features} if audio else {})}
    dtype = "uint8" if quantized else "float32"
    inputs = [
        keras.Input((None, size), dtype=dtype, name=stream)
        for stream, size in sizes.items()
    ]
    num_frames = keras.Input((), dtype="int32", name="num_frames")
    inputs.append(num_frames)
    streams = DequantizeFrames(name="dequantized")(inputs)
    if bags is not None:
        sample = FrameSampler(bags, frames, evaluation, name="sampled")
        streams = sample([*_listed(streams), num_frames])
    outputs = []
    for (stream, size), x in zip(sizes.items(), _listed(streams), strict=True):
        kind, usual = AGGREGATIONS[aggregation]
        count = check_size("clusters", usual if clusters is None else clusters)
        count = count if stream == "rgb" else max(count // 2, 1)
        aggregate = kind(
            count,
            momentum=momentum,
            name=f"embedding_{stream}",
            **project(embedding, size, count),
        )
        if bags is None:
            x = aggregate([x, num_frames])
        else:
            x = aggregate(x)
            x = keras.layers.GlobalAveragePooling1D(name=f"bags_{stream}")(x)
        layer = make_projection(
            units=fc_units,
            # LOUPE's has a variance of 1/clusters.
            dense_initializer=normal(1 / (fc_units if variant == "araujo" else count)),
            circulant_initializer=normal(1 / fc_units),
            name=f"fc_{stream}",
            **project(fc, x.shape[-1], fc_units),
        )
        x = layer(x)
        if variant == "loupe":
            gate = ContextGating(momentum=momentum, name=f"gated_{stream}")
            outputs.append(gate(x))
            continue
        norm = keras.layers.BatchNormalization(
            momentum=momentum, epsilon=EPSILON, name=f"norm_{stream}"
        )
        relu = keras.layers.ReLU(max_value=6.0, name=f"relu_{stream}")
        outputs.append(relu(norm(x)))
    x = outputs[0]
    if audio:
        x = keras.layers.Concatenate(name="streams")(outputs)
    mixture = MixtureOfExperts(
        classes,
        mixtures=mixtures,
        regularization=regularization,
        name="probabilities" if gating == "none" else "mixture",
        **project(moe, x.shape[-1], classes * mixtures),
    )
    x = mixture(x)
    if gating != "none":
        gate = ContextGating(
            momentum=momentum,
            name="probabilities",
            **project(gating, classes, classes),
        )
        x = gate(x)
    return keras.Model(inputs, x, name=name)


def _arguments(projection, inputs, units, rank, initialization):
    """Arguments of a projection, whose rank is no larger than makes sense."""
    is_ranked = projection == "low_rank"
    return {
        "projection": projection,
        "rank": min(rank, inputs, units) if is_ranked else None,
        "initialization": initialization,
    }


def _listed(streams):
    return streams if isinstance(streams, list) else [streams]
