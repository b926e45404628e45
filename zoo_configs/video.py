"""Networks that label videos from their frames, dense and diagonal-circulant.

Paper: Araujo et al., 2020, Understanding and training deep diagonal circulant neural
       networks (ECAI), §6.3 and Table 5; Araujo's thesis, appendix 2, for sound,
       NetVLAD and NetFV.
Names: video_classifier_AGGREGATION[_audio][_BLOCK_KIND]_DATASET; `dc` is
       diagonal-circulant.
Run:   python -m training.prepare youtube8m --manual-dir DIR
       NAME=video_classifier_dbof_fc_dc_youtube8m
       python -m training.train $NAME --workdir out/run
       NAME=video_classifier_dbof_fc_dc_chorale_chords  # needs no download
       python -m training.train $NAME --workdir out/run
Cost:  YouTube-8M, frames: 1.5 TB, 18 epochs of 4 million examples; see docs/video.md.

youtube8m: paper 1's protocol. Train files, and the validation files whose names go on
with a letter; GAP@20 on the others. Each step has the halves of 320 videos, 10 bags of
15 frames of each, and an epoch here is 4 million videos, after which the rate is
multiplied with 0.8; each epoch draws its order anew, so that a video comes 15 times in
the mean. Of a part of the data, take `--set data.steps=0`: an epoch is then one pass.
There, four devices added up their gradients before that of each tensor was clipped to
a norm of 1.0; here their mean is clipped, to 0.25, and Adam's ε is a quarter of 1e-8.
There, batch norm was of each device's videos; and the figures below are the best of a
curve on the held-out files, at 110 to 125 thousand steps, where the last of 225
thousand is what a run here reports.
PUBLISHED, NOT RUN HERE, GAP@20; numbers count batch norm's moving statistics:

    images         dense   .846  45,359,764    images and sound
      DC embedding         .838  36,987,540      DBoF     dense   .861   65,795,732
      DC FC                .845  41,181,844               DC FC   .861   59,528,852
      circulant MoE        .805  12,668,504      NetVLAD  dense   .864   86,333,460
                                                          DC FC   .851   50,821,140
                                                 NetFV    dense   .860  122,054,676
                                                          DC FC   .848   51,030,036

`dbof_moe_dc` has diagonals too, and no published figure. Pooling over bags, of DBoF
with sound: average .855, maximum .852, robust, which is here, .861. A diagonal of fixed
signs: .831; three products in place of one .861, six .859. Larger mixes: 25M .831, 159M
.863.

chorale_chords: which triads sound in a chorale (training/data/chorale_chords), at hand
offline: results are in docs/video.md. Rivals have about as many numbers as the DC block
that they stand in for: low-rank ones of each block, and of the FC layer `fc_magnitude`,
and `fc_small`, which is dense with fewer units. `moe_ungated` is dense without context
gating, which networks with another MoE lack too.
"""

BLOCKS = {
    "": {},
    "embedding_dc": {"embedding": "diagonal_circulant"},
    "fc_dc": {"fc": "diagonal_circulant"},
    "moe_circulant": {"moe": "circulant"},
    "moe_dc": {"moe": "diagonal_circulant"},
}
RIVALS = {
    "embedding_low_rank": {"embedding": "low_rank", "rank": 1},
    "moe_low_rank": {"moe": "low_rank", "rank": 1},
    "moe_ungated": {"gating": "none"},
    "fc_low_rank": {"fc": "low_rank", "rank": 1},
    "fc_magnitude": {},
    "fc_small": {},
}
AGGREGATIONS = {"dbof": "DBoF", "netvlad": "NetVLAD", "netfv": "NetFV"}
_WORDS = {
    "": "dense",
    "embedding_dc": "DC embedding",
    "fc_dc": "DC FC",
    "moe_circulant": "circulant MoE",
    "moe_dc": "DC MoE",
    "embedding_low_rank": "low-rank embedding",
    "moe_low_rank": "low-rank MoE",
    "moe_ungated": "dense MoE, no gating",
    "fc_low_rank": "low-rank FC",
    "fc_magnitude": "gradual magnitude pruning of FC",
    "fc_small": "small dense FC",
}
# Methods are (aggregation, whether sound is heard, block).
_PUBLISHED = [
    *(("dbof", False, block) for block in BLOCKS),
    *((kind, True, block) for kind in AGGREGATIONS for block in ("", "fc_dc")),
]
_HERE = [(kind, False, block) for kind in AGGREGATIONS for block in (*BLOCKS, *RIVALS)]


def _method(aggregation, audio, block):
    words = [aggregation, "audio" if audio else "", block]
    return "_".join(word for word in words if word)


def _label(aggregation, audio, block):
    sound = " with sound" if audio else ""
    return f"{AGGREGATIONS[aggregation]}{sound}, {_WORDS[block]}"


DATASETS = {
    "youtube8m": {
        "methods": {_method(*parts): parts for parts in _PUBLISHED},
        "model": {
            "bags": 10,
            "frames": 15,
            "initialization": "youtube8m",
            "features": 1024,
            "classes": 3862,
        },
        "clusters": {"dbof": 8192, "netvlad": 64, "netfv": 64},
        "data": {
            "name": "youtube8m",
            "batch_size": 320,
            "steps": 12_500,
            "half_videos": 1,
            "classes": 3862,
        },
        "optimizer": {
            "learning_rate": 2e-4,
            "drop_factor": 0.8,
            "drop_at": list(range(1, 18)),
            "global_clipnorm": None,
            "clipnorm": 0.25,
            "epsilon": 2.5e-9,
        },
        # 15 times 4 822 555 videos.
        "epochs": 18,
    },
    # A smaller protocol: two cores are enough.
    "chorale_chords": {
        "methods": {_method(*parts): parts for parts in _HERE},
        "model": {
            "bags": None,
            "fc_units": 256,
            "mixtures": 2,
            "initialization": "paper",
            "momentum": 0.9,
            "features": 256,
            "classes": 36,
        },
        "clusters": {"dbof": 512, "netvlad": 32, "netfv": 32},
        "small_units": {"dbof": 69, "netvlad": 7, "netfv": 4},
        "data": {"name": "chorale_chords", "batch_size": 32},
        "optimizer": {
            "learning_rate": 2e-3,
            "drop_factor": 0.1,
            "drop_at": 0.7,
            "global_clipnorm": 1.0,
        },
        "epochs": 20,
    },
}
LABELS = {
    method: _label(*parts)
    for settings in DATASETS.values()
    for method, parts in settings["methods"].items()
}


def names():
    """Name → arguments of `get_config`."""
    return {
        _name(method, dataset): {"method": method, "dataset": dataset}
        for dataset, settings in DATASETS.items()
        for method in settings["methods"]
    }


def uncompressed(method, dataset):
    """Name of the dense network of the same aggregation."""
    aggregation, audio, _ = DATASETS[dataset]["methods"][method]
    return _name(_method(aggregation, audio, ""), dataset)


def get_config(method="dbof", dataset="youtube8m"):
    """The recipe, as numbers and strings."""
    settings = DATASETS[dataset]
    aggregation, audio, block = settings["methods"][method]
    small = {}
    if block == "fc_small":
        small["fc_units"] = settings["small_units"][aggregation]
    return {
        "name": _name(method, dataset),
        "seed": 0,
        "model": {
            "name": "video_classifier",
            "aggregation": aggregation,
            "clusters": settings["clusters"][aggregation],
            "audio": audio,
            **settings["model"],
            **{**BLOCKS, **RIVALS}[block],
            **small,
        },
        "data": dict(settings["data"]),
        "optimizer": dict(settings["optimizer"]),
        "loss": "multi_label_cross_entropy",
        "from_logits": False,
        "metrics": ["global_average_precision"],
        "stages": _stages(settings["epochs"], block),
    }


def _name(method, dataset):
    return f"video_classifier_{method}_{dataset}"


def _stages(epochs, block):
    if block != "fc_magnitude":
        return {"train": {"epochs": epochs}}
    # As many epochs in all. A DC layer has 2 n numbers where a dense one has 256 n.
    pruning = {"name": "MagnitudePruning", "sparsity": 1 - 2 / 256, "ramp": 0.7}
    return {
        "pretrain": {"epochs": epochs // 4},
        "sparsify": {
            "epochs": epochs // 2,
            "sparsifiers": [pruning],
            "carry_moments": True,
        },
        "finetune": {"epochs": epochs - epochs // 4 - epochs // 2, "threshold": -0.5},
    }
