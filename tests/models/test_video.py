"""Networks of paper 1 for videos: published numbers of weights, and what they do."""

import gc

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import architecture, weights
from cvzoo.exporting import ExportError, verification
from cvzoo.models import registry
from cvzoo.preset_files import PresetError
from tests.layers import video_oracle

VIDEO, SOUND = {}, {"audio": True}
NETVLAD = {"aggregation": "netvlad", **SOUND}
NETFV = {"aggregation": "netfv", **SOUND}
AGGREGATED = {
    **{"input_shape": (1152,), "classes": 3862, "initialization": "youtube8m"},
}
# With four numbers a feature of batch norm, as paper 1 counts.
PUBLISHED = [
    # Table 5, images only.
    ("video_classifier", VIDEO, 45_359_764),
    ("video_classifier", {"embedding": "diagonal_circulant"}, 36_987_540),
    ("video_classifier", {"fc": "diagonal_circulant"}, 41_181_844),
    ("video_classifier", {"moe": "circulant"}, 12_668_504),
    # The thesis of its first author, with sound.
    ("video_classifier", SOUND, 65_795_732),
    ("video_classifier", {**SOUND, "fc": "diagonal_circulant"}, 59_528_852),
    ("video_classifier", NETVLAD, 86_333_460),
    ("video_classifier", {**NETVLAD, "fc": "diagonal_circulant"}, 50_821_140),
    ("video_classifier", NETFV, 122_054_676),
    ("video_classifier", {**NETFV, "fc": "diagonal_circulant"}, 51_030_036),
    # Table 4, features aggregated over the video.
    ("dcnn", {"depth": 1, "layer": "dense", **AGGREGATED}, 5_781_142),
    ("dcnn", {"depth": 4, **AGGREGATED}, 25_410),
    ("dcnn", {"depth": 32, **AGGREGATED}, 122_178),
    ("dcnn", {"depth": 4, "head": "dense", **AGGREGATED}, 4_466_710),
]


@pytest.fixture
def zeros(monkeypatch):
    """Weights are made as zeros: drawing 122 million numbers takes long."""
    make = keras.layers.Layer.add_weight

    def add_weight(layer, shape=None, initializer=None, **arguments):
        return make(layer, shape=shape, initializer="zeros", **arguments)

    monkeypatch.setattr(keras.layers.Layer, "add_weight", add_weight)
    yield
    gc.collect()  # models are cycles, of up to half a gigabyte


@pytest.mark.parametrize(("name", "arguments", "published"), PUBLISHED)
def test_networks_have_the_papers_counts(name, arguments, published, zeros):
    model = cvzoo.create_model(name, **arguments)
    assert model.count_params() == published
    assert model.output_shape == (None, 3862)


def small(**arguments):
    tiny = registry.tiny_arguments("video_classifier")
    return cvzoo.create_model("video_classifier", **{**tiny, **arguments})


def inputs_of(model, time=6, videos=4, seed=0):
    """Bytes, and numbers of frames from 1 to `time`."""
    generator = np.random.default_rng(seed)
    *streams, _ = model.inputs
    found = [
        generator.integers(256, size=(videos, time, one.shape[-1])).astype(np.uint8)
        for one in streams
    ]
    return [*found, generator.integers(1, time + 1, videos).astype(np.int32)]


def randomize(model):
    for number, layer in enumerate(model.layers):
        video_oracle.randomize(layer, seed=number)


CASES = [
    {},
    {"embedding": "diagonal_circulant", "audio": True},
    {"fc": "diagonal_circulant", "aggregation": "netvlad", "audio": True},
    {"moe": "circulant", "aggregation": "netfv"},
    {"bags": None, "aggregation": "netrvlad", "gating": "none"},
    {"variant": "loupe", "aggregation": "soft_dbof", "audio": True},
]


@pytest.mark.parametrize("arguments", CASES)
def test_networks_are_what_the_paper_says(arguments):
    """Step by step, video by video, in float64."""
    model = small(**arguments)
    randomize(model)
    inputs = inputs_of(model)
    expected = [_classified(model, arguments, one) for one in zip(*inputs, strict=True)]
    np.testing.assert_allclose(model(inputs), np.concatenate(expected), atol=1e-4)


def _classified(model, arguments, inputs):
    *streams, number = inputs
    streams = [one[:number] * (4 / 255) + 4 / 512 - 2 for one in streams]
    length = np.sqrt((np.concatenate(streams, axis=-1) ** 2).sum(axis=-1))
    names = ("rgb", "audio")[: len(streams)]
    described = []
    for name, frames in zip(names, streams, strict=True):
        embedding = model.get_layer(f"embedding_{name}")
        aggregate = getattr(video_oracle, arguments.get("aggregation", "dbof"))
        bags = [
            aggregate(embedding, bag)
            for bag in _bags(frames / length[:, None], arguments)
        ]
        z = np.mean(bags, axis=0, keepdims=True)
        z = video_oracle.linear(model.get_layer(f"fc_{name}"), z)
        if arguments.get("variant") == "loupe":
            z = video_oracle.gated(model.get_layer(f"gated_{name}"), z)
        else:
            norm = model.get_layer(f"norm_{name}")
            z = np.clip(video_oracle.batch_norm(norm, z), 0, 6)
        described.append(z)
    z = np.concatenate(described, axis=-1)
    if "moe" in arguments or arguments.get("gating") == "none":
        return video_oracle.mixture(model.get_layer("probabilities"), z)
    p = video_oracle.mixture(model.get_layer("mixture"), z)
    return video_oracle.gated(model.get_layer("probabilities"), p)


def _bags(frames, arguments):
    if arguments.get("bags", 2) is None:
        return [frames]
    # Two bags of three frames, spread over the video.
    places = [
        [int((2 * f + b + 0.5) / 6 * len(frames)) for f in range(3)] for b in range(2)
    ]
    return [frames[each] for each in places]


@pytest.mark.parametrize("bags", [2, None])
def test_padding_changes_nothing(bags):
    model = small(audio=True, bags=bags)
    randomize(model)
    rgb, audio, number = inputs_of(model, time=4)
    expected = model([rgb, audio, number])
    padded = [np.pad(one, [(0, 0), (0, 3), (0, 0)]) for one in (rgb, audio)]
    for one in padded:
        one[np.arange(7) >= number[:, None]] = 200
    np.testing.assert_allclose(model([*padded, number]), expected, atol=1e-6)


def test_padding_changes_nothing_in_training_either():
    """Whatever lies behind a video's end, batch norm does not see it."""
    model = small(bags=None, quantized=False)
    randomize(model)
    rgb, number = inputs_of(model, time=4)
    padded = np.pad(rgb.astype(np.float32), [(0, 0), (0, 3), (0, 0)])
    expected = model([padded[:, :4], number], training=True)
    padded[np.arange(7) >= number[:, None]] = np.nan
    np.testing.assert_allclose(
        model([padded, number], training=True), expected, atol=1e-6
    )


@pytest.mark.parametrize("bags", [2, None])
def test_videos_without_frames_give_finite_probabilities(bags):
    model = small(bags=bags)
    rgb, number = inputs_of(model)
    assert np.isfinite(np.asarray(model([rgb, 0 * number]))).all()


def test_floats_are_taken_as_they_are():
    bytes_, floats = small(), small(quantized=False)
    floats.set_weights(bytes_.get_weights())
    rgb, number = inputs_of(bytes_)
    features = rgb.astype(np.float32) * (4 / 255) + 4 / 512 - 2
    np.testing.assert_allclose(
        floats([features, number]), bytes_([rgb, number]), atol=1e-6
    )


def test_frames_are_drawn_at_random_in_evaluation_only_if_asked_to():
    inputs = inputs_of(small(), time=30)
    for evaluation, is_equal in (("even", True), ("random", False)):
        model = small(evaluation=evaluation, bags=1, frames=2)
        randomize(model)
        left, right = (np.asarray(model(inputs)) for _ in range(2))
        assert np.array_equal(left, right) == is_equal


def test_it_learns_which_frames_a_video_has():
    """A frame of a kind of its own makes a video's label."""
    generator = np.random.default_rng(0)
    labels = (generator.random((256, 4)) < 0.4).astype(np.float32)
    number = generator.integers(6, 11, 256).astype(np.int32)
    rgb = generator.integers(118, 138, (256, 10, 8)).astype(np.uint8)
    for video, kind in zip(*np.nonzero(labels), strict=True):
        rgb[video, kind:10:4][:1, 2 * kind : 2 * kind + 2] = 250
    model = small(
        **{"features": 8, "clusters": 32, "fc_units": 32, "fc": "diagonal_circulant"},
        **{"bags": 1, "frames": 20, "momentum": 0.9, "initialization": "paper"},
    )
    model.compile(keras.optimizers.Adam(0.01), cvzoo.MultiLabelCrossEntropy())
    before = model.evaluate([rgb, number], labels, verbose=0)
    model.fit([rgb, number], labels, epochs=15, batch_size=32, verbose=0)
    assert model.evaluate([rgb, number], labels, verbose=0) < 0.3 * before


def test_inputs_may_be_given_by_name():
    model = small(audio=True)
    rgb, audio, number = inputs_of(model)
    named = {"num_frames": number, "rgb": rgb, "audio": audio}
    expected = model.predict([rgb, audio, number], verbose=0)
    np.testing.assert_allclose(model.predict(named, verbose=0), expected, atol=1e-6)


def test_the_dense_layers_that_presets_know_are_sparsified_pruned_and_shrunk():
    model = small(fc_units=8)
    randomize(model)
    with pytest.warns(UserWarning, match=r"embedding_rgb \(DBoF, .* of the param"):
        sparse = cvzoo.sparsify(model, cvzoo.MagnitudePruning(0.5, end_step=1))
    inputs = inputs_of(model)
    sparse.compile("adam", cvzoo.MultiLabelCrossEntropy())
    sparse.fit(inputs, np.zeros((4, 4)), epochs=2, verbose=0)
    pruned = cvzoo.prune(sparse)
    kernel = np.asarray(pruned.get_layer("fc_rgb").kernel)
    assert (kernel == 0).mean() == 0.5
    kernel[:, :3] = 0
    pruned.get_layer("fc_rgb").kernel.assign(kernel)
    compact = cvzoo.shrink(pruned)
    assert compact.get_layer("fc_rgb").units == 8  # the mixture reads them all
    np.testing.assert_allclose(compact(inputs), pruned(inputs), atol=1e-5)


@pytest.mark.slow
def test_a_served_network_takes_what_shards_hold(tmp_path):
    model = small(audio=True, moe="diagonal_circulant")
    cvzoo.export(model, tmp_path / "served")
    inputs = inputs_of(model, time=9)
    names = [one.name for one in model.inputs]
    batch = dict(zip(names, inputs, strict=True))
    found = verification.run(tmp_path / "served", [batch], "tf_saved_model")
    (served,) = found.outputs
    np.testing.assert_allclose(served["probabilities"], model(inputs), atol=1e-5)


def test_a_network_that_draws_at_random_is_not_exported(tmp_path):
    with pytest.raises(ExportError, match="random numbers.*sampled"):
        cvzoo.export(small(evaluation="random"), tmp_path / "served")


def test_fc_layers_begin_as_in_the_code_of_each_variant():
    keras.utils.set_random_seed(0)
    sizes = {"fc_units": 64, "clusters": 25, "aggregation": "netvlad", "features": 40}
    for arguments, variance in (
        ({}, 1 / 64),
        ({"variant": "loupe"}, 1 / 25),
        ({"fc": "diagonal_circulant"}, 1 / 64),
    ):
        layer = small(**sizes, **arguments).get_layer("fc_rgb")
        for weight in layer.weights:
            assert abs(np.asarray(weight).std() / variance**0.5 - 1) < 0.1


def test_ranks_are_no_larger_than_makes_sense():
    model = small(embedding="low_rank", fc="low_rank", moe="low_rank", rank=100)
    ranks = [
        model.get_layer(name).rank
        for name in ("embedding_rgb", "fc_rgb", "probabilities")
    ]
    assert ranks == [4, 4, 6]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"aggregation": "mean"}, "`aggregation` must be one of dbof, soft_dbof, netv"),
        ({"embedding": "hashed"}, "`embedding` must be one of dense, diagonal_circ"),
        ({"fc": "hashed"}, "`fc` must be one of dense"),
        ({"moe": "hashed"}, "`moe` must be one of dense"),
        ({"gating": "yes"}, "`gating` must be one of published, none, dense"),
        ({"variant": "willow"}, "`variant` must be one of araujo, loupe"),
        ({"fc": "low_rank"}, "`rank` must be a whole number"),
        ({"rank": 3}, "None for others. Received: rank=3"),
        ({"clusters": 0}, "`clusters` must be a positive integer"),
        ({"bags": 0}, "`bags` must be a positive integer"),
        ({"mixtures": 0}, "`mixtures` must be a positive integer"),
        ({"fc_units": 2.5}, "`fc_units` must be a positive integer"),
        ({"features": 0}, "`features` must be a positive integer"),
        ({"classes": 0}, "`classes` must be a positive whole number"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        small(**arguments)


def test_zeros_in_the_kernel_of_an_aggregation_come_back_from_presets(tmp_path):
    """Only layers that can hold a mask get one."""
    model = small()
    embedding, fc = (
        model.get_layer("embedding_rgb").projected,
        model.get_layer("fc_rgb"),
    )
    for layer in (embedding, fc):
        kernel = np.asarray(layer.kernel)
        kernel[1] = 0
        layer.kernel.assign(kernel)
    cvzoo.save_preset(model, tmp_path / "preset")
    loaded = cvzoo.from_preset(tmp_path / "preset")
    assert type(loaded.get_layer("fc_rgb").sparsifier) is cvzoo.FixedMask
    inputs = inputs_of(model)
    np.testing.assert_allclose(loaded(inputs), model(inputs), atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "key", "value"),
    [
        ("embedding_rgb", "clusters", 2**24),
        ("mixture", "classes", 2**24),
        ("mixture", "mixtures", 2**20),
    ],
)
def test_presets_that_would_make_large_weights_are_refused(layer, key, value, tmp_path):
    described = architecture.describe(small())
    described["layers"][layer][key] = value
    shapes = {name: spec.shape for name, spec in weights.specs(small()).items()}
    with pytest.raises(architecture.ArchitectureError, match="more numbers than the m"):
        architecture.build(described, shapes)


def test_presets_keep_examples_of_all_inputs(tmp_path):
    model = small(audio=True)
    randomize(model)
    inputs = inputs_of(model)
    cvzoo.save_preset(model, tmp_path / "preset", examples=inputs, values="float16")
    loaded = cvzoo.from_preset(tmp_path / "preset", verify=True)
    np.testing.assert_allclose(loaded(inputs), model(inputs), atol=1e-2)
    with pytest.raises(PresetError, match="Received 2 arrays .* for 3 in"):
        cvzoo.save_preset(model, tmp_path / "other", examples=inputs[:2])
