"""Presets keep every layer of cvzoo, with its weights and arguments."""

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import allowed_layers, layers


def test_every_public_layer_is_on_the_list():
    public = [
        kind
        for kind in (vars(layers) | vars(layers.structured)).values()
        if isinstance(kind, type) and issubclass(kind, keras.layers.Layer)
    ]
    assert len(public) > 47
    assert [kind for kind in public if kind not in allowed_layers.LAYERS] == []


IMAGE = [
    layers.ToComplex("concatenated"),
    layers.ComplexConv2D(4, 3, padding="circular", strides=2, activation="relu"),
    layers.ComplexBatchNormalization(affine="symmetric"),
    layers.WidelyLinear(),
    layers.ModReLU(),
    layers.ComplexDepthwiseConv2D(2, depth_multiplier=2, padding="same"),
    layers.AdaptiveModReLU(),
    layers.ComplexConv2DTranspose(3, 3, strides=2, output_padding=1),
    layers.ComplexMaxPooling2D(2, by="modulus"),
    layers.ComplexLayerNormalization(statistics="space"),
    layers.ThresholdModReLU(threshold=None),
    layers.ComplexAveragePooling2D(2, padding="same"),
    layers.SpectralPooling2D(3),
    layers.PhaseShift(),
    layers.ComplexDropout(0.3),
    layers.Cardioid(),
    layers.ComplexGlobalMaxPooling2D(by="modulus"),
    layers.ComplexTanh(),
    layers.FromComplex("modulus"),
]
SIGNAL = [
    layers.ToComplex("concatenated"),
    layers.ComplexConv1D(4, 3, padding="causal", dilation_rate=2, use_bias=False),
    layers.SplitActivation("tanh"),
    layers.ComplexMaxPooling1D(2),
    layers.ComplexConv1DTranspose(3, 2),
    layers.ZReLU(),
    layers.ComplexGlobalAveragePooling1D(),
    layers.FromComplex("concatenated"),
]
CIRCULANT = [
    layers.Circulant(7, activation="relu", padding="left", transpose=True),
    layers.DiagonalCirculant(9, rectangular="blocks", order="diagonal_first"),
    layers.DiagonalCirculantStack(3, activation_every=2, negative_slope=0.1),
    layers.BlockCirculant(6, 4),
    layers.ToComplex("concatenated"),
    layers.ComplexDiagonalCirculant(5, trainable_diagonal=False),
    layers.ComplexCirculant(4, use_bias=False),
    layers.ComplexBlockCirculant(5, 3),
    layers.FromComplex("modulus"),
]
STRUCTURED = [
    layers.structured.Toeplitz(7, activation="relu", padding="left"),
    layers.structured.DiagonalToeplitz(9, use_bias=False),
    layers.structured.ACDC(6, diagonal_at="outputs", permute=True),
    layers.structured.CirculantProduct(5, 3, field="complex", first="diagonal"),
    layers.structured.LowRank(5, 6, overcomplete=True),
    layers.structured.LowDisplacementRank(7, 2, corner=True),
    layers.structured.LowDisplacementRank(6, 3, operators="subdiagonal", tied=True),
    layers.structured.LowDisplacementRank(
        5, 1, operators="tridiagonal", padding="left"
    ),
    layers.structured.Fastfood(9, seed=2**32 - 1),
    layers.structured.HashedDense(6, compression=2.5),
    layers.structured.HashedDense(5, buckets=4),
]
SPEECH = [
    layers.STFT(8, 4),
    layers.ComplexDense(5),
    layers.InverseSTFT(20, 8, 4),
]
VIDEO = [
    layers.DequantizeFrames(normalize=False),
    layers.FrameSampler(2, 3),
    layers.NetVLAD(4, projection="diagonal_circulant", initialization="paper"),
    layers.DBoF(6, pooling="average", projection="low_rank", rank=2),
    layers.ContextGating(use_batch_norm=False, momentum=0.9),
    layers.ContextGating(projection="circulant"),
    layers.MixtureOfExperts(5, mixtures=2, regularization=0.1),
]
SHARES = [
    layers.NetRVLAD(3, momentum=0.9),
    layers.NetFV(2, tied_centres=True, second_order="intra"),
    layers.SoftDBoF(4, with_max=True),
]
WAVELETS = [layers.Scattering2D(1, 2, 1), keras.layers.Dense(3)]


@pytest.mark.parametrize(
    ("shape", "stack"),
    [
        ((13, 13, 2), IMAGE),
        ((20, 2), SIGNAL),
        ((20,), SPEECH),
        ((8,), CIRCULANT),
        ((8,), STRUCTURED),
        ((9, 8, 2), WAVELETS),
        ((7, 8), VIDEO),
        ((4, 3, 5, 6), SHARES),
    ],
)
def test_a_preset_gives_a_network_of_such_layers_back(shape, stack, tmp_path):
    x = inputs = keras.Input(shape, name="inputs")
    for layer in stack:
        x = layer(x)
    model = keras.Model(inputs, x)
    for variable in model.weights:
        value = np.asarray(variable)
        variable.assign(
            value + 0.1 * np.random.default_rng(0).uniform(size=value.shape)
        )
    cvzoo.save_preset(model, tmp_path / "preset")
    batch = np.random.default_rng(1).normal(size=(2, *shape)).astype(np.float32)
    loaded = cvzoo.from_preset(tmp_path / "preset")
    np.testing.assert_allclose(
        loaded.predict(batch, verbose=0), model.predict(batch, verbose=0), atol=1e-5
    )


def test_merged_pairs_and_bilinear_forms_come_back_too(tmp_path):
    inputs = keras.Input((6, 2), name="inputs")
    z = layers.ToComplex("trailing")(inputs)
    left, right = layers.ComplexDense(4)(z), layers.ComplexDense(4)(z)
    total = layers.ComplexAdd()([left, right])
    gate = layers.ComplexMultiply(conjugate=True)([left, right])
    both = layers.ComplexConcatenate()([total, gate])
    form = layers.ComplexBilinear(3, conjugate=False)([both, left])
    model = keras.Model(inputs, layers.FromComplex("real")(form))
    cvzoo.save_preset(model, tmp_path / "preset")
    batch = np.random.default_rng(1).normal(size=(2, 6, 2)).astype(np.float32)
    loaded = cvzoo.from_preset(tmp_path / "preset")
    np.testing.assert_allclose(
        loaded.predict(batch, verbose=0), model.predict(batch, verbose=0), atol=1e-5
    )
