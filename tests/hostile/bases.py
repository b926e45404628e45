"""Small presets that mutants are made of, as file name → bytes."""

import functools
import json
import tempfile
from pathlib import Path

import keras
import numpy as np
import safetensors.numpy

import cvzoo
from cvzoo import layers, packing, preset_files
from tests.helpers import COMPILE, masked, small_model, sparse_model


def sparse():
    """Complex and sparse, with `PerPart`, compiled, with examples and classes."""
    return sparse_model()


def gaps():
    """Large enough for long gaps with low bits, a bitmask, and entropy coders."""
    x = keras.Input((40,), name="signal")
    y = keras.layers.Dense(60, activation="relu", name="wide")(x)
    y = keras.layers.Dense(50, activation="relu", name="half")(y)
    model = keras.Model(x, keras.layers.Dense(3, name="logits")(y))
    densities = {"wide": 0.01, "half": 0.5, "logits": 1}
    for name, density in densities.items():
        layer = model.get_layer(name)
        generator = np.random.default_rng(len(name))
        kernel = generator.normal(size=layer.kernel.shape)
        layer.kernel.assign(kernel * (generator.random(kernel.shape) < density))
        layer.bias.assign(generator.uniform(0.5, 1, layer.bias.shape))
    return model


def integers():
    """Weights that are kept as integers of one and two bytes, and as float16."""
    model = small_model(hidden=8)
    generator = np.random.default_rng(1)
    for layer, scale in (("hidden", 30), ("output", 3000)):
        for variable in model.get_layer(layer).weights:
            whole = generator.integers(-scale, scale, size=variable.shape)
            variable.assign(whole / scale)
            variable.assign(np.float16(variable) if scale == 30 else whole / 4096)
    return model


def convolution():
    """Real convolution, batch norm, pooling, one layer called twice, a sum."""
    x = keras.Input((6, 6, 1), name="image")
    y = keras.layers.Conv2D(4, 3, padding="same", name="first")(x)
    y = keras.layers.BatchNormalization(name="norm")(y)
    relu = keras.layers.ReLU(max_value=6.0, name="relu")
    other = relu(keras.layers.Conv2D(4, 1, use_bias=False, name="second")(relu(y)))
    y = keras.layers.Add(name="sum")([relu(y), other])
    y = keras.layers.MaxPooling2D(2, name="pool")(y)
    y = keras.layers.Flatten(name="flat")(y)
    model = keras.Model(x, keras.layers.Dense(2, name="logits")(y))
    return masked(model, 0.7, seed=2)


def two_inputs():
    """Two inputs of pairs, which are joined by a `PerPart`, and two outputs."""
    inputs = [keras.Input((4, 2), name=name) for name in ("left", "right")]
    pairs = [layers.ToComplex("trailing", name=f"open_{x.name}")(x) for x in inputs]
    z = layers.PerPart(keras.layers.Concatenate(), name="join")(pairs)
    z = layers.ComplexDense(3, name="hidden")(z)
    outputs = [
        layers.FromComplex(layout, name=layout)(z) for layout in ("real", "modulus")
    ]
    return keras.Model(inputs, outputs)


def any_length():
    """Two inputs of any length, which become one number."""
    inputs = [keras.Input((None, 2), name=name) for name in ("left", "right")]
    y = keras.layers.Add(name="sum")(inputs)
    y = keras.layers.UpSampling1D(2, name="longer")(y)
    y = keras.layers.GlobalAveragePooling1D(name="mean")(y)
    return keras.Model(inputs, keras.layers.Dense(1, name="logits")(y))


MODELS = (sparse, gaps, integers, convolution, two_inputs)


@functools.cache
def presets():
    """Name of each base → its files, which must not be changed."""
    found = {make.__name__: _saved(make()) for make in MODELS}
    for name in ("sparse", "gaps"):
        files = found[name]
        data = pack_in_first_format(tensors_of(files))
        found[f"{name}_in_first_format"] = sealed({**files, preset_files.WEIGHTS: data})
    return found


@functools.cache
def preset_of_any_length():
    """File name → bytes of another base, of which only some mutants are made."""
    return _saved(any_length())


def _saved(model):
    generator = np.random.default_rng(3)
    examples = [
        generator.normal(size=(2, *(n or 5 for n in x.shape[1:]))).astype(np.float32)
        for x in model.inputs
    ]
    with tempfile.TemporaryDirectory() as folder:
        folder = cvzoo.save_preset(
            model,
            Path(folder) / "small",
            description="A network.",
            compile=COMPILE if len(model.outputs) == 1 else False,
            config={"name": "small", "seed": 0},
            scores={"metric": "accuracy", "test": 0.5},
            data={"name": "noise", "licence": "none"},
            classes=_classes(model),
            inputs={"meaning": "noise", "range": [-5, 5]},
            latency={"milliseconds": 1, "hardware": "none", "date": "today"},
            examples=examples if len(examples) > 1 else examples[0],
        )
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _classes(model):
    """A name for each score, where there is one output of a known size."""
    sizes = [output.shape[-1] for output in model.outputs]
    return list("abcdefghijklmnop"[: sizes[0]]) if len(sizes) == 1 and sizes[0] else []


def tensors_of(files):
    """Name → values of a preset's weights."""
    return packing.unpack(bytearray(files[preset_files.WEIGHTS]), specs_of(files))


def specs_of(files):
    stated = json.loads(files[preset_files.MANIFEST])["tensors"]
    return {
        name: packing.Spec(tuple(one["shape"]), one["parts"])
        for name, one in stated.items()
    }


def sealed(files):
    """The files, with sizes and hashes in the manifest that are right."""
    manifest = json.loads(files[preset_files.MANIFEST])
    for name in manifest["files"]:
        manifest["files"][name] = preset_files.describe_bytes(files[name])
    return {**files, preset_files.MANIFEST: json.dumps(manifest).encode()}


def pack_in_first_format(tensors):
    """A weights file of format 1: one tensor of each codec, the others dense."""
    arrays, stated = {}, {}
    for name, value in sorted(tensors.items()):
        parts = np.stack(value if isinstance(value, tuple) else (value,))
        flat = parts.reshape(len(parts), -1)
        is_place = (flat != 0).any(axis=0)
        codec = "dense" if is_place.all() else _first_codec(stated)
        if codec == "dense":
            arrays[name] = parts
        else:
            arrays[name] = np.ascontiguousarray(flat[:, is_place])
            encode = np.packbits if codec == "bitmask" else _varints
            arrays[f"{name}#places"] = encode(is_place)
        stated[name] = {"shape": list(parts.shape[1:]), "codec": codec}
    metadata = {"cvzoo": json.dumps({"format": 1, "tensors": stated})}
    return safetensors.numpy.save(arrays, metadata)


def _first_codec(stated):
    used = [one["codec"] for one in stated.values()]
    return "bitmask" if "gaps" in used else "gaps"


def _varints(is_place):
    found = []
    for gap in np.diff(np.flatnonzero(is_place), prepend=-1) - 1:
        gap = int(gap)
        while gap > 127:
            found.append(gap & 127 | 128)
            gap >>= 7
        found.append(gap)
    return np.uint8(found)
