"""The scattering transform, against kymatio 0.3.0 and its definition.

`data/scattering_kymatio.py` made the stored outputs, and says how to do it again.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops as kops

from cvzoo.layers import Scattering2D
from tests.helpers import check_layer, gradients, jitted, random_pair

IS_JAX = keras.backend.backend() == "jax"
STORED = np.load(Path(__file__).parent / "data" / "scattering_kymatio.npz")


def images(*shape, seed=0):
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def as_one(function):
    """Compiled as a whole with JAX, which would compile one operation after another."""
    return jitted(function) if IS_JAX else function


def scatter(x, *arguments, **options):
    layer = Scattering2D(*arguments, **options)
    layer.build(x.shape)
    return np.asarray(as_one(layer)(x))


@pytest.mark.parametrize("name", STORED)
def test_the_transform_is_kymatios(name):
    height, width, *arguments = map(int, name.split("_"))
    x = np.random.default_rng(0).random((height, width))
    found = scatter(x[None, ..., None].astype(np.float32), *arguments)
    expected = STORED[name].transpose(1, 2, 0)
    np.testing.assert_allclose(found[0], expected, atol=1e-6 * expected.max())


def test_a_picture_of_cifar_has_the_papers_features():
    # Paper 1, table 2: 3 · 81 · 8 · 8 = 15 552.
    shape = Scattering2D(2, 8).compute_output_shape((5, 32, 32, 3))
    assert shape == (5, 8, 8, 243)
    assert np.prod(shape[1:]) == 15_552


def convolved(x, weight):
    """Periodic convolution by its sum, with weights of places (-9, ..., 9)²."""
    places = np.ndindex(weight.shape)
    return sum(weight[at] * np.roll(x, np.subtract(at, 9), (0, 1)) for at in places)


@pytest.mark.parametrize("angles", [4, 5])
def test_one_scale_is_sums_over_the_image(angles):
    # kymatio/scattering2d/filter_bank.py, its formulas in the plane.
    x = images(7, 6).astype(np.float64)
    padded = np.pad(x, ((1, 2), (2, 2)), mode="reflect")
    u, v = np.mgrid[-9:10, -9:10]
    norm = 2 * 3.1415 * 0.8**2
    low = np.exp(-(u**2 + v**2) / (2 * 0.8**2)) / norm
    paths = [convolved(padded, low)]
    for place in range(angles):
        angle = (angles // 2 - 1 - place) * np.pi / angles
        along = u * np.cos(angle) + v * np.sin(angle)
        across = v * np.cos(angle) - u * np.sin(angle)
        slant = 4 / angles
        window = np.exp(-(along**2 + slant**2 * across**2) / (2 * 0.8**2))
        wave = window * np.exp(0.75j * np.pi * along)
        wavelet = (wave - wave.sum() / window.sum() * window) * slant / norm
        paths.append(convolved(np.abs(convolved(padded, wavelet)), low))
    expected = np.stack(paths, axis=-1)[2:-2:2, 2:-2:2]
    found = scatter(x[None, ..., None].astype(np.float32), 1, angles)
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_all_paths_of_a_channel_come_before_the_next_channel(data_format):
    x = images(2, 8, 12, 3)
    layer = Scattering2D(2, 2, data_format=data_format)
    if data_format == "channels_first":
        found = np.asarray(layer(x.transpose(0, 3, 1, 2))).transpose(0, 2, 3, 1)
    else:
        found = np.asarray(layer(x))
    for channel in range(3):
        alone = scatter(x[..., channel : channel + 1], 2, 2)
        part = found[..., 9 * channel : 9 * channel + 9]
        np.testing.assert_allclose(part, alone, atol=1e-6)


@settings(max_examples=10)
@given(
    height=st.integers(4, 13),
    width=st.integers(4, 13),
    scales=st.integers(1, 2),
    angles=st.integers(1, 3),
    order=st.integers(1, 2),
)
def test_every_size_has_a_number_for_each_path(height, width, scales, angles, order):
    x = images(1, height, width, 2)
    found = scatter(x, scales, angles, order)
    waves = [(j, angle) for j in range(scales) for angle in range(angles)]
    pairs = [(one, two) for one in waves for two in waves if two[0] > one[0]]
    count = 1 + len(waves) + (len(pairs) if order == 2 else 0)
    assert found.shape == (1, height // 2**scales, width // 2**scales, 2 * count)
    assert np.isfinite(found).all()


def test_orders_0_and_1_are_the_first_paths():
    x = images(1, 16, 16, 1)
    first = scatter(x, 3, 2, max_order=1)
    assert first.shape[-1] == 7
    np.testing.assert_allclose(first, scatter(x, 3, 2)[..., :7], atol=1e-6)


@pytest.mark.parametrize("batch", [0, 1])
def test_scattering_of_small_batches(batch):
    assert scatter(images(batch, 8, 8, 1), 2, 1).shape == (batch, 2, 2, 4)


def test_a_constant_image_has_no_waves():
    found = scatter(np.full((1, 16, 16, 1), 3, np.float32), 2, 4)
    np.testing.assert_allclose(found[..., 0], 3, atol=1e-3)
    np.testing.assert_allclose(found[..., 1:], 0, atol=1e-6)


def test_shifted_by_the_scale_an_image_has_the_same_numbers_one_place_on():
    # A spot far from the border, which neither padding nor the period changes.
    x = np.zeros((1, 64, 64, 1), np.float32)
    x[:, 20:36, 20:36] = images(1, 16, 16, 1)
    shifted = np.roll(x, (4, 8), axis=(1, 2))
    one, other = scatter(x, 2, 4), scatter(shifted, 2, 4)
    np.testing.assert_allclose(one[:, :-1, :-2], other[:, 1:, 2:], atol=1e-6)


def test_shifted_by_a_pixel_an_image_changes_much_more_than_its_numbers():
    x = images(8, 33, 33, 1) - 0.5
    one, other = x[:, 1:, 1:], x[:, :-1, :-1]
    found = scatter(one, 3, 4) - scatter(other, 3, 4)
    change = np.linalg.norm(found) / np.linalg.norm(scatter(one, 3, 4))
    assert change < 0.2 * np.linalg.norm(one - other) / np.linalg.norm(one)


@pytest.mark.parametrize("kind", ["noise", "points", "waves"])
def test_no_two_images_are_further_apart_after_than_before(kind):
    x, y = images(2, 24, 24) - 0.5
    if kind == "points":
        x, y = x * (x > 0.49), y * (y > 0.49)
    elif kind == "waves":
        rows, columns = np.mgrid[:24, :24]
        x, y = np.cos(0.75 * np.pi * rows), np.cos(0.3 * np.pi * (rows + columns))
    # With its border, whose padding repeats pixels, and a number for 4² pixels.
    before = np.pad(x - y, 4, mode="reflect")
    after = scatter(np.stack([x, y])[..., None].astype(np.float32), 2, 8)
    assert 4 * np.linalg.norm(after[0] - after[1]) < np.linalg.norm(before)


def test_gradients_are_finite_differences():
    x, direction = images(2, 1, 9, 8, 2).astype(np.float64)
    # JAX has float32 only, unless told otherwise.
    dtype, step, tolerance = (
        ("float32", 1e-2, 1e-2) if IS_JAX else ("float64", 1e-5, 1e-7)
    )
    layer = Scattering2D(2, 3, dtype=dtype)
    slope = np.random.default_rng(1).normal(size=layer.compute_output_shape(x.shape))
    layer.build(x.shape)

    @as_one
    def function(x):
        return kops.sum(layer(x) * kops.cast(slope, dtype))

    (found,) = gradients(function, x)
    ahead, behind = function(x + step * direction), function(x - step * direction)
    expected = (float(ahead) - float(behind)) / (2 * step)
    assert np.sum(found * direction) == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("value", [0, 1])
def test_gradients_of_a_constant_image_are_finite(value):
    layer = Scattering2D(2, 2)
    x = np.full((1, 8, 8, 1), value, np.float32)
    layer.build(x.shape)
    (found,) = gradients(as_one(lambda x: kops.sum(layer(x))), x)
    assert np.isfinite(found).all()


def test_scattering_does_what_layers_do(tmp_path):
    check_layer(lambda: Scattering2D(2, 3), images(2, 9, 8, 2), tmp_path)


def test_there_are_no_weights():
    layer = Scattering2D(1)
    layer.build((None, 8, 8, 1))
    assert layer.weights == []


@pytest.mark.parametrize("dtype", ["float16", "mixed_bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    x = images(1, 16, 16, 1)
    found = Scattering2D(2, 4, dtype=dtype)(x)
    expected = scatter(x, 2, 4)
    found = kops.convert_to_numpy(kops.cast(found, "float32"))
    np.testing.assert_allclose(found, expected, atol=4e-3 * expected.max())


def test_bytes_are_images_too():
    x = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 1), dtype=np.uint8)
    expected = scatter(x.astype(np.float32), 1, 2)
    np.testing.assert_allclose(scatter(x, 1, 2), expected, atol=1e-4)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.function")
def test_a_tensor_whose_size_is_known_only_later_will_do():
    import tensorflow as tf

    layer = Scattering2D(1, 2)
    expected = layer(images(2, 8, 6, 2))
    anything = tf.TensorSpec((None, None, None, None))
    found = tf.function(layer.call, input_signature=[anything])(images(2, 8, 6, 2))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"J": 0}, "`J` must be a positive integer. Received: 0"),
        ({"L": 2.5}, "`L` must be a positive integer. Received: 2.5"),
        ({"max_order": 3}, "`max_order` must be 1 or 2. Received: 3"),
        ({"data_format": "HWC"}, "`data_format` must be one of channels_last"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Scattering2D(**{"J": 2, **arguments})


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((8, 7, 1), r"at least 2\^J = 8. Received shape \(None, 8, 7, 1\); use a sm"),
        ((None, 8, 1), "of known size"),
        ((8, 8, None), "of known size"),
        ((8, 8), r"images of shape \(batch, height, width, channels\)"),
    ],
)
def test_images_that_do_not_fit_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        Scattering2D(3)(keras.Input(shape))
    with pytest.raises(ValueError, match=message):
        Scattering2D(3).compute_output_shape((None, *shape))


def test_what_is_not_one_real_tensor_of_the_layers_size_is_refused():
    for inputs in (random_pair(2, 8, 8, 1), np.zeros((2, 8, 8, 1), np.complex64)):
        with pytest.raises(ValueError, match="takes one real tensor"):
            Scattering2D(1)(inputs)
    layer = Scattering2D(1)
    layer.build((None, 8, 8, 1))
    with pytest.raises(ValueError, match="expected axis 1 of input shape to have val"):
        layer(images(1, 16, 16, 1))
