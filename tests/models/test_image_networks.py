"""Paper 2's networks for images: published counts, definitions and refusals."""

import warnings

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import reporting, sparsity, weights

R, C, HALF_C, TWICE_R = (
    {"field": "real"},
    {"field": "complex"},
    {"field": "complex", "width": 0.5},
    {"field": "real", "width": 2},
)
RAW, FFT = {"features": "raw"}, {"features": "fft"}
# Published counts, a complex weight as two, and how many of them are never pruned:
# biases and batch norm.
COUNTS = [
    ("two_layer_dense", {**R, **RAW}, 3_256_330, 4106),
    ("two_layer_dense", {**R, **RAW, "classes": 26}, 3_321_882, 4122),
    ("two_layer_dense", {**R, **FFT}, 6_467_594, 4106),
    ("two_layer_dense", {**R, **FFT, "classes": 26}, 6_533_146, 4122),
    ("two_layer_dense", {**TWICE_R, **FFT}, 12_935_178, 8202),
    ("two_layer_dense", {**TWICE_R, **FFT, "classes": 26}, 13_066_266, 8218),
    ("two_layer_dense", {**C, **RAW}, 6_512_660, 8212),
    ("two_layer_dense", {**C, **FFT}, 6_512_660, 8212),
    ("two_layer_dense", {**C, **RAW, "classes": 26}, 6_643_764, 8244),
    ("two_layer_dense", {**C, **FFT, "classes": 26}, 6_643_764, 8244),
    ("two_layer_dense", {**HALF_C, **RAW}, 3_256_340, 4116),
    ("two_layer_dense", {**HALF_C, **RAW, "classes": 26}, 3_321_908, 4148),
    ("simple_conv", {**R, **RAW}, 431_080, 580),
    ("simple_conv", {**R, **RAW, "classes": 26}, 439_096, 596),
    ("simple_conv", {**R, **FFT}, 431_580, 580),
    ("simple_conv", {**R, **FFT, "classes": 26}, 439_596, 596),
    ("simple_conv", {**TWICE_R, **FFT}, 1_713_150, 1150),
    ("simple_conv", {**TWICE_R, **FFT, "classes": 26}, 1_729_166, 1166),
    ("simple_conv", {**C, **RAW}, 862_160, 1160),
    ("simple_conv", {**C, **FFT}, 862_160, 1160),
    ("simple_conv", {**C, **RAW, "classes": 26}, 878_192, 1192),
    ("simple_conv", {**C, **FFT, "classes": 26}, 878_192, 1192),
    ("simple_conv", {**HALF_C, **RAW}, 218_590, 590),
    ("simple_conv", {**HALF_C, **RAW, "classes": 26}, 226_622, 622),
    ("vgg16", R, 14_728_266, 12_682),
    ("vgg16", C, 29_464_980, 33_812),
]


@pytest.mark.parametrize(("name", "arguments", "published", "never_pruned"), COUNTS)
def test_networks_have_the_papers_counts(name, arguments, published, never_pruned):
    model = cvzoo.create_model(name, **arguments)
    assert sum(np.prod(each.shape) for each in model.trainable_weights) == published
    # Every kernel is sparsified, and pruned when all weights are irrelevant.
    sparse = cvzoo.sparsify(model, cvzoo.ARD(strength=1.0), n_train=1)
    with warnings.catch_warnings(action="ignore"):
        pruned = cvzoo.prune(sparse, threshold=-1000.0)
    found = reporting.counts(weights.named_tensors(pruned), buffers=False)
    assert found == (published, never_pruned)


def test_the_limits_of_compression_are_the_published_ones():
    for arguments, limit in ((R, 1161), (C, 871)):
        model = cvzoo.create_model("vgg16", **arguments)
        kernels = [
            parts * np.prod(layer.kernel_parts[0].shape)
            if hasattr(layer, "kernel_parts")
            else np.prod(layer.kernel.shape)
            for layer in sparsity.linear_layers(model)
            for parts in [2 if arguments is C else 1]
        ]
        size = sum(np.prod(each.shape) for each in model.trainable_weights)
        assert int(size / (size - sum(kernels))) == limit


def test_layers_of_a_simple_conv_have_the_papers_counts():
    model = cvzoo.create_model("simple_conv", field="real")
    counts = [layer.count_params() for layer in model.layers if layer.weights]
    assert counts == [520, 25_050, 400_500, 5_010]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (R, [14_710_464, 4_224, 8_448, 5_130]),
        (C, [29_420_928, 8_448, 25_344, 10_260]),
    ],
)
def test_parts_of_vgg16_have_the_papers_counts(arguments, expected):
    """Kernels and biases of convolutions, batch norm, and the linear layer."""
    found = [0] * 4
    for layer in cvzoo.create_model("vgg16", **arguments).layers:
        for weight in layer.trainable_weights:
            is_bias = weight.name.startswith("bias")
            kinds = {"convolution": int(is_bias), "norm": 2}
            start = layer.name.rstrip("0123456789_")
            found[kinds.get(start, 3)] += int(np.prod(weight.shape))
    assert found == expected


@pytest.mark.parametrize(
    ("name", "real"),
    # Those of VGG11, 13 and 19 are of github.com/kuangliu/pytorch-cifar, which the
    # paper's code began with.
    [
        ("vgg8", 3_918_858),
        ("vgg11", 9_231_114),
        ("vgg13", 9_416_010),
        ("vgg19", 20_040_522),
    ],
)
def test_other_vgg_networks_have_their_counts(name, real):
    model = cvzoo.create_model(name, field="real")
    kinds = keras.layers.Conv2D, keras.layers.BatchNormalization
    convolutions, norms = (
        sum(isinstance(layer, kind) for layer in model.layers) for kind in kinds
    )
    assert convolutions == norms == int(name[3:]) - 3
    assert sum(np.prod(each.shape) for each in model.trainable_weights) == real


def test_a_simple_conv_is_what_the_paper_says():
    """Against numpy: 5×5 windows, ReLU, means of 2×2, dense layers, 2x − 1 first."""
    model = cvzoo.create_model("simple_conv", filters=2, input_shape=(16, 16, 1))
    image = np.random.default_rng(0).random((16, 16, 1))
    z = (2 * image - 1).astype(complex)
    for number in (1, 2):
        z = pooled(split_relu(convolved(z, model.get_layer(f"convolution{number}"))))
    assert z.shape == (1, 1, 5)
    z = split_relu(linear(z.ravel(), model.get_layer("hidden")))
    expected = linear(z, model.get_layer("output")).real
    found = model.predict(image[None], verbose=0)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_fourier_features_are_numpys_unnormalised_ones():
    model = cvzoo.create_model("simple_conv", features="fft", filters=2)
    image = np.random.default_rng(0).random((1, 28, 28, 1)).astype("float32")
    inside = keras.Model(model.inputs, model.get_layer("fourier").output)
    real, imag = inside.predict(image, verbose=0)
    expected = np.fft.fftshift(np.fft.fft2(2 * image[0, ..., 0] - 1.0))
    np.testing.assert_allclose(real[0, ..., 0], expected.real, atol=2e-3)
    np.testing.assert_allclose(imag[0, ..., 0], expected.imag, atol=2e-3)


def convolved(z, layer):
    kernel = np.asarray(layer.kernel_real) + 1j * np.asarray(layer.kernel_imag)
    bias = np.asarray(layer.bias_real) + 1j * np.asarray(layer.bias_imag)
    windows = np.lib.stride_tricks.sliding_window_view(z, (5, 5), axis=(0, 1))
    return np.einsum("hwcij,ijcf->hwf", windows, kernel) + bias


def pooled(z):
    height, width, channels = (z.shape[0] // 2, z.shape[1] // 2, z.shape[2])
    z = z[: 2 * height, : 2 * width]
    return z.reshape(height, 2, width, 2, channels).mean(axis=(1, 3))


def linear(z, layer):
    kernel = np.asarray(layer.kernel_real) + 1j * np.asarray(layer.kernel_imag)
    return z @ kernel + np.asarray(layer.bias_real) + 1j * np.asarray(layer.bias_imag)


def split_relu(z):
    return np.maximum(z.real, 0) + 1j * np.maximum(z.imag, 0)


def test_vgg_normalises_pixels_by_the_moments_of_cifar10():
    model = cvzoo.create_model("vgg8", filters=2)
    pixels = np.random.default_rng(0).random((1, 32, 32, 3)).astype("float32")
    inside = keras.Model(model.inputs, model.get_layer("normalise").output)
    expected = (pixels - [0.4914, 0.4822, 0.4465]) / [0.2023, 0.1994, 0.2010]
    np.testing.assert_allclose(inside.predict(pixels, verbose=0), expected, atol=1e-5)


@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("name", ["simple_conv", "vgg8"])
def test_weights_begin_as_in_the_papers_libraries(field, name):
    """PyTorch's ±1/√fan for real weights, cplxmodule's ±1/√(2 fan) for each part."""
    model = cvzoo.create_model(name, field=field, filters=8)
    for layer in model.layers:
        if "convolution" in layer.name or layer.name in ("hidden", "output", "logits"):
            if not layer.weights:
                continue
            kernel = np.asarray(layer.weights[0])
            fan = np.prod(kernel.shape[:-1])
            limit = 1 / np.sqrt(2 * fan if field == "complex" else fan)
            assert 0.9 * limit < np.abs(kernel).max() <= limit * (1 + 1e-6)
            assert abs(kernel.std() * np.sqrt(3) / limit - 1) < 0.15


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("simple_conv", {"input_shape": (8, 8, 1)}, r"at least 16×16.*\(8, 8, 1\)"),
        ("vgg16", {"input_shape": (28, 28, 1)}, r"at least 32×32.*\(28, 28, 1\)"),
        ("vgg16", {"input_shape": (32, 32, 1)}, "each of the 1 channels"),
        ("vgg8", {"mean": (0.5,), "deviation": (0.5,)}, "each of the 3 channels"),
        ("vgg8", {"deviation": (0.2, 0.0, 0.2)}, "`deviation` must hold positive"),
        ("vgg8", {"field": "quaternion"}, "`field` must be one of"),
        ("simple_conv", {"features": "wavelet"}, "`features` must be one of"),
    ],
)
def test_what_cannot_be_built_is_told(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        cvzoo.create_model(name, **arguments)
