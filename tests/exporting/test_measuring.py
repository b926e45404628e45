"""What exports take: rows of `cvzoo bench`."""

import keras

from cvzoo import catalogue, preset_files
from cvzoo.exporting import (
    litert,
    measuring,
)


def test_rows_of_a_preset_and_its_uncompressed_network(monkeypatch, in_this_process):
    monkeypatch.setattr(litert, "is_installed", lambda: False)
    name = "two_layer_dense_complex_unit_ard_magnitude_digits"
    small, large = measuring.measure(name, batches=(1,))
    assert small.name == f"{name}, SavedModel"
    assert large.name == "uncompressed, fresh weights, SavedModel"
    manifest = preset_files.read_manifest(catalogue.SHIPPED / name)
    assert small.numbers == manifest["counts"]["nonzero"]
    assert large.numbers <= manifest["counts"]["baseline_parameters"]
    # 64 · 31 and 31 · 10 complex products, and those of the network before.
    assert small.multiply_adds == 4 * (64 * 31 + 31 * 10)
    assert large.multiply_adds == 4 * (64 * 512 + 512 * 10)
    # All times were 0, so that bytes decide.
    assert large.dominated_by == (small.name,) and small.dominated_by == ()


def test_multiply_adds_of_convolutions():
    x = keras.Input((8, 8, 3))
    y = keras.layers.Conv2D(5, 3, name="c")(x)
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(y)))
    assert measuring.multiply_adds(model) == 27 * 36 * 5 + 180 * 2
    depthwise = keras.layers.DepthwiseConv2D(3)
    assert measuring.multiply_adds(keras.Model(x, depthwise(x))) == 9 * 36 * 3
    upwards = keras.layers.Conv2DTranspose(5, 2, strides=2)
    assert measuring.multiply_adds(keras.Model(x, upwards(x))) == 4 * 3 * 5 * 64
    x = keras.Input((6,))
    twice = keras.layers.Dense(6)
    assert measuring.multiply_adds(keras.Model(x, twice(twice(x)))) == 2 * 36
