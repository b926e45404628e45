"""Trabelsi's networks for the notes in music, sparsified as in paper 2.

Paper: Nazarov and Burnaev, 2020, MusicNet (§5.4); Trabelsi et al., 2018, Deep Complex
       Networks (§4.2).
Names: MODEL_VARIANT_METHOD_DATASET.
Run:   python -m training.prepare musicnet --manual-dir DIR
       python -m training.train musicnet_deep_complex_vd_musicnet --workdir out/run
       python -m training.tradeoff musicnet_deep_complex_vd_musicnet --strengths all
       python -m training.train musicnet_deep_complex_vd_chorales --workdir out/run
Cost:  MusicNet: 94 epochs of 1 000 batches of 321 windows; a GPU's work. Chorales: up
       to 40 minutes, 2 CPU cores.

MusicNet: paper 2's protocol. One random window of each of the 321 recordings in a
batch, 12, 32 and 50 epochs, fine-tuning stopped early, clipping at 0.05, C in
{1/4, 1/2, 3/4, 1} · 10^-k and 1e-4, κ = 1e-5, so that `strength` is 3.21 C; recipes
have C = 5e-3. `k3` has a first window of 3, Trabelsi's schedule, 50, 75 and 50 epochs,
early stopping in the first stage too, and had a finer set of C than is here.
PUBLISHED, NOT RUN HERE, means of five: compression, pooled average precision before >
after fine-tuning; uncompressed .712 [.697, .726] in the runs of VD, .710 [.699, .721]
in those of ARD, k3 .685 [.663, .709].

    C       VD                ARD               k3 VD after fine-tuning
    1e-4    ×4    .695>.682   ×4    .698>.681   ×82 .714, ×122 .716, ×164 .718,
    2.5e-4  ×6    .704>.687   ×6    .703>.682   ×208 .716, ×290 .714, ×543 .698,
    5e-4    ×11   .707>.691   ×10   .707>.690   ×1150 .665, ×2030 .565
    7.5e-4  ×16   .711>.696   ×15   .713>.690
    1e-3    ×20   .715>.696   ×19   .712>.688
    2.5e-3  ×52   .724>.710   ×48   .727>.714
    5e-3    ×112  .717>.718   ×104  .722>.724
    7.5e-3  ×178  .710>.716   ×161  .714>.720
    1e-2    ×236  .706>.710   ×218  .706>.714
    2.5e-2  ×528  .677>.693   ×496  .681>.694
    5e-2    ×847  .651>.669   ×796  .658>.675
    7.5e-2  ×1053 .642>.661   ×994  .646>.665
    1e-1    ×1201 .621>.644   ×1146 .634>.652

Trabelsi's own networks, `trabelsi` for METHOD: 200 epochs, his windows. PUBLISHED, NOT
RUN HERE: pooled average precision of the deep complex network .729, real .696.

Chorales: 11 kHz sound SYNTHESISED from real scores (training/data/chorales), at hand
offline: results are in docs/music.md.
"""

LABELS = {"vd": "VD", "ard": "ARD", "trabelsi": "Trabelsi's, not compressed"}
SPARSIFIERS = {"vd": "VariationalDropout", "ard": "ARD"}
VARIANTS = {
    "complex": {"field": "complex", "first_kernel": 6},
    "complex_k3": {"field": "complex", "first_kernel": 3},
    "real": {"field": "real"},
}
KAPPA = 1e-5
# Paper 2's values of C.
GRID = (
    *(1e-4, 2.5e-4, 5e-4, 7.5e-4, 1e-3, 2.5e-3, 5e-3, 7.5e-3),
    *(1e-2, 2.5e-2, 5e-2, 7.5e-2, 1e-1),
)
# Rates fall in these epochs, and are multiplied with these numbers.
SHORT = {"drop_at": [5, 10, 20, 50], "drop_factor": [0.1, 0.5, 0.2, 0.1]}
TRABELSI = {"drop_at": [10, 100, 120, 150], "drop_factor": [0.1, 0.5, 0.2, 0.1]}
STOPPING = {"early_stopping": {"patience": 20, "max_drop": 0.02}}
PAPER = {
    "schedule": SHORT,
    "pretrain": {"epochs": 12},
    "sparsify": {"epochs": 32},
    "finetune": {"epochs": 50, **STOPPING},
}
SETTINGS = {
    "musicnet": {
        "variants": {
            "complex": PAPER,
            "complex_k3": {
                "schedule": TRABELSI,
                "pretrain": {"epochs": 50, **STOPPING},
                "sparsify": {"epochs": 75},
                "finetune": {"epochs": 50, **STOPPING},
            },
            "real": PAPER,
        },
        "c": 5e-3,
        "data": {"batch_size": 321, "steps": 1000, "stride": 128},
    },
    # A smaller protocol: two cores are enough.
    "chorales": {
        "variants": {
            "complex": {
                "schedule": {"drop_at": 0.6, "drop_factor": 0.1},
                "pretrain": {"epochs": 5},
                "sparsify": {"epochs": 6},
                "finetune": {"epochs": 3},
            },
        },
        "c": 1e-2,
        "data": {"batch_size": 64, "steps": 200, "stride": 4096},
    },
}
# Trabelsi's own networks: the real ones take moduli (deep) or audio (shallow).
OWN = [
    (model, field)
    for model in ("musicnet_deep", "musicnet_shallow")
    for field in ("complex", "real")
]


def names():
    """Name → arguments of `get_config`."""
    found = {
        _name("musicnet_deep", variant, method, dataset): {
            "variant": variant,
            "method": method,
            "dataset": dataset,
        }
        for dataset, settings in SETTINGS.items()
        for variant in settings["variants"]
        for method in SPARSIFIERS
    }
    for model, field in OWN:
        found[_name(model, field, "trabelsi", "musicnet")] = {
            "model": model,
            "variant": field,
            "method": "trabelsi",
            "dataset": "musicnet",
        }
    return found


def strengths(dataset, **_):
    """What a trade-off's points are called, paper 2's C → strength."""
    return {f"{c:g}": _strength(dataset, c) for c in GRID}


def uncompressed(model, variant, dataset, **_):
    """Trabelsi's network, which is not compressed."""
    return _name(model, variant, "trabelsi", dataset)


def get_config(
    model="musicnet_deep", variant="complex", method="vd", dataset="musicnet"
):
    """The recipe, as numbers and strings."""
    is_own = method == "trabelsi"
    settings = SETTINGS[dataset]
    stages = settings["variants"][variant]
    schedule = TRABELSI if is_own else stages["schedule"]
    return {
        "name": _name(model, variant, method, dataset),
        "seed": 0,
        "model": {
            "name": model,
            **({"field": variant} if is_own else VARIANTS[variant]),
            "variant": "trabelsi" if is_own else "nazarov",
            "width": 1,
        },
        "data": {
            "name": dataset,
            "protocol": "trabelsi" if is_own else "nazarov",
            **settings["data"],
        },
        "optimizer": {
            "learning_rate": 1e-3,
            "epsilon": 1e-8,
            **schedule,
            "global_clipnorm": None if is_own else 0.05,
        },
        "loss": "binary_crossentropy",
        "metrics": ["average_precision"],
        "stages": {"train": {"epochs": 200}}
        if is_own
        else {
            "pretrain": dict(stages["pretrain"]),
            "sparsify": {
                **stages["sparsify"],
                "sparsifiers": [
                    {
                        "name": SPARSIFIERS[method],
                        "strength": _strength(dataset, settings["c"]),
                    }
                ],
                "carry_moments": True,
            },
            "finetune": {**stages["finetune"], "threshold": -0.5},
        },
    }


def _strength(dataset, c):
    """That which makes the loss's strength · KL / examples of an epoch C κ KL."""
    data = SETTINGS[dataset]["data"]
    return c * KAPPA * data["batch_size"] * data["steps"]


def _name(model, variant, method, dataset):
    return "_".join([model, variant, method, dataset])
