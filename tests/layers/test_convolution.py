"""Complex convolutions against numpy's complex numbers."""

import keras
import numpy as np
import pytest

from cvzoo.layers import (
    ARD,
    ComplexConv1D,
    ComplexConv1DTranspose,
    ComplexConv2D,
    ComplexConv2DTranspose,
    ComplexConv3D,
    ComplexDepthwiseConv2D,
    MagnitudePruning,
    VariationalDropout,
)
from cvzoo.layers.sparsifiable import (
    SparsifiableConv1D,
    SparsifiableConv2D,
    SparsifiableConv3D,
)
from tests.helpers import arrays, as_complex, check_layer, random_pair, tensors
from tests.ops.test_products import numpy_convolution

Z1, Z2, Z3 = (random_pair(2, *space, 4) for space in ((9,), (6, 7), (4, 5, 3)))
VD = VariationalDropout(0.5, n_train=10)


def kernel_of(layer):
    return as_complex((layer.kernel_real, layer.kernel_imag))


def bias_of(layer):
    return as_complex((layer.bias_real, layer.bias_imag))


LAYERS = {
    "conv1d": (lambda **k: ComplexConv1D(3, 3, **k), Z1),
    "conv1d causal": (
        lambda **k: ComplexConv1D(3, 2, padding="causal", dilation_rate=2, **k),
        Z1,
    ),
    "conv1d circular": (lambda **k: ComplexConv1D(3, 4, padding="circular", **k), Z1),
    "conv2d": (lambda **k: ComplexConv2D(3, (3, 2), padding="same", **k), Z2),
    "conv2d strided": (lambda **k: ComplexConv2D(4, 3, strides=2, **k), Z2),
    "conv3d": (lambda **k: ComplexConv3D(2, 2, **k), Z3),
    "transposed 1d": (lambda **k: ComplexConv1DTranspose(3, 3, strides=2, **k), Z1),
    "transposed 2d": (
        lambda **k: ComplexConv2DTranspose(3, 3, padding="same", strides=2, **k),
        Z2,
    ),
    "depthwise": (
        lambda **k: ComplexDepthwiseConv2D(3, depth_multiplier=2, **k),
        Z2,
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_convolutions_do_what_layers_do(name, tmp_path):
    make, z = LAYERS[name]
    check_layer(lambda: make(activation="tanh"), z, tmp_path)


@pytest.mark.parametrize("name", ["conv1d causal", "conv2d", "depthwise"])
def test_sparsified_convolutions_do_what_layers_do(name, tmp_path):
    make, z = LAYERS[name]
    check_layer(lambda: make(sparsifier=VD), z, tmp_path)


@pytest.mark.parametrize(
    ("make", "z"),
    [
        (lambda: ComplexConv1D(3, 3, strides=2, padding="same"), Z1),
        (lambda: ComplexConv1D(3, 3, dilation_rate=2), Z1),
        (lambda: ComplexConv1D(4, 3, groups=2), Z1),
        (lambda: ComplexConv2D(3, (2, 3), strides=(2, 1)), Z2),
        (lambda: ComplexConv2D(6, 3, groups=2, padding="same"), Z2),
        (lambda: ComplexConv3D(2, 2, padding="same"), Z3),
    ],
)
def test_a_convolution_is_numpys(make, z):
    layer = make()
    found = as_complex(layer(z))
    expected = numpy_convolution(
        as_complex(z),
        kernel_of(layer),
        layer.strides,
        layer.padding,
        layer.dilation_rate,
    )
    np.testing.assert_allclose(found, expected + bias_of(layer), atol=1e-5)


def test_the_activation_acts_on_both_parts():
    layer = ComplexConv1D(3, 3, activation="relu")
    linear = numpy_convolution(
        as_complex(Z1), kernel_of(layer) if layer(Z1) else 0, (1,), "valid", (1,)
    )
    linear += bias_of(layer)
    real, imag = arrays(layer(Z1))
    np.testing.assert_allclose(real, np.maximum(linear.real, 0), atol=1e-5)
    np.testing.assert_allclose(imag, np.maximum(linear.imag, 0), atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_the_output_at_zero_is_the_bias(name):
    """Two biased real layers would give (b_r − b_i) + i(b_r + b_i)."""
    make, z = LAYERS[name]
    layer = make()
    found = as_complex(layer(tuple(0 * part for part in z)))
    np.testing.assert_allclose(found, np.broadcast_to(bias_of(layer), found.shape))


def test_causal_outputs_do_not_see_what_comes_later():
    layer = ComplexConv1D(3, 4, padding="causal", dilation_rate=2)
    before = as_complex(layer(Z1))
    changed = tuple(part.copy() for part in Z1)
    for part in changed:
        part[:, 5:] += 1
    after = as_complex(layer(changed))
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert np.abs(before[:, 5:] - after[:, 5:]).min() > 0


@pytest.mark.parametrize("window", [2, 3, 4])
def test_circular_padding_commutes_with_a_roll(window):
    layer = ComplexConv2D(3, window, padding="circular", dilation_rate=1)
    found = as_complex(layer(Z2))
    assert found.shape == (2, 6, 7, 3)
    rolled = layer(tuple(np.roll(part, (2, 3), (1, 2)) for part in Z2))
    np.testing.assert_allclose(
        as_complex(rolled), np.roll(found, (2, 3), (1, 2)), atol=1e-5
    )


def test_circular_padding_takes_more_before_than_after():
    layer = ComplexConv1D(1, 2, padding="circular", use_bias=False)
    z = as_complex(Z1)
    expected = np.concatenate([z[:, -1:], z], axis=1)
    layer.build(((None, 9, 4), (None, 9, 4)))
    expected = numpy_convolution(expected, kernel_of(layer), (1,), "valid", (1,))
    np.testing.assert_allclose(as_complex(layer(Z1)), expected, atol=1e-5)


def test_circular_padding_beyond_the_length_is_refused():
    with pytest.raises(ValueError, match="would take 10 entries from an axis of 9"):
        ComplexConv1D(1, 11, padding="circular", dilation_rate=2)(Z1)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_transposed_convolution_is_the_adjoint_of_a_convolution(padding, stride):
    """`<f(x), y> = <x, f*(y)>`, f* having the conjugate kernel."""
    size = 9
    x = random_pair(1, size, 2)
    forward = ComplexConv1D(3, 4, strides=stride, padding=padding, use_bias=False)
    fx = as_complex(forward(x))
    y = random_pair(*fx.shape, seed=5)
    backward = ComplexConv1DTranspose(
        2, 4, strides=stride, padding=padding, use_bias=False
    )
    backward.build(tuple(part.shape for part in y))
    backward.kernel_real.assign(forward.kernel_real)
    backward.kernel_imag.assign(-forward.kernel_imag)
    back = as_complex(backward(y))
    shorter = min(size, back.shape[1])
    left = np.vdot(as_complex(y), fx)
    right = np.vdot(back[:, :shorter], as_complex(x)[:, :shorter])
    np.testing.assert_allclose(left, right, rtol=1e-4)


def test_output_padding_makes_the_transposed_output_longer():
    layer = ComplexConv2DTranspose(2, 3, strides=2, output_padding=(1, 0))
    found = as_complex(layer(Z2))
    assert found.shape[1:3] == (2 * 5 + 3 + 1, 2 * 6 + 3)


def test_a_depthwise_convolution_convolves_each_channel_by_itself():
    layer = ComplexDepthwiseConv2D(3, depth_multiplier=2, padding="same")
    found = as_complex(layer(Z2))
    kernel, bias = kernel_of(layer), bias_of(layer)
    for channel in range(4):
        for copy in range(2):
            alone = numpy_convolution(
                as_complex(Z2)[..., channel : channel + 1],
                kernel[:, :, channel : channel + 1, copy : copy + 1],
                (1, 1),
                "same",
                (1, 1),
            )
            place = 2 * channel + copy
            np.testing.assert_allclose(
                found[..., place], alone[..., 0] + bias[place], atol=1e-5
            )


def test_default_weights_are_cplxmodules():
    layer = ComplexConv2D(200, 3)
    layer.build(((None, 8, 8, 50), (None, 8, 8, 50)))
    fan = 50 * 9
    for part in (layer.kernel_real, layer.kernel_imag):
        assert np.abs(np.asarray(part)).max() <= (2 * fan) ** -0.5
        np.testing.assert_allclose(np.var(np.asarray(part)), 1 / (6 * fan), rtol=0.02)
    bias = arrays([layer.bias_real, layer.bias_imag])
    assert 0.9 * fan**-0.5 < np.abs(bias).max() <= fan**-0.5
    depthwise = ComplexDepthwiseConv2D(3)
    depthwise.build(((None, 8, 8, 2000), (None, 8, 8, 2000)))
    variance = np.var(np.asarray(depthwise.kernel_real))
    np.testing.assert_allclose(variance, 1 / (6 * 9), rtol=0.05)


@pytest.mark.parametrize(
    ("layer_class", "arguments", "z"),
    [
        (ComplexConv1D, {"filters": 4, "kernel_size": 3, "padding": "circular"}, Z1),
        (ComplexConv2D, {"filters": 4, "kernel_size": 3, "padding": "same"}, Z2),
        (ComplexConv3D, {"filters": 4, "kernel_size": 2}, Z3),
        (ComplexDepthwiseConv2D, {"kernel_size": 3}, Z2),
    ],
)
def test_channels_first_is_channels_last_with_other_axes(layer_class, arguments, z):
    stock = getattr(keras.layers, layer_class.__name__.removeprefix("Complex"))
    settings = {**arguments, "padding": "valid", "data_format": "channels_first"}
    try:
        stock(**settings)(np.moveaxis(z[0], -1, 1))
    except Exception as error:
        pytest.skip(f"Keras itself does not run it on this backend: {error}"[:120])
    last = layer_class(**arguments, data_format="channels_last")
    expected = as_complex(last(z))
    first = layer_class(**arguments, data_format="channels_first")
    found = as_complex(_run(first, tuple(np.moveaxis(part, -1, 1) for part in z), last))
    np.testing.assert_allclose(np.moveaxis(found, 1, -1), expected, atol=1e-5)


def _run(layer, z, like):
    layer.build(tuple(part.shape for part in z))
    layer.set_weights(like.get_weights())
    return layer(z)


@pytest.mark.parametrize("name", ["conv1d", "conv2d strided", "transposed 2d"])
def test_a_batch_of_one_is_the_same_as_in_company(name):
    make, z = LAYERS[name]
    layer = make()
    alone = as_complex(layer(tuple(part[:1] for part in z)))
    np.testing.assert_allclose(alone, as_complex(layer(z))[:1], atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_an_empty_batch_gives_an_empty_pair(name):
    stock = keras.ops.conv(keras.ops.zeros((0, 6, 6, 4)), keras.ops.ones((3, 3, 4, 8)))
    if stock.shape != (0, 4, 4, 8):
        pytest.skip(f"oneDNN gives an empty batch the wrong shape: {stock.shape}")
    make, z = LAYERS[name]
    layer = make()
    full, empty = arrays(layer(z)), arrays(layer(tuple(part[:0] for part in z)))
    assert [part.shape for part in empty] == [(0, *part.shape[1:]) for part in full]


def test_data_with_an_imaginary_part_of_zero_stay_complex():
    layer = ComplexConv1D(3, 3)
    z = Z1[0], 0 * Z1[1]
    expected = numpy_convolution(
        as_complex(z), kernel_of_built(layer, z), (1,), "valid", (1,)
    )
    np.testing.assert_allclose(
        as_complex(layer(z)), expected + bias_of(layer), atol=1e-5
    )


def kernel_of_built(layer, z):
    layer.build(tuple(part.shape for part in z))
    return kernel_of(layer)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ComplexConv1D(3, 3, groups=3), "a multiple of groups=3. Received 4"),
        (lambda: ComplexConv1D(4, 3, groups=3), "`filters` must be a multiple"),
        (lambda: ComplexConv1D(4, 30), "does not fit into an input of shape"),
        (lambda: ComplexConv2D(4, 3), "needs parts of 4 axes"),
        (lambda: ComplexConv1D(0, 3), "`filters` must be a positive integer"),
        (lambda: ComplexConv1D(3, 0), "`kernel_size` must be an integer"),
        (lambda: ComplexConv1D(3, (3, 3)), "or 1 of them"),
        (lambda: ComplexConv2D(3, 3, padding="causal"), "`padding` must be one of"),
        (
            lambda: ComplexConv1D(3, 3, strides=2, dilation_rate=2),
            "Strides and dilation",
        ),
        (lambda: ComplexConv1D(3, 3, data_format="NWC"), "`data_format` must be"),
        (
            lambda: ComplexConv1D(3, 3, padding="causal", data_format="channels_first"),
            "needs data_format='channels_last'",
        ),
        (
            lambda: ComplexConv1DTranspose(3, 3, strides=2, output_padding=2),
            "smaller than the strides",
        ),
    ],
)
def test_what_cannot_be_convolved_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()(Z1)


@pytest.mark.parametrize("name", LAYERS)
def test_what_is_no_pair_is_refused(name):
    make, z = LAYERS[name]
    layer = make()
    with pytest.raises(ValueError, match="works on a pair"):
        layer(z[0])
    with pytest.raises(ValueError, match="Received 4"):
        layer(z + z)
    with pytest.raises(ValueError, match="Split a complex tensor"):
        layer((z[0].astype("complex64"), z[1].astype("complex64")))


def test_another_number_of_channels_after_building_is_refused():
    layer = ComplexConv1D(3, 3)
    layer(Z1)
    with pytest.raises(ValueError, match="was built for 4 channels"):
        layer(random_pair(2, 9, 5))


SPARSIFIED = {
    "conv1d": (lambda: ComplexConv1D(3, 3, sparsifier=VD), Z1),
    "conv2d": (lambda: ComplexConv2D(3, 3, padding="circular", sparsifier=VD), Z2),
    "transposed": (
        lambda: ComplexConv2DTranspose(3, 2, strides=2, sparsifier=VD),
        Z2,
    ),
    "depthwise": (lambda: ComplexDepthwiseConv2D(3, sparsifier=VD), Z2),
    "real": (lambda: SparsifiableConv1D(3, 3, padding="causal", sparsifier=VD), Z1[0]),
}


@pytest.mark.parametrize("name", SPARSIFIED)
def test_noisy_outputs_have_the_moments_of_noisy_weights(name):
    """Monte Carlo over weights, which local reparameterisation stands for."""
    make, inputs = SPARSIFIED[name]
    layer = make()
    one = keras.tree.map_structure(lambda part: part[:1], inputs)
    mean = np.array(arrays(layer(one)))
    layer.log_sigma2.assign(
        np.random.default_rng(0).uniform(-3, 0, layer.log_sigma2.shape)
    )
    draws = 400
    many = keras.tree.map_structure(lambda part: np.repeat(part, draws, 0), one)
    noisy = np.array(arrays(layer(many, training=True)))

    deviation = np.exp(0.5 * np.asarray(layer.log_sigma2))
    generator = np.random.default_rng(1)
    means = [np.asarray(part) for part in layer.kernel_parts]
    by_weights = []
    for _ in range(draws):
        for variable, part in zip(layer.kernel_parts, means, strict=True):
            scale = deviation / np.sqrt(len(means))
            variable.assign(part + scale * generator.normal(size=part.shape))
        by_weights.append([part[0] for part in arrays(layer(one))])
    by_weights = np.swapaxes(np.array(by_weights), 0, 1)
    deviations = np.abs(noisy.mean(1) - mean[:, 0]) / noisy.std(1) * np.sqrt(draws)
    assert deviations.max() < 5
    np.testing.assert_allclose(noisy.var(1).mean(), by_weights.var(1).mean(), rtol=0.06)
    ratio = noisy.var(1) / by_weights.var(1)
    assert ratio.min() > 0.5 and ratio.max() < 2


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (lambda: SparsifiableConv1D(3, 3, padding="causal", sparsifier=VD), Z1[0]),
        (lambda: SparsifiableConv2D(3, 3, sparsifier=ARD(0.5, n_train=10)), Z2[0]),
        (
            lambda: SparsifiableConv3D(
                3, 2, sparsifier=MagnitudePruning(0.5, end_step=4)
            ),
            Z3[0],
        ),
    ],
)
def test_real_convolutions_that_hold_a_sparsifier_do_what_layers_do(
    layer, inputs, tmp_path
):
    check_layer(layer, inputs, tmp_path)


def test_a_real_sparsifiable_convolution_is_keras_own():
    stock = keras.layers.Conv1D(3, 3, padding="causal", activation="relu")
    expected = np.asarray(stock(tensors(Z1[0])))
    ours = SparsifiableConv1D.from_config({**stock.get_config(), "sparsifier": VD})
    ours.build(Z1[0].shape)
    ours.kernel_parts[0].assign(stock.kernel)
    ours.bias.assign(stock.bias)
    np.testing.assert_allclose(np.asarray(ours(Z1[0])), expected, atol=1e-6)
