"""Complex batch norm folded into the layer before it."""

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import layers
from tests.helpers import assert_same_outputs


def draw(variable, generator):
    values = generator.normal(size=variable.shape)
    if "covariance" in variable.name:
        rr, ii = 0.5 + generator.random(size=(2, variable.shape[1]))
        values = np.stack([rr, 0.4 * generator.normal(size=rr.size).clip(-1, 1), ii])
    variable.assign(values)


def network(before, affine="full", between=None):
    """Pair → a linear layer → batch norm → ReLU → a complex number each."""
    x = keras.Input((8, 8, 2), dtype="complex64", name="z")
    z = before(layers.ToComplex()(x))
    z = between(z) if between else z
    z = layers.ComplexBatchNormalization(affine=affine, name="norm")(z)
    z = layers.PerPart(keras.layers.ReLU())(z)
    z = layers.ComplexGlobalAveragePooling2D()(z)
    model = keras.Model(x, layers.FromComplex("concatenated")(z))
    generator = np.random.default_rng(0)
    for variable in model.variables:
        draw(variable, generator)
    return model


BEFORE = {
    "conv": layers.ComplexConv2D(5, 3, padding="same", use_bias=False),
    "conv_bias": layers.ComplexConv2D(5, 2),
    "dense": layers.ComplexDense(5),
    "depthwise": layers.ComplexDepthwiseConv2D(3, depth_multiplier=2),
    "transposed": layers.ComplexConv2DTranspose(5, 2, strides=2),
}


@pytest.mark.parametrize("affine", ["full", "symmetric", None])
@pytest.mark.parametrize("name", BEFORE)
def test_two_numbers_of_eleven_stay(name, affine):
    before = type(BEFORE[name]).from_config(BEFORE[name].get_config())
    model = network(before, affine)
    small = cvzoo.shrink(model)
    assert_same_outputs(small, model)
    left = small.get_layer("norm")
    channels = model.get_layer("norm").sizes[0]
    assert isinstance(left, layers.WidelyLinear)
    assert left.count_params() == 2 * channels


def test_what_is_complex_linear_leaves_ratios_of_zero():
    model = network(layers.ComplexConv2D(5, 3))
    norm = model.get_layer("norm")
    # Rotations by 30°, of numbers whose parts are alike.
    turn = np.array([3**0.5 / 2, -0.5, 0.5, 3**0.5 / 2])
    norm.gamma.assign(np.tile(turn[:, None], 5))
    norm.moving_covariance.assign(np.tile([[2.0], [0.0], [2.0]], 5))
    small = cvzoo.shrink(model)
    assert_same_outputs(small, model)
    for ratio in small.get_layer("norm").get_weights():
        np.testing.assert_allclose(ratio, 0, atol=1e-6)


@pytest.mark.parametrize(
    "gamma",
    [
        [1, 0, 0, -1],  # conjugates: p = 0
        [1, 0, 0, 0],  # keeps the real part: |p| = |q|
    ],
)
def test_batch_norm_stays_where_folding_would_divide_by_nothing(gamma):
    model = network(layers.ComplexConv2D(5, 3))
    norm = model.get_layer("norm")
    norm.gamma.assign(np.tile(np.array(gamma, float)[:, None], 5))
    norm.moving_covariance.assign(np.tile([[1.0], [0.0], [1.0]], 5))
    small = cvzoo.shrink(model)
    assert isinstance(small.get_layer("norm"), layers.ComplexBatchNormalization)
    assert_same_outputs(small, model)


def test_channels_of_factor_zero_become_their_shift():
    model = network(layers.ComplexConv2D(5, 3))
    norm = model.get_layer("norm")
    gamma = np.array(norm.gamma)
    gamma[:, 2] = 0
    norm.gamma.assign(gamma)
    small = cvzoo.shrink(model)
    assert_same_outputs(small, model)
    kernel = small.layers[2].get_weights()[0]
    assert not kernel[..., 2].any() and kernel[..., 1].any()


def test_what_another_layer_reads_too_is_not_folded():
    x = keras.Input((6,), dtype="complex64")
    z = layers.ComplexDense(4)(layers.ToComplex()(x))
    normed = layers.ComplexBatchNormalization(name="norm")(z)
    z = layers.ComplexAdd()([z, normed])
    model = keras.Model(x, layers.FromComplex("real")(z))
    small = cvzoo.shrink(model)
    assert isinstance(small.get_layer("norm"), layers.ComplexBatchNormalization)
    assert_same_outputs(small, model)


def test_posterior_rounding_knows_what_folding_multiplied_with():
    model = network(layers.ComplexConv2D(5, 3, name="conv"))
    sparse = cvzoo.sparsify(model, cvzoo.VariationalDropout(), n_train=100)
    layer = next(one for one in sparse.layers if one.name == "conv")
    layer.log_sigma2.assign(np.full(layer.log_sigma2.shape, -6.0))
    pruned = cvzoo.prune(sparse, threshold=20.0)
    compact = cvzoo.shrink(pruned)
    rounded = cvzoo.round_weights(compact, "posterior", posterior=sparse)
    norm = model.get_layer("norm")
    (rr, ri, ir, ii), _ = (np.array(group) for group in norm.inference_map())
    scale = np.abs((rr + ii + 1j * (ir - ri)) / 2)
    # Deviations of the folded kernel: e⁻³ times the factor of each channel; the step is
    # of the mean precision, in each of two parts.
    deviation = np.exp(-3) / np.sqrt(np.mean(scale**-2.0)) / 2**0.5
    step = 2.0 ** np.floor(np.log2(deviation / 2))
    before, after = (
        np.array(one.get_layer("conv").kernel_real) for one in (compact, rounded)
    )
    np.testing.assert_allclose(after, np.rint(before / step) * step, atol=1e-6)
    assert not np.array_equal(before, after)
