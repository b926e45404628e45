"""Any allowed arguments of any allowed layer: a model, or the loader's own error."""

import random

import keras
import pytest

from cvzoo import allowed_layers, architecture

NUMBERS = (
    *(None, True, False, 0, 1, 2, 3, 4, 7, 16, 100, 1000, 2**20, 2**24, -1, -2, -3, -9),
    *(0.0, 0.5, 1.5, -0.5, 1e-3, 1e29, -1e29),
)
SMALL = [number for number in NUMBERS if number is None or abs(number) < 10]
TEXTS = ("ab,bc->ac", "...a,ab->...b", "abc,cd->abd", "ab")
OF_SEVERAL = {
    *("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"),
    *("Bilinear", "ComplexAdd", "ComplexBilinear", "ComplexConcatenate"),
    "ComplexMultiply",
}
# Weights of any shape, but few.
STATED = {"more/any": (2**16,)}


def texts_of(check):
    """Texts that a check of `allowed_layers` knows, as its closure has them."""
    found = set()
    for cell in check.__closure__ or ():
        value = cell.cell_contents
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, str):
                found.add(one)
            elif callable(one):
                found.update(texts_of(one))
    return sorted(found)


def draw(generator, check):
    """A value that a check allows, small ones being more frequent."""
    lists = [
        [generator.choice(generator.choice([SMALL, NUMBERS]))] * generator.randrange(4)
        for _ in range(20)
    ]
    lists += [generator.choices(NUMBERS, k=generator.randrange(4)) for _ in range(10)]
    lists += [
        [generator.choices(SMALL, k=2)] * generator.randrange(4) for _ in range(9)
    ]
    pool = [*NUMBERS, *TEXTS, *texts_of(check) * 3, *lists]
    small = [one for one in (*SMALL, *texts_of(check), *lists) if check(one)]
    allowed = [one for one in pool if check(one)]
    return generator.choice(small if small and generator.random() < 0.7 else allowed)


def network(generator, layer_class):
    """A description of a network of one layer, which may make no sense."""
    name = layer_class.__name__
    arguments = allowed_layers.LAYERS[layer_class]
    more = {key: draw(generator, check) for key, check in arguments.items()}
    if name == "PerPart":
        more = {"layer": {"class": generator.choice(("Flatten", "Identity"))}}
    layers, calls, source = {"more": {"class": name, **more}}, [], ["x", 0, 0]
    is_ours = layer_class.__module__.startswith("cvzoo")
    if generator.random() < (0.6 if is_ours else 0.1):
        layers["open"] = {"class": "ToComplex", "layout": "concatenated"}
        layers["open"]["mask_value"] = None
        calls.append(["open", source])
        source = {"pair": [["open", 0, 0], ["open", 0, 1]]}
    source = {"list": [source, source]} if name in OF_SEVERAL else source
    sizes = [1, 2, 6, 8, 8, 64, None, 2**12]
    shape = generator.choices(sizes, k=generator.randrange(4))
    shape.append(generator.choice([2, 4, 8, 64, None, 2**12]))
    dtypes = ["float32"] * 4 + ["complex64", "int32", "uint8"]
    return {
        "format": architecture.FORMAT,
        "name": "network",
        "inputs": [{"name": "x", "shape": shape, "dtype": generator.choice(dtypes)}],
        "layers": layers,
        "calls": [*calls, ["more", source]],
        "outputs": [["more", 0, 0]],
    }


def try_networks(count, monkeypatch):
    """Builds some of each layer; names of the layers of which one was a model."""
    # Kernels of any shape: a manifest that states them as they come out.
    monkeypatch.setattr(architecture._Guarded, "_check_kernel", lambda *_: None)
    built = set()
    for layer_class in allowed_layers.LAYERS:
        generator = random.Random(layer_class.__name__)
        for _ in range(count):
            described = network(generator, layer_class)
            try:
                model = architecture.build(described, STATED)
            except architecture.ArchitectureError:
                continue
            assert isinstance(model, keras.Model)
            built.add(layer_class.__name__)
    return built


def test_some_arguments_of_each_layer(monkeypatch):
    assert len(try_networks(2, monkeypatch)) > 40


@pytest.mark.slow
def test_many_arguments_of_each_layer(monkeypatch):
    assert len(try_networks(150, monkeypatch)) > 100
