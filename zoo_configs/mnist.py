"""Paper 2's networks for small images: two dense layers, or two convolutions.

Paper: Nazarov and Burnaev, 2020, TwoLayerDenseModel and SimpleConvModel (§5.2), on raw
       pixels or their Fourier transform: C, complex; R, real; ½C, complex of half the
       width; 2R, real of twice the width.
Names: MODEL_VARIANT[_FEATURES]_METHOD_DATASET. A model's usual features are not named.
Run:   python -m training.train simple_conv_complex_vd_digits --workdir out/run
       python -m training.tradeoff simple_conv_complex_vd_mnist --strengths all
Cost:  digits: 15 seconds for two dense layers of 512 units, 4 minutes for SimpleConv;
       digits28: 7 minutes; 2 CPU cores. MNIST has eight times as many images.

Digits, scikit-learn's 1 797 images, split by writer, which are at hand offline:
results, with dates, are in README.md and docs/image_zoo.md. The stages are the paper's:
masks at log α ≤ -0.5, a fresh optimizer for fine-tuning, global-norm clipping 0.5, Adam
1e-3. On this small set the learning rate falls after 60 % of each stage; the paper's
drop at epoch 10 gave only ×11.

MNIST, KMNIST, Fashion-MNIST and EMNIST-Letters: the paper's protocol, 10 000 images
drawn by class, C = 1.5 · 2^(-k/2), k = 2 … 38, and κ = 1/10 000, so that `strength` is
C; recipes have k = 10. PUBLISHED, NOT RUN HERE, means of five: compression, accuracy
before > after fine-tuning, at k = 10 by VD. All others are in
training/published/cells.py, and `training.evaluate --against-published` compares.

    MNIST           C                    R                    uncompressed C, R
    SimpleConv raw  ×97  .9876>.9873     ×57  .9868>.9863     .9883, .9868
    SimpleConv fft  ×103 .9859>.9862     ×61  .9856>.9856     .9860, .9849
    TwoLayer   raw  ×292 .9679>.9689     ×212 .9681>.9682     .9682, .9679
    TwoLayer   fft  ×346 .9690>.9702     ×493 .9679>.9689     .9526, .9531

    uncompressed C, R, SimpleConv raw: KMNIST .9193, .9101; Fashion-MNIST .8836, .8786;
    EMNIST-Letters .9011, .8964.
    SimpleConv, C, raw, ARD, k = 10: MNIST ×96; KMNIST ×64, .9133 after; Fashion-MNIST
    ×33, .8828; EMNIST-Letters ×32, .8955.
"""

VARIANTS = {
    "complex": {"field": "complex", "width": 1},
    "half_complex": {"field": "complex", "width": 0.5},
    "real": {"field": "real", "width": 1},
    "double_real": {"field": "real", "width": 2},
}
# Features that a model's names do not say.
USUAL_FEATURES = {"two_layer_dense": "fft", "simple_conv": "raw"}
LABELS = {
    "vd": "VD",
    "ard": "ARD",
    "unit_ard_vd": "VD + unit ARD",
    "magnitude": "gradual magnitude",
    "unit_ard_magnitude": "unit ARD + magnitude",
}


def _vd(strength):
    return {"name": "VariationalDropout", "strength": strength}


def _ard(strength, **arguments):
    return {"name": "ARD", "strength": strength, **arguments}


def _by_name(*strengths):
    return {strength: strength for strength in strengths}


def _magnitude(sparsity):
    return {"name": "MagnitudePruning", "sparsity": sparsity, "ramp": 0.7}


# Those of paper 2: index k → C.
STRENGTHS = {k: 1.5 * 2 ** (-k / 2) for k in range(2, 39)}
K = 10
PUBLISHED = {
    "variants": {
        "raw": ("half_complex", "real", "complex"),
        "fft": ("real", "complex", "double_real"),
    },
    "methods": {"vd": [_vd(STRENGTHS[K])], "ard": [_ard(STRENGTHS[K])]},
    "strengths": STRENGTHS,
    "model": {
        "input_shape": [28, 28, 1],
        "fourier_norm": "backward",
        "centred": True,
    },
    "data": {"n_train": 10_000, "n_validation": 10_000},
    "drop_at": 10,
}
ON_DIGITS = {"drop_at": 0.6, "strengths": _by_name(0.05, 0.17, 0.22, 0.4)}
# Model → data set → what its recipes have. Strengths for digits were chosen on the
# validation writers.
SETTINGS = {
    "two_layer_dense": {
        "digits": {
            **ON_DIGITS,
            "variants": {"fft": ("complex", "real")},
            "methods": {
                "vd": [_vd(0.17)],
                "ard": [_ard(0.2)],
                "unit_ard_vd": [_vd(0.1), _ard(0.02, group="unit")],
                "magnitude": [_magnitude(0.98)],
                "unit_ard_magnitude": [_ard(0.05, group="unit"), _magnitude(0.98)],
            },
            "model": {
                "units": 512,
                "input_shape": [8, 8, 1],
                "fourier_norm": "ortho",
                "centred": False,
            },
            "data": {"fold": 0, "size": 8},
        },
        # The paper's own size, on the same images made larger.
        "digits28": {
            **ON_DIGITS,
            "variants": {"fft": ("complex", "real")},
            "methods": {
                "vd": [_vd(0.02)],
                "unit_ard_vd": [_vd(0.02), _ard(0.001, group="unit")],
                "unit_ard_magnitude": [_ard(0.003, group="unit"), _magnitude(0.9985)],
            },
            "model": {
                "units": 4096,
                "input_shape": [28, 28, 1],
                "fourier_norm": "ortho",
                "centred": False,
            },
            "data": {"fold": 0, "size": 28},
        },
    },
    "simple_conv": {
        "digits": {
            **ON_DIGITS,
            "variants": {
                "raw": ("complex", "half_complex", "real", "double_real"),
                "fft": ("complex", "half_complex", "real", "double_real"),
            },
            "methods": {
                "vd": [_vd(0.015)],
                "ard": [_ard(0.015)],
                "unit_ard_magnitude": [_ard(0.003, group="unit"), _magnitude(0.986)],
            },
            "strengths": _by_name(0.005, 0.015, 0.05, 0.15),
            "model": {
                "input_shape": [28, 28, 1],
                "fourier_norm": "backward",
                "centred": True,
            },
            "data": {"fold": 0, "size": 28},
        },
    },
}
for settings in SETTINGS.values():
    for dataset in ("mnist", "kmnist", "fashion_mnist", "emnist_letters"):
        settings[dataset] = PUBLISHED
CLASSES = {"emnist_letters": 26}
# Data sets whose name is not that of their reader.
READERS = {"digits28": "digits"}


def names():
    """Name → arguments of `get_config`."""
    return {
        _name(model, dataset, variant, features, method): {
            "model": model,
            "dataset": dataset,
            "variant": variant,
            "features": features,
            "method": method,
        }
        for model, by_dataset in SETTINGS.items()
        for dataset, settings in by_dataset.items()
        for features, variants in settings["variants"].items()
        for variant in variants
        for method in settings["methods"]
    }


def strengths(model, dataset, **_):
    """What a trade-off's points are called → strength of the first sparsifier."""
    return dict(SETTINGS[model][dataset]["strengths"])


def get_config(
    model="simple_conv",
    dataset="digits",
    variant="complex",
    features="raw",
    method="vd",
):
    """The recipe, as numbers and strings."""
    settings = SETTINGS[model][dataset]
    return {
        "name": _name(model, dataset, variant, features, method),
        "seed": 0,
        "model": {
            "name": model,
            **VARIANTS[variant],
            "features": features,
            "classes": CLASSES.get(dataset, 10),
            **settings["model"],
        },
        "data": {
            "name": READERS.get(dataset, dataset),
            "batch_size": 128,
            **settings["data"],
        },
        "optimizer": {
            "learning_rate": 1e-3,
            "drop_factor": 0.1,
            "drop_at": settings["drop_at"],
            "global_clipnorm": 0.5,
        },
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
        "stages": {
            "pretrain": {"epochs": 40},
            "sparsify": {
                "epochs": 75,
                "sparsifiers": [dict(term) for term in settings["methods"][method]],
                "carry_moments": True,
            },
            "finetune": {"epochs": 40, "threshold": -0.5},
        },
    }


def _name(model, dataset, variant, features, method):
    words = [model, variant]
    if features != USUAL_FEATURES[model]:
        words.append(features)
    return "_".join([*words, method, dataset])
