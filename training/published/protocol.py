"""How paper 2 trained its networks for images, and where a recipe does otherwise."""

from training.published import cells

# A whole number is an epoch; 10.0 would be ten times a stage's epochs.
OPTIMIZER = {
    "optimizer.learning_rate": 1e-3,
    "optimizer.drop_factor": 0.1,
    "optimizer.drop_at": 10,
    "optimizer.global_clipnorm": 0.5,
}
TRAINING = {
    "stages.sparsify.carry_moments": True,
    "stages.finetune.threshold": -0.5,
    "loss": "sparse_categorical_crossentropy",
    "data.batch_size": 128,
    "data.n_test": 0,
    "data.synthetic": 0,
}
SIZES = {
    cells.CONV: {"model.filters": 20},
    cells.DENSE: {"model.units": 4096},
    cells.VGG: {"model.filters": 64},
}
SMALL_GREY = {
    "data.n_train": 10_000,
    "data.crop_padding": 0,
    "data.flips": 0,
    "model.input_shape": [28, 28, 1],
    "model.centred": True,
}
CIFAR10 = {
    "data.n_train": 50_000,
    "data.crop_padding": 4,
    "data.flips": 1,
    "model.input_shape": [32, 32, 3],
    "model.mean": [0.4914, 0.4822, 0.4465],
    "model.deviation": [0.2023, 0.1994, 0.2010],
}


def of(cell):
    """Dotted key of a recipe → what the paper's runs of a network had."""
    is_cifar10 = cell.dataset == "cifar10"
    epochs = (20, 40, 20) if is_cifar10 else (40, 75, 40)
    found = {
        f"stages.{stage}.epochs": number
        for stage, number in zip(
            ("pretrain", "sparsify", "finetune"), epochs, strict=True
        )
    }
    found |= TRAINING | OPTIMIZER | SIZES[cell.model]
    found |= CIFAR10 if is_cifar10 else SMALL_GREY
    found["model.classes"] = 26 if cell.dataset == "emnist_letters" else 10
    if cell.features == "fft":
        found["model.fourier_norm"] = "backward"
    return found


def _may_be_absent(key, paper):
    """Whether a recipe that says nothing does as the paper did."""
    if key.startswith("model."):
        return paper != 26  # Builders' defaults are the paper's networks of 10 classes.
    return key.startswith("data.") and paper == 0


def deviations(recipe, cell):
    """What a recipe has that the paper's runs had not, in words."""
    found = []
    for key, paper in of(cell).items():
        here = _get(recipe, key)
        if here is None and _may_be_absent(key, paper):
            continue
        if (type(here), here) != (type(paper), paper):
            here = "not set" if here is None else repr(here)
            found.append(f"{key} is {here} and was {paper!r}")
    return found


def _get(nested, dotted):
    for key in dotted.split("."):
        nested = nested.get(key) if isinstance(nested, dict) else None
    return nested
