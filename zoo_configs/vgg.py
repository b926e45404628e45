"""VGG networks for small images, real and complex, sparsified.

Paper: Nazarov and Burnaev, 2020, VGG16 on CIFAR-10 (§5.3).
Names: MODEL_FIELD_METHOD_DATASET.
Run:   python -m training.train vgg16_complex_vd_cifar10 --workdir out/run
       python -m training.tradeoff vgg16_complex_vd_cifar10 --strengths all
       python -m training.train vgg8_complex_vd_digits --workdir out/run
Cost:  VGG16 on CIFAR-10: 80 epochs of 391 steps; a GPU's work. VGG8 on digits: see
       docs/image_zoo.md.

CIFAR-10: the paper's protocol, all 50 000 images, cropped and mirrored at random,
C = 1.5 · 2^(-k/2), k = 7 … 15, and κ = 1e-4, five times 1/50 000, so that `strength` is
5 C; recipes have k = 15. VGG8 to VGG19 but VGG16 are in the paper's code, and no
figures are published. PUBLISHED, NOT RUN HERE, means of five: compression, accuracy
before > after fine-tuning. All k are in training/published/cells.py, and
`training.evaluate --against-published` compares.

    VGG16   C VD             C ARD            R VD             R ARD
    k = 15  ×93  .898>.913   ×87  .894>.913   ×71  .906>.910   ×60  .905>.910
    k = 12  ×207 .863>.904   ×195 .856>.906   ×153 .889>.905   ×132 .894>.904
    k = 10  ×331 .818>.892   ×316 .833>.894   ×258 .865>.895   ×226 .872>.897
    k = 7   ×550 .763>.860   ×536 .763>.862   ×505 .770>.870   ×460 .800>.875
    uncompressed: C .9003 to .9011, R .8966 to .8972

Digits: scikit-learn's 1 797 images, split by writer, made larger to 32×32, and VGG8
with 16 filters in place of 64.
"""

FIELDS = ("complex", "real")
LABELS = {"vd": "VD", "ard": "ARD"}
# Those of paper 2, times five: index k → strength.
STRENGTHS = {k: 5 * 1.5 * 2 ** (-k / 2) for k in range(7, 16)}
K = 15
SETTINGS = {
    "cifar10": {
        "models": ("vgg8", "vgg11", "vgg13", "vgg16", "vgg19"),
        "methods": {
            "vd": [{"name": "VariationalDropout", "strength": STRENGTHS[K]}],
            "ard": [{"name": "ARD", "strength": STRENGTHS[K]}],
        },
        "strengths": STRENGTHS,
        "model": {"filters": 64, "input_shape": [32, 32, 3]},
        "data": {"n_train": 50_000, "crop_padding": 4, "flips": 1},
        "drop_at": 10,
        "epochs": (20, 40, 20),
    },
    "digits": {
        "models": ("vgg8",),
        "methods": {
            # Of three tried, by the validation writers of fold 0.
            "vd": [{"name": "VariationalDropout", "strength": 0.03}],
            "ard": [{"name": "ARD", "strength": 0.03}],
        },
        "strengths": {strength: strength for strength in (0.03, 0.1, 0.3)},
        "model": {
            "filters": 16,
            "input_shape": [32, 32, 1],
            "mean": [0.5],
            "deviation": [0.5],
        },
        "data": {"fold": 0, "size": 32},
        "drop_at": 0.6,
        "epochs": (20, 40, 20),
    },
}


def names():
    """Name → arguments of `get_config`."""
    return {
        f"{model}_{field}_{method}_{dataset}": {
            "model": model,
            "field": field,
            "method": method,
            "dataset": dataset,
        }
        for dataset, settings in SETTINGS.items()
        for model in settings["models"]
        for field in FIELDS
        for method in settings["methods"]
    }


def strengths(dataset, **_):
    """What a trade-off's points are called → strength of the first sparsifier."""
    return dict(SETTINGS[dataset]["strengths"])


def get_config(model="vgg16", field="complex", method="vd", dataset="cifar10"):
    """The recipe, as numbers and strings."""
    settings = SETTINGS[dataset]
    pretrain, sparsify, finetune = settings["epochs"]
    return {
        "name": f"{model}_{field}_{method}_{dataset}",
        "seed": 0,
        "model": {
            "name": model,
            "field": field,
            "width": 1,
            "classes": 10,
            **settings["model"],
        },
        "data": {"name": dataset, "batch_size": 128, **settings["data"]},
        "optimizer": {
            "learning_rate": 1e-3,
            "drop_factor": 0.1,
            "drop_at": settings["drop_at"],
            "global_clipnorm": 0.5,
        },
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
        "stages": {
            "pretrain": {"epochs": pretrain},
            "sparsify": {
                "epochs": sparsify,
                "sparsifiers": [dict(term) for term in settings["methods"][method]],
                "carry_moments": True,
            },
            "finetune": {"epochs": finetune, "threshold": -0.5},
        },
    }
