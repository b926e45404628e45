"""Every architecture of the zoo."""

import pytest

import cvzoo
from cvzoo.models import registry
from tests.helpers import check_model

FIELDS = [{"field": "complex"}, {"field": "real"}]
PLAIN = ["diagonal_circulant", "dense", "toeplitz", "diagonal_toeplitz", "acdc"]
RANKED = ["low_rank", "toeplitz_like", "ldr_subdiagonal", "ldr_tridiagonal"]
LAYERS = [
    *({"layer": layer} for layer in PLAIN),
    *({"layer": layer, "rank": 2} for layer in RANKED),
]
VGG = (8, 11, 13, 16, 19)
VARIANTS = {
    "two_layer_dense": [
        {"features": features, **field}
        for features in ("raw", "fft")
        for field in FIELDS
    ],
    "simple_conv": [
        {"features": features, **field}
        for features in ("raw", "fft")
        for field in FIELDS
    ],
    # They differ in the number of convolutions only.
    **{f"vgg{depth}": FIELDS[:1] if depth > 8 else FIELDS for depth in VGG},
    "radio_net": FIELDS,
    "musicnet_deep": [
        {"variant": variant, **field}
        for variant in ("nazarov", "trabelsi")
        for field in FIELDS
    ],
    "musicnet_shallow": [*FIELDS, {"variant": "trabelsi"}],
    "dcnn": [
        *LAYERS,
        {"input_shape": (3, 2), "head": "dense", "activation_every": 2, "units": None},
        {"input_shape": (2, 2, 1), "pad_images": 1, "centred": True},
        {"initialization": "youtube8m", "head": "dense", "regularization": 0.1},
    ],
    "scattering_dcnn": [{}, {"ensemble": 2}, LAYERS[-2]],
    "video_classifier": [
        {},
        {"embedding": "diagonal_circulant", "fc": "diagonal_circulant"},
        {"aggregation": "netvlad", "moe": "circulant", "audio": True},
        {"aggregation": "netfv", "moe": "diagonal_circulant", "variant": "loupe"},
        {"aggregation": "soft_dbof", "bags": None, "quantized": False},
        {"aggregation": "netrvlad", "gating": "low_rank", "moe": "low_rank", "rank": 2},
    ],
    "lenet": [{}, {"pad_images": 2, "centred": True}],
}


# So many variants of a model are tested in every run; deep VGGs are like the smallest.
IN_EVERY_RUN = 2
LIKE_OTHERS = {f"vgg{depth}" for depth in VGG if depth > 8}


def cases():
    for name in registry.list_models():
        for place, variant in enumerate(VARIANTS[name]):
            is_often = place < IN_EVERY_RUN and name not in LIKE_OTHERS
            marks = () if is_often else pytest.mark.slow
            yield pytest.param(name, variant, marks=marks)


@pytest.mark.parametrize(("name", "variant"), list(cases()))
def test_models_do_what_models_do(name, variant, tmp_path):
    arguments = {**registry.tiny_arguments(name), **variant}
    check_model(cvzoo.create_model(name, **arguments), tmp_path)


def test_an_unknown_architecture_or_argument_names_the_known_ones():
    with pytest.raises(ValueError, match="Did you mean two_layer_dense"):
        cvzoo.create_model("two_layers_dense")
    with pytest.raises(ValueError, match=r"no arguments \['depth'\].*Known: .*units"):
        cvzoo.create_model("two_layer_dense", depth=3)
    with pytest.raises(ValueError, match="`field` must be one of"):
        cvzoo.create_model("two_layer_dense", field="quaternion")
