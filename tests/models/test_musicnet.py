"""Networks for notes: published counts, definitions against numpy, and refusals."""

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import sparsity
from tests.helpers import as_complex

REAL, TRABELSI, K3 = {"field": "real"}, {"variant": "trabelsi"}, {"first_kernel": 3}
REAL_TRABELSI = {**REAL, **TRABELSI}
MAGNITUDE = {**REAL_TRABELSI, "features": "magnitude"}
RAW = {**REAL_TRABELSI, "features": "raw"}
DEEP, SHALLOW = "musicnet_deep", "musicnet_shallow"
NETWORKS = [
    (DEEP, {}),
    (DEEP, K3),
    (DEEP, REAL),
    (DEEP, TRABELSI),
    (DEEP, REAL_TRABELSI),
    (SHALLOW, {}),
    (SHALLOW, REAL),
    (SHALLOW, TRABELSI),
    (SHALLOW, RAW),
]
TINY = {"filters": 2, "window": 768, "notes": 3}
# Paper 2's for audio: 2-D transforms of one column of pixels are those of audio.
TWO_LAYERS = {
    "units": 2048,
    "input_shape": (4096, 1, 1),
    "classes": 84,
    "centred": False,
}
# Published counts, a complex weight as two, and how many of them are never pruned:
# biases and batch norm.
COUNTS = [
    (DEEP, {}, 15_742_344, 6_344),
    (DEEP, K3, 15_742_248, 2 * (128 + 2048 + 84) + 6 * 304),
    (DEEP, TRABELSI, 17_141_348, 2 * 432 + 2048 + 84 + 5 * 304),
    (DEEP, REAL, 9_994_708, 256 + 2048 + 84 + 2 * 640),
    (DEEP, REAL_TRABELSI, 9_994_900, 896 + 2048 + 84 + 2 * 640),
    (SHALLOW, {}, 14_930_152, 2 * (32 + 2048 + 84)),
    (SHALLOW, TRABELSI, 14_930_152, 2 * (32 + 2048 + 84)),
    # Not published: worked out from the code of both.
    (SHALLOW, REAL, 14_788_756, 64 + 2048 + 84),
    (SHALLOW, REAL_TRABELSI, 14_755_988, 64 + 2048 + 84),
    ("two_layer_dense", TWO_LAYERS, 17_125_544, 2 * (2048 + 84)),
]
# Of each convolution and pooling; there is no fifth pooling.
LENGTHS = [
    ({}, [2046, 511, 253, 124, 60, 58], [1023, 255, 126, 62, 29]),
    (K3, [2047, 511, 253, 124, 60, 58], [1023, 255, 126, 62, 29]),
    (TRABELSI, [2048, 512, 256, 128, 64, 64], [1024, 256, 128, 64, 32]),
    (REAL, [1364, 340, 168, 82, 39, 37], [682, 170, 84, 41, 18]),
    (REAL_TRABELSI, [1364, 340, 168, 82, 39, 37], [682, 170, 84, 41, 18]),
]


@pytest.mark.parametrize(("name", "arguments", "published", "never_pruned"), COUNTS)
def test_networks_have_their_counts(name, arguments, published, never_pruned):
    model = cvzoo.create_model(name, **arguments)
    assert size(model.trainable_weights) == published
    kernels = [
        kernel
        for layer in sparsity.linear_layers(model)
        for kernel in sparsity.kernel_variables(layer)
    ]
    assert published - size(kernels) == never_pruned


def test_kernels_of_the_deep_network_have_the_papers_counts():
    model = cvzoo.create_model(DEEP)
    found = [size([one.kernel_real]) for one in sparsity.linear_layers(model)]
    assert found[:6] == [96, 1536, 6144, 12_288, 24_576, 49_152]
    assert found[6:] == [7_602_176, 172_032]
    published = size(model.trainable_weights)
    # The paper's limit of compression.
    assert published // (published - 2 * sum(found)) == 2481


@pytest.mark.parametrize(("arguments", "convolved", "pooled"), LENGTHS)
def test_blocks_have_the_published_lengths(arguments, convolved, pooled):
    model = cvzoo.create_model(DEEP, **arguments, filters=1)
    assert lengths(model, "convolution") == convolved
    assert lengths(model, "pool") == pooled


@pytest.mark.parametrize("arguments", [{}, TRABELSI, REAL])
def test_a_shallow_network_pools_225_samples_to_111(arguments):
    model = cvzoo.create_model(SHALLOW, **arguments, filters=1)
    assert lengths(model, "convolution") + lengths(model, "pool") == [225, 111]


@pytest.mark.parametrize(("name", "arguments"), NETWORKS)
def test_networks_are_what_the_sources_say(name, arguments):
    """Against numpy in float64: convolutions, norms, pooling and linear layers."""
    model = disturbed(cvzoo.create_model(name, **arguments, **TINY))
    audio = tiny_audio(1)
    run = deep if name == DEEP else shallow
    expected = run(model, features(audio[0], **arguments), **arguments)
    found = model(audio, training=False)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [DEEP, SHALLOW])
@pytest.mark.parametrize("arguments", [{}, TRABELSI, REAL, MAGNITUDE, RAW])
def test_features_are_numpys_unnormalised_ones(name, arguments):
    model = cvzoo.create_model(name, **arguments, filters=1)
    first = next(one for one in model.layers if one.name.startswith("convolution"))
    inside = keras.Model(model.input, first.input)
    audio = np.random.default_rng(0).normal(size=(2, 4096)).astype(np.float32)
    found = inside(audio)
    found = as_complex(found) if isinstance(found, (tuple, list)) else found
    expected = np.stack([features(one, **arguments) for one in audio])
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_features_of_trabelsis_real_networks_are_those_of_its_commands():
    for name, kept in ((DEEP, True), (SHALLOW, False)):
        model = cvzoo.create_model(name, **REAL_TRABELSI, filters=1)
        assert ("magnitude" in [one.name for one in model.layers]) == kept


@pytest.mark.parametrize(("name", "arguments"), NETWORKS)
def test_last_biases_begin_where_few_notes_sound(name, arguments):
    """At −5, but in paper 2's complex networks, where cplxmodule draws them."""
    model = cvzoo.create_model(name, **arguments, **TINY)
    last = sparsity.linear_layers(model)[-1]
    for bias in map(np.asarray, sparsity.bias_variables(last)):
        if arguments in ({}, K3):
            assert 0 < np.abs(bias).max() <= 1 / np.sqrt(3)
        else:
            np.testing.assert_array_equal(bias, -5)


def test_batch_norm_is_cplxmodules_or_trabelsis():
    for arguments, epsilon, trainable, variance in (
        ({}, 1e-5, 6, 1),
        (TRABELSI, 1e-4, 5, 0.5**0.5),
    ):
        norm = cvzoo.create_model(DEEP, **arguments, **TINY).get_layer("norm1")
        assert (norm.epsilon, norm.momentum) == (epsilon, 0.9)
        assert size(norm.trainable_weights) == 2 * trainable
        gamma, covariance = map(np.asarray, (norm.gamma, norm.moving_covariance))
        np.testing.assert_allclose(gamma[[0, -1]], variance)
        np.testing.assert_array_equal(gamma[1:-1], 0)
        np.testing.assert_allclose(covariance[[0, 2]], variance)
        np.testing.assert_array_equal(covariance[1], 0)


def test_real_batch_norm_is_pytorchs_or_keras():
    for arguments, expected in ((REAL, (1e-5, 0.9)), (REAL_TRABELSI, (1e-3, 0.99))):
        norm = cvzoo.create_model(DEEP, **arguments, **TINY).get_layer("norm1")
        assert (norm.epsilon, norm.momentum) == expected


def test_complex_weights_of_paper_2_begin_as_in_cplxmodule():
    """Each part of a kernel within ±1/√(2·fan), and of a bias within ±1/√fan.

    Of a linear layer, the fan of the bias is that of its outputs.
    """
    model = cvzoo.create_model(DEEP, window=768)
    fans = {"convolution2": 48, "convolution6": 384, "hidden": 384, "output": 2048}
    for name, fan in fans.items():
        check_uniform(model.get_layer(name).kernel_imag, (2 * fan) ** -0.5)
    for name, fan in {"convolution5": 192, "hidden": 2048, "output": 84}.items():
        check_uniform(model.get_layer(name).bias_imag, fan**-0.5)


def test_real_weights_of_paper_2_begin_as_in_pytorch():
    model = cvzoo.create_model(DEEP, field="real", window=768)
    for name, fan in {"convolution1": 14, "convolution5": 384, "hidden": 256}.items():
        check_uniform(model.get_layer(name).kernel, fan**-0.5)
    for name, fan in {"convolution5": 384, "hidden": 256}.items():
        check_uniform(model.get_layer(name).bias, fan**-0.5)


@pytest.mark.parametrize("name", [DEEP, SHALLOW])
def test_complex_weights_of_trabelsi_begin_as_in_his_code(name):
    """Parts of variance 1/fan; of (1/fan)² in the shallow network's convolution."""
    model = cvzoo.create_model(name, **TRABELSI, window=768)
    spreads = {"convolution2": 48**-0.5, "convolution6": 384**-0.5}
    if name == SHALLOW:
        spreads = {"convolution": 1 / 512, "hidden": 224**-0.5, "output": 2048**-0.5}
    for layer, spread in spreads.items():
        for part in model.get_layer(layer).kernel_parts:
            np.testing.assert_allclose(np.std(np.asarray(part)), spread, rtol=0.03)
    for layer in list(spreads)[:2]:
        for part in model.get_layer(layer).bias_parts:
            np.testing.assert_array_equal(part, 0)


def test_convolutions_of_trabelsi_do_not_begin_alike():
    model = cvzoo.create_model(DEEP, **TRABELSI, **TINY)
    left, right = (
        np.asarray(model.get_layer(f"convolution{n}").kernel_real) for n in (3, 4)
    )
    assert not np.isclose(left[..., :2, :2], right[..., :2, :2]).any()


def test_dense_layers_of_trabelsi_begin_with_glorots_spread():
    for arguments, fans in ((REAL_TRABELSI, 256 + 2048), (TRABELSI, 1536 + 2048)):
        model = cvzoo.create_model(DEEP, **arguments, window=768)
        hidden, last = (model.get_layer(name) for name in ("hidden", "logits"))
        spread = np.std(np.asarray(hidden.kernel))
        np.testing.assert_allclose(spread, (2 / fans) ** 0.5, rtol=0.03)
        np.testing.assert_array_equal(hidden.bias, 0)
        check_uniform(last.kernel, (6 / (2048 + 84)) ** 0.5)


@pytest.mark.parametrize(
    ("name", "arguments"), [(DEEP, {}), (DEEP, TRABELSI), (SHALLOW, REAL)]
)
def test_the_three_stages_keep_the_outputs(name, arguments):
    model = disturbed(cvzoo.create_model(name, **arguments, **TINY))
    sparse = cvzoo.sparsify(model, cvzoo.ARD(strength=1.0), n_train=1)
    layers = sparsity.sparse_layers(sparse)
    assert len(layers) == (8 if name == DEEP else 3)
    generator = np.random.default_rng(2)
    for layer in layers:
        is_pruned = generator.random(layer.log_sigma2.shape) < 0.3
        if layer is not layers[-1]:
            is_pruned[..., 0] = True
        layer.log_sigma2.assign(np.where(is_pruned, 20.0, -20.0))
    pruned = cvzoo.prune(sparse, threshold=-0.5)
    small = cvzoo.shrink(pruned)
    audio = tiny_audio(3)
    before, after = (np.asarray(one(audio)) for one in (pruned, small))
    assert np.ptp(before, axis=0).min() > 0.01
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)
    assert small.get_layer("hidden").units < model.get_layer("hidden").units


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (DEEP, {"window": 487}, "at least 488 samples.*487"),
        (DEEP, {**K3, "window": 484}, "at least 485 samples.*484"),
        (DEEP, {**REAL, "window": 729}, "at least 730 samples"),
        (DEEP, {**TRABELSI, "window": 122}, "at least 123 samples"),
        (SHALLOW, {"window": 559}, "at least 560 samples"),
        (DEEP, {"field": "quaternion"}, "`field` must be one of"),
        (SHALLOW, {"variant": "thickstun"}, "`variant` must be one of"),
        (DEEP, {"first_kernel": 5}, "must be 6, or 3 with field='complex'"),
        (DEEP, {**REAL, **K3}, "Received: 3, with field='real'"),
        (DEEP, {**TRABELSI, **K3}, "Received: 3.*variant='trabelsi'"),
        (DEEP, {"features": "raw"}, "one of fft with field='complex'.*'raw'"),
        (SHALLOW, {**REAL, "features": "magnitude"}, "one of fft with field='real'"),
        (DEEP, {**REAL_TRABELSI, "features": "fft"}, "one of magnitude, raw with"),
    ],
)
def test_what_cannot_be_built_is_told(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        cvzoo.create_model(name, **arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "window"),
    [
        (DEEP, {}, 488),
        (DEEP, K3, 485),
        (DEEP, REAL, 730),
        (DEEP, TRABELSI, 123),
        (SHALLOW, {}, 560),
    ],
)
def test_the_shortest_window_leaves_one_sample(name, arguments, window):
    model = cvzoo.create_model(name, **arguments, filters=1, window=window)
    assert lengths(model, "pool")[-1] == 1


def size(variables):
    return sum(int(np.prod(each.shape)) for each in variables)


def lengths(model, start):
    """Of the outputs of layers whose names begin so."""
    outputs = [one.output for one in model.layers if one.name.startswith(start)]
    return [keras.tree.flatten(output)[0].shape[1] for output in outputs]


def check_uniform(values, limit):
    values = np.abs(np.asarray(values))
    assert 0.9 * limit < values.max() <= limit * (1 + 1e-6)
    # Four deviations of the mean of a uniform variable.
    np.testing.assert_allclose(
        values.mean(), limit / 2, atol=2.4 * limit / np.sqrt(values.size)
    )


def disturbed(model):
    """The model with all its weights and moving statistics away from their start."""
    generator = np.random.default_rng(0)
    for variable in model.variables:
        # Covariances stay positive definite.
        scale = 0.1 if "moving" in variable.name else 0.3
        noise = np.clip(generator.normal(size=variable.shape), -3, 3)
        variable.assign(variable + scale * noise)
    return model


def tiny_audio(size):
    """Noise whose unnormalised transform has a variance of 1."""
    window = TINY["window"]
    audio = np.random.default_rng(1).normal(size=(size, window)) / np.sqrt(window)
    return audio.astype(np.float32)


def features(audio, field="complex", variant="nazarov", features="", **_):
    """What the first convolution takes, `(window, channels)`."""
    spectrum = np.fft.fft(audio.astype(np.float64))[:, None]
    if variant == "nazarov":
        spectrum = np.fft.fftshift(spectrum)
    if field == "complex":
        return spectrum
    if variant == "nazarov":
        return np.concatenate([spectrum.real, spectrum.imag], axis=1)
    return audio[:, None].astype(np.float64) if features == "raw" else abs(spectrum)


def deep(model, z, field="complex", variant="nazarov", **_):
    strides = (2, 2, 1, 1, 1, 1) if field == "complex" else (3, 2, 1, 1, 1, 1)
    is_padded = (field, variant) == ("complex", "trabelsi")
    for number, stride in enumerate(strides, 1):
        layer = model.get_layer(f"convolution{number}")
        z = convolved(z, layer, stride, is_padded)
        if number != 5:
            z = normalised(z, model.get_layer(f"norm{number}"))
        z = rectified(z)
        if number != 5:
            z = pooled(z, 2, 2)
    if is_padded:
        z = np.concatenate([z.real, z.imag], axis=1)
    return headed(model, z)


def shallow(model, z, **_):
    z = rectified(convolved(z, model.get_layer("convolution"), 16, is_padded=False))
    return headed(model, pooled(z, 4, 2))


def headed(model, z):
    hidden, last = sparsity.linear_layers(model)[-2:]
    z = rectified(z.ravel() @ kernel_of(hidden) + bias_of(hidden))
    return (z @ kernel_of(last) + bias_of(last)).real


def joined(variables):
    """A real array, or a complex one of two."""
    values = [np.asarray(one, np.float64) for one in variables]
    return values[0] + 1j * values[1] if len(values) == 2 else values[0]


def kernel_of(layer):
    return joined(sparsity.kernel_variables(layer))


def bias_of(layer):
    return joined(sparsity.bias_variables(layer)) if layer.use_bias else 0


def convolved(z, layer, stride, is_padded):
    kernel = kernel_of(layer)
    if is_padded:
        # As many outputs as strides fit into the inputs, and the odd zero behind.
        missing = -(-len(z) // stride) * stride - stride + len(kernel) - len(z)
        missing = max(missing, 0)
        z = np.pad(z, [(missing // 2, missing - missing // 2), (0, 0)])
    windows = [
        z[at : at + len(kernel)] for at in range(0, len(z) - len(kernel) + 1, stride)
    ]
    return np.einsum("ljc,jcf->lf", windows, kernel) + bias_of(layer)


def normalised(z, norm):
    if not np.iscomplexobj(z):
        mean, variance, gamma, beta = (
            np.asarray(one, np.float64)
            for one in (norm.moving_mean, norm.moving_variance, norm.gamma, norm.beta)
        )
        return gamma * (z - mean) / np.sqrt(variance + norm.epsilon) + beta
    centred = z - joined([norm.moving_mean_real, norm.moving_mean_imag])
    rr, ri, ii = np.asarray(norm.moving_covariance, np.float64)
    covariance = np.moveaxis(np.array([[rr, ri], [ri, ii]]), -1, 0)
    values, vectors = np.linalg.eigh(covariance + norm.epsilon * np.eye(2))
    root = np.einsum("fij,fj,fkj->fik", vectors, values**-0.5, vectors)
    gamma = np.asarray(norm.gamma, np.float64)
    order = [0, 1, 2, 3] if len(gamma) == 4 else [0, 1, 1, 2]
    gamma = np.moveaxis(gamma[order].reshape(2, 2, -1), -1, 0)
    parts = np.stack([centred.real, centred.imag])
    parts = np.einsum("fij,fjk,klf->ilf", gamma, root, parts)
    return joined(parts) + joined([norm.beta_real, norm.beta_imag])


def rectified(z):
    if not np.iscomplexobj(z):
        return np.maximum(z, 0)
    return np.maximum(z.real, 0) + 1j * np.maximum(z.imag, 0)


def pooled(z, window, stride):
    """Means of complex numbers, maxima of real ones."""
    pool = np.mean if np.iscomplexobj(z) else np.max
    starts = range(0, len(z) - window + 1, stride)
    return np.array([pool(z[at : at + window], axis=0) for at in starts])
