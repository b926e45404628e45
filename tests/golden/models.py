"""Models of the architectures of `make_cplxmodule.py`, and what checks them."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops as kops

import cvzoo
from cvzoo import layers

GOLDEN = Path(__file__).parent


def load(case):
    """State, and everything else, of a golden case."""
    with np.load(GOLDEN / f"cplxmodule_{case}.npz", allow_pickle=False) as stored:
        content = dict(stored)
    state = {
        key.removeprefix("state/"): content.pop(key)
        for key in list(content)
        if key.startswith("state/")
    }
    return state, content


def channels_last(array):
    return np.moveaxis(array, 1, -1)


def complex_model(shape, *stack):
    """A Sequential model of pairs, between complex64 and real parts side by side."""
    return keras.Sequential(
        [
            keras.Input(shape, dtype="complex64"),
            layers.ToComplex(),
            *stack,
            layers.FromComplex("trailing"),
        ]
    )


def real_model(shape, *stack):
    return keras.Sequential([keras.Input(shape), *stack])


def bilinear_model(layer, sizes, dtype=None):
    inputs = [keras.Input((size,), dtype=dtype) for size in sizes]
    if dtype is None:
        return keras.Model(inputs, layer(inputs))
    output = layer([layers.ToComplex()(one) for one in inputs])
    return keras.Model(inputs, layers.FromComplex("trailing")(output))


def pad_pair(*amounts):
    return layers.PerPart(keras.layers.ZeroPadding2D(amounts))


def complex_network():
    return keras.Sequential(
        [
            keras.Input((8, 5, 2), dtype="complex64"),
            layers.ToComplex(),
            layers.ComplexConv2D(3, 3, padding="same"),
            layers.ComplexBatchNormalization(),
            layers.SplitActivation("relu"),
            layers.ComplexConv2D(4, 3, strides=2),
            layers.PerPart(keras.layers.Flatten()),
            layers.ComplexBatchNormalization(),
            layers.ComplexDense(6),
            layers.ThresholdModReLU(None),
            layers.FromComplex("concatenated"),
            keras.layers.Dense(3),
        ]
    )


def real_network():
    norm = {"momentum": 0.9, "epsilon": 1e-5}
    return real_model(
        (6, 4, 2),
        keras.layers.Conv2D(3, 3, padding="same", use_bias=False),
        keras.layers.BatchNormalization(**norm),
        keras.layers.ReLU(),
        keras.layers.ZeroPadding2D(1),
        keras.layers.Conv2D(4, 3, strides=2),
        keras.layers.BatchNormalization(**norm),
        keras.layers.ReLU(),
        keras.layers.Flatten(),
        keras.layers.Dense(5),
        keras.layers.BatchNormalization(**norm),
    )


def sparse(sparsifier):
    return {"sparsifier": sparsifier}


VD, ARD = cvzoo.VariationalDropout(n_train=1), cvzoo.ARD(n_train=1)

# Case → model of the same architecture.
MODELS = {
    "linear": lambda: complex_model((5,), layers.ComplexDense(3)),
    "linear_without_bias": lambda: complex_model(
        (5,), layers.ComplexDense(3, use_bias=False)
    ),
    "conv1d": lambda: complex_model((9, 3), layers.ComplexConv1D(4, 3, strides=2)),
    "conv2d": lambda: complex_model(
        (6, 5, 2), pad_pair(1, 0), layers.ComplexConv2D(4, (3, 2), strides=(2, 1))
    ),
    "conv2d_groups": lambda: complex_model(
        (5, 4, 4), layers.ComplexConv2D(6, 3, groups=2)
    ),
    "conv2d_depthwise": lambda: complex_model(
        (5, 4, 3), layers.ComplexDepthwiseConv2D(3, depth_multiplier=2)
    ),
    "conv2d_circular": lambda: complex_model(
        (5, 4, 2), layers.ComplexConv2D(3, 3, padding="circular")
    ),
    "conv3d": lambda: complex_model((3, 4, 3, 2), layers.ComplexConv3D(3, (2, 3, 2))),
    "conv1d_transposed": lambda: complex_model(
        (5, 3), layers.ComplexConv1DTranspose(2, 4, strides=2)
    ),
    "conv2d_transposed": lambda: complex_model(
        (4, 3, 3), layers.ComplexConv2DTranspose(2, (3, 2), strides=2)
    ),
    "bilinear": lambda: bilinear_model(layers.ComplexBilinear(2), (3, 4), "complex64"),
    "activations": lambda: complex_model(
        (5,),
        layers.PhaseShift(),
        layers.AdaptiveModReLU(),
        layers.ThresholdModReLU(None),
    ),
    "batchnorm1d": lambda: complex_model((4,), layers.ComplexBatchNormalization()),
    "batchnorm1d_sequence": lambda: complex_model(
        (5, 4), layers.ComplexBatchNormalization()
    ),
    "batchnorm2d": lambda: complex_model((4, 2, 3), layers.ComplexBatchNormalization()),
    "batchnorm3d": lambda: complex_model(
        (2, 2, 2, 3), layers.ComplexBatchNormalization(affine=None)
    ),
    "network": complex_network,
    "concatenated": lambda: keras.Sequential(
        [
            keras.Input((4, 5, 2), dtype="complex64"),
            layers.ToComplex(),
            layers.ComplexConv2D(3, 2),
            layers.PerPart(keras.layers.Flatten()),
            layers.FromComplex("concatenated"),
            keras.layers.Dense(4),
        ]
    ),
    "real_linear": lambda: real_model((5,), keras.layers.Dense(3)),
    "real_conv1d": lambda: real_model(
        (9, 3), keras.layers.Conv1D(4, 3, dilation_rate=2)
    ),
    "real_conv2d": lambda: real_model((5, 4, 4), keras.layers.Conv2D(6, 3, groups=2)),
    "real_conv3d": lambda: real_model((3, 4, 3, 2), keras.layers.Conv3D(3, 2)),
    "real_depthwise": lambda: real_model(
        (5, 4, 3), keras.layers.DepthwiseConv2D(3, depth_multiplier=2)
    ),
    "real_conv2d_transposed": lambda: real_model(
        (4, 3, 3), keras.layers.Conv2DTranspose(2, (3, 2), strides=2)
    ),
    "real_bilinear": lambda: bilinear_model(layers.Bilinear(2), (3, 4)),
    "real_batchnorm": lambda: real_model(
        (4, 2, 3), keras.layers.BatchNormalization(epsilon=1e-5)
    ),
    "real_network": real_network,
    "vd_linear": lambda: complex_model((5,), layers.ComplexDense(4, **sparse(VD))),
    "ard_linear": lambda: complex_model((5,), layers.ComplexDense(4, **sparse(ARD))),
    "vd_conv1d": lambda: complex_model(
        (6, 3), layers.ComplexConv1D(4, 3, **sparse(VD))
    ),
    "ard_conv2d": lambda: complex_model(
        (5, 4, 2), layers.ComplexConv2D(3, (3, 2), **sparse(ARD))
    ),
    "vd_bilinear": lambda: bilinear_model(
        layers.ComplexBilinear(2, **sparse(VD)), (3, 4), "complex64"
    ),
    "real_vd_linear": lambda: cvzoo.sparsify(
        real_model((5,), keras.layers.Dense(4)), VD
    ),
    "real_ard_linear": lambda: cvzoo.sparsify(
        real_model((5,), keras.layers.Dense(4)), ARD
    ),
    "real_vd_conv2d": lambda: cvzoo.sparsify(
        real_model((5, 4, 2), keras.layers.Conv2D(3, (3, 2))), VD
    ),
    "real_ard_conv1d": lambda: cvzoo.sparsify(
        real_model((6, 3), keras.layers.Conv1D(4, 3)), ARD
    ),
    "masked_linear": lambda: complex_model((5,), layers.ComplexDense(4)),
    "masked_conv2d": lambda: complex_model((5, 4, 2), layers.ComplexConv2D(3, (3, 2))),
    "real_masked_linear": lambda: real_model((5,), keras.layers.Dense(4)),
    "real_masked_conv2d": lambda: real_model((5, 4, 2), keras.layers.Conv2D(3, (3, 2))),
    "soft_mask": lambda: complex_model((5,), layers.ComplexDense(4)),
}
FLATTENED = {
    "network": {"5": (4, 3, 2), "6": (4, 3, 2)},
    "concatenated": {"3": (3, 3, 4)},
    "real_network": {"fc": (4, 3, 2)},
}


def imported(case, weights=None, model=None, **arguments):
    """A model with the weights of a golden case."""
    model = model or MODELS[case]()
    state, _ = load(case)
    cvzoo.import_cplxmodule(
        model,
        state if weights is None else weights,
        flattened=FLATTENED.get(case),
        **arguments,
    )
    return model


def original_and_outputs(case, model):
    """Outputs of the original code and of a model, both as the model has them."""
    _, golden = load(case)
    inputs = [
        channels_last(golden[key])
        for key in ("input", "input_0", "input_1")
        if key in golden
    ]
    expected = channels_last(golden["output"])
    if np.iscomplexobj(expected):
        expected = np.stack([expected.real, expected.imag], axis=-1)
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return expected, kops.convert_to_numpy(outputs)


def assert_gives_outputs_of_the_original(case, model):
    expected, found = original_and_outputs(case, model)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def snapshot(model):
    return [kops.convert_to_numpy(one) for one in model.weights]


def assert_refused(model, weights, message, **arguments):
    """An error that says so, and weights that are as they were."""
    before = snapshot(model)
    with pytest.raises(ValueError, match=message):
        cvzoo.import_cplxmodule(model, weights, **arguments)
    for old, new in zip(before, snapshot(model), strict=True):
        np.testing.assert_array_equal(old, new)
