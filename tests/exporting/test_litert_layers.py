"""Each layer runs by LiteRT's built-in operations, and gives what it gives here."""

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import layers
from cvzoo.exporting import ExportError, verification
from cvzoo.layers import structured
from tests.helpers import random_pair, tensors

pytest.importorskip("ai_edge_litert")

ROW = random_pair(3, 6)
SIGNAL, IMAGE = random_pair(3, 7, 4), random_pair(3, 5, 6, 4)
SPACES = {"1D": SIGNAL, "2D": IMAGE, "3D": random_pair(3, 3, 4, 3, 2)}
FRAMES = [SIGNAL[0], np.array([7, 2, 0], np.int32)]
TWO = [ROW, ROW[::-1]]
FIRST = {"data_format": "channels_first"}

# Class → what its layers are called on, and the arguments of each.
SWEEP = {
    **dict.fromkeys(
        (
            *("AdaptiveModReLU", "Cardioid", "ComplexTanh", "ModReLU", "PhaseShift"),
            *("ThresholdModReLU", "WidelyLinear", "ZReLU"),
            *("ComplexBatchNormalization", "ComplexLayerNormalization"),
        ),
        (SIGNAL, {}),
    ),
    "SplitActivation": (ROW, {"activation": "relu"}),
    "ComplexDropout": (ROW, {"rate": 0.5}),
    "ComplexDense": (SIGNAL, {"units": 5}),
    "PerPart": (SIGNAL, {"layer": keras.layers.MaxPooling1D()}),
    "FromComplex": (
        ROW,
        *({"layout": one} for one in layers.complex.FROM_LAYOUTS),
    ),
    "ToComplex": (
        IMAGE[0][..., :2],
        *({"layout": one} for one in layers.complex.TO_LAYOUTS),
    ),
    "ComplexAdd": (TWO, {}),
    "ComplexConcatenate": (TWO, {}),
    "ComplexMultiply": (TWO, {}, {"conjugate": True}),
    "Bilinear": (list(ROW), {"units": 3}),
    "ComplexBilinear": (TWO, {"units": 3}),
    **{
        f"ComplexConv{rank}": (
            inputs,
            {"filters": 2, "kernel_size": 2, "padding": "circular"},
            {"filters": 2, "kernel_size": 2, "strides": 2, **FIRST},
        )
        for rank, inputs in SPACES.items()
    },
    **{
        f"ComplexConv{rank}Transpose": (
            SPACES[rank],
            {"filters": 2, "kernel_size": 3, "strides": 2},
            {"filters": 2, "kernel_size": 2, **FIRST},
        )
        for rank in ("1D", "2D")
    },
    "ComplexDepthwiseConv2D": (IMAGE, {"kernel_size": 3}),
    **{
        f"ComplexAveragePooling{rank}": (inputs, {"padding": "same"}, {**FIRST})
        for rank, inputs in SPACES.items()
    },
    **{
        f"ComplexMaxPooling{rank}": (inputs, {"padding": "same"}, {"by": "modulus"})
        for rank, inputs in SPACES.items()
    },
    **{
        f"ComplexGlobalAveragePooling{rank}": (inputs, {})
        for rank, inputs in SPACES.items()
    },
    **{
        f"ComplexGlobalMaxPooling{rank}": (
            inputs,
            *({}, {"by": "modulus"}, {"by": "modulus", "keepdims": True, **FIRST}),
        )
        for rank, inputs in SPACES.items()
    },
    "SpectralPooling1D": (SIGNAL, {"output_size": 3}),
    "SpectralPooling2D": (IMAGE, {"output_size": 4}),
    "FourierFeatures": (IMAGE, {}, {"axes": 1, "norm": "backward", "shift": False}),
    "STFT": (
        SIGNAL[0],
        *({"frame_length": 4, "frame_step": 2, "fft_length": n} for n in (4, 5)),
    ),
    "InverseSTFT": (
        random_pair(3, 3, 3),
        *({"length": 6, "frame_length": 4, "fft_length": n} for n in (4, 5)),
    ),
    "Scattering2D": (IMAGE[0], {"J": 1, "L": 2}),
    **dict.fromkeys(
        ("DBoF", "NetFV", "NetRVLAD", "NetVLAD", "SoftDBoF"), (FRAMES, {"clusters": 3})
    ),
    "DequantizeFrames": (FRAMES, {}),
    "FrameSampler": (FRAMES, {"bags": 2, "frames": 3}),
    "ContextGating": (ROW[0], {}),
    "MixtureOfExperts": (ROW[0], {"classes": 3}),
    **dict.fromkeys(("Circulant", "DiagonalCirculant"), (ROW[0], {"units": 5})),
    **dict.fromkeys(
        ("ComplexCirculant", "ComplexDiagonalCirculant"), (ROW, {"units": 5})
    ),
    "BlockCirculant": (ROW[0], {"units": 5, "block_size": 3}),
    "ComplexBlockCirculant": (ROW, {"units": 5, "block_size": 3}),
    "DiagonalCirculantStack": (ROW[0], {"depth": 2}),
    **dict.fromkeys(
        ("DiagonalToeplitz", "Fastfood", "Toeplitz"), (ROW[0], {"units": 5})
    ),
    "ACDC": (ROW[0], {"units": 5, "permute": True}),
    "CirculantProduct": (
        ROW[0],
        *({"units": 5, "factors": 2, "field": one} for one in ("real", "complex")),
    ),
    "HashedDense": (ROW[0], {"units": 5, "compression": 3}),
    "LowRank": (ROW[0], {"units": 5, "rank": 2}),
    "LowDisplacementRank": (
        ROW[0],
        *(
            {"units": 5, "rank": 2, "operators": one}
            for one in ("shift", "subdiagonal", "tridiagonal")
        ),
    ),
}

# What is refused, as transforms are made for one size, and exports draw no random
# numbers. Class → shape of the input, arguments, message.
REFUSED = {
    "FourierFeatures": [(None, 2), {"axes": 1}, "known number of points"],
    "FrameSampler": [(4, 2), {"evaluation": "random"}, "random numbers"],
}


def groups(most=6):
    """Classes that are called on the same, a few at a time: each export takes long."""
    found = {}
    for name, (inputs, *_) in SWEEP.items():
        found.setdefault(id(inputs), []).append(name)
    return [
        names[start : start + most]
        for names in found.values()
        for start in range(0, len(names), most)
    ]


def class_of(name):
    return getattr(layers, name, None) or getattr(structured, name)


def model_of(inputs, calls):
    """Layers on the same inputs, their weights moved from where they begin.

    Args:
        inputs: Structure of arrays.
        calls: For each layer its class and the arguments.
    """
    leaves = keras.tree.flatten(inputs)
    symbolic = keras.tree.pack_sequence_as(
        inputs,
        [
            keras.Input(one.shape[1:], dtype=one.dtype, name=f"x{place}")
            for place, one in enumerate(leaves)
        ],
    )
    outputs = [class_of(name)(**arguments)(symbolic) for name, arguments in calls]
    outputs = [
        layers.FromComplex("concatenated")(one) if isinstance(one, tuple) else one
        for one in outputs
    ]
    model = keras.Model(symbolic, outputs)
    generator = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign_add(0.1 * generator.normal(size=variable.shape))
    return model


def outputs_of(model, inputs, folder):
    """What the export of a model gives, and what the model gives."""
    cvzoo.export(model, folder, "litert")
    named = {f"x{n}": one for n, one in enumerate(keras.tree.flatten(inputs))}
    (found,) = verification.run(folder, [named], "litert").outputs
    expected = model(tensors(inputs), training=False)
    names = [one._keras_history.operation.name for one in model.outputs]
    return [found[name] for name in names], keras.tree.flatten(expected)


def assert_near(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(other).max())


@pytest.mark.parametrize("names", groups(), ids=" ".join)
def test_layers_run_in_litert(names, tmp_path, in_this_process):
    inputs, *_ = SWEEP[names[0]]
    calls = [(name, one) for name in names for one in SWEEP[name][1:]]
    model = model_of(inputs, calls)
    assert_near(*outputs_of(model, inputs, tmp_path / "served"))


def test_every_layer_is_tried():
    tried = {
        name
        for module in (layers, structured)
        for name, one in vars(module).items()
        if isinstance(one, type) and issubclass(one, keras.layers.Layer)
    }
    assert set(SWEEP) == tried


@pytest.mark.parametrize("name", REFUSED)
def test_layers_that_cannot_run_are_named(name, tmp_path):
    shape, arguments, reason = REFUSED[name]
    x = keras.Input(shape, name="x")
    outputs = class_of(name)(**arguments, name="odd_one")(x)
    if isinstance(outputs, tuple):
        outputs = layers.FromComplex("modulus")(outputs)
    with pytest.raises(ExportError, match="odd_one") as raised:
        cvzoo.export(keras.Model(x, outputs), tmp_path / "served", "litert")
    assert reason in str(raised.value)


@pytest.mark.parametrize("size", [768, 1152, 3072])
def test_long_transforms_are_numpys(size, tmp_path, in_this_process):
    pair = random_pair(2, size, seed=size)
    inputs = [keras.Input((size,), name=f"x{place}") for place in range(2)]
    outputs = [
        layers.FourierFeatures(axes=1, shift=False)(given)
        for given in (inputs[0], tuple(inputs))
    ]
    outputs = [layers.FromComplex("concatenated")(one) for one in outputs]
    found, _ = outputs_of(keras.Model(inputs, outputs), list(pair), tmp_path / "x")
    z = pair[0] + 1j * pair[1].astype(np.float64)
    expected = [np.fft.fft(one, norm="ortho") for one in (z.real, z)]
    assert_near(found, [np.concatenate([z.real, z.imag], -1) for z in expected])


def test_of_equal_moduli_the_first_is_taken(tmp_path, in_this_process):
    generator = np.random.default_rng(0)
    shape = IMAGE[0].shape
    inputs = tuple(generator.integers(-2, 3, shape).astype("float32") for _ in "ri")
    model = model_of(inputs, [("ComplexGlobalMaxPooling2D", {"by": "modulus"})])
    ((found,), _) = outputs_of(model, inputs, tmp_path / "served")
    z = (inputs[0] + 1j * inputs[1]).reshape(shape[0], -1, shape[-1])
    first = np.argmax(z.real**2 + z.imag**2, axis=1)
    expected = np.take_along_axis(z, first[:, None], axis=1)[:, 0]
    np.testing.assert_array_equal(
        found, np.concatenate([expected.real, expected.imag], -1)
    )


def sparse_model(kind):
    """A linear layer from 301 inputs to 57, one in a hundred weights not zero."""
    inputs = [keras.Input((301,), name=f"x{place}") for place in range(2)]
    inputs = inputs if kind == "complex" else inputs[:1]
    if kind == "complex":
        layer = layers.ComplexDense(57)
        model = keras.Model(inputs, layers.FromComplex("concatenated")(layer(inputs)))
    elif kind == "dense":
        model = keras.Model(inputs, keras.layers.Dense(57)(inputs[0]))
    else:
        layer = keras.layers.EinsumDense("bi,ij->bj", (57,))
        model = keras.Model(inputs, layer(inputs[0]))
    generator = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if len(variable.shape) == 2:
            kept = generator.random(variable.shape) < 0.01
            variable.assign(variable.numpy() * kept)
    return model


# The converter packs zeros by fours, and such sizes wrongly.
@pytest.mark.parametrize("kind", ["dense", "complex", "einsum"])
def test_zeros_of_any_width_are_left_out(kind, tmp_path, in_this_process):
    report = cvzoo.export(sparse_model(kind), tmp_path / "served", "litert")
    assert report["max_abs_error"] < 1e-5
    if kind != "einsum":
        assert report["bytes"] < 15_000
