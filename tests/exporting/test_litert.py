"""LiteRT files, run by a process that imports no TensorFlow."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import cvzoo
from cvzoo import catalogue, preset_files
from cvzoo.commands import melody
from cvzoo.exporting import (
    ExportError,
)
from tests.exporting.exports import NAMES, run
from tests.helpers import small_model

ROOT = Path(__file__).parent.parent.parent


def test_weights_of_8_bits_are_near_and_a_quarter_in_size(tmp_path):
    pytest.importorskip("ai_edge_litert")
    keras.utils.set_random_seed(0)
    x = keras.Input((64,), name="x")
    model = keras.Model(x, keras.layers.Dense(512, name="y")(x))
    whole, short = (
        cvzoo.export(model, tmp_path / str(bits), "litert", quantize=bits)
        for bits in (None, "int8")
    )
    assert short["bytes"] < 0.35 * whole["bytes"]
    assert 0 < short["max_abs_error"] < 0.1 and whole["max_abs_error"] < 1e-5
    assert short["quantize"] == "int8"


@pytest.mark.parametrize("name", NAMES)
def test_shipped_presets_run_in_litert(name, tmp_path):
    pytest.importorskip("ai_edge_litert")
    report = cvzoo.export(name, tmp_path / "served", format="litert")
    inputs = cvzoo.examples(name)
    (key,) = report["inputs"]
    (outputs,) = run(tmp_path / "served", [{key: inputs}], "litert")
    (scores,) = outputs.values()
    expected = cvzoo.from_preset(name, compile=False).predict(inputs, verbose=0)
    np.testing.assert_allclose(scores, expected, atol=1e-5 * np.abs(expected).max())
    labels = (tmp_path / "served" / "labels.txt").read_text("utf-8").splitlines()
    assert labels == preset_files.read_manifest(catalogue.SHIPPED / name)["classes"]


@pytest.mark.parametrize(
    ("size", "is_complex"),
    [
        *((size, False) for size in (28, 128, 1152, 3072, 4096)),
        *((28, True), (1000, True), (1024, True)),
    ],
)
def test_circulant_layers_run_in_litert(size, is_complex, tmp_path):
    pytest.importorskip("ai_edge_litert")
    if is_complex:
        pair = [keras.Input((size,), name=name) for name in ("a_real", "a_imag")]
        outputs = cvzoo.layers.ComplexDiagonalCirculant(size)(pair)
        model = keras.Model(pair, cvzoo.layers.FromComplex("real")(outputs))
    else:
        x = keras.Input((size,), name="x")
        model = keras.Model(x, cvzoo.layers.DiagonalCirculant(size)(x))
    report = cvzoo.export(model, tmp_path / "served", format="litert")
    assert report["max_abs_error"] <= 1e-4
    assert set(report["layers"].values()) == {"dense" if size <= 128 else "transform"}


@pytest.mark.parametrize("block", [1, 3, 8])
@pytest.mark.parametrize("is_complex", [False, True])
def test_blocks_run_in_litert(block, is_complex, tmp_path):
    pytest.importorskip("ai_edge_litert")
    if is_complex:
        pair = [keras.Input((24,), name=name) for name in ("a_real", "a_imag")]
        z = cvzoo.layers.ComplexBlockCirculant(24, block)(pair)
        model = keras.Model(pair, cvzoo.layers.FromComplex("real")(z))
    else:
        x = keras.Input((24,), name="x")
        model = keras.Model(x, cvzoo.layers.BlockCirculant(24, block)(x))
    assert cvzoo.export(model, tmp_path / "x", "litert")["max_abs_error"] < 1e-5


class OtherTransform(keras.layers.Layer):
    """A layer that is none of cvzoo's."""

    def call(self, inputs):
        return keras.ops.rfft(inputs)[0]


def test_layers_that_litert_cannot_run_are_named(tmp_path):
    pytest.importorskip("ai_edge_litert")
    x = keras.Input((64,), name="x")
    model = keras.Model(x, OtherTransform(name="spectrum")(x))
    with pytest.raises(ExportError, match="RFFT of layer 'spectrum'"):
        cvzoo.export(model, tmp_path / "served", format="litert")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_runtime_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r'pip install "cvzoo\[litert\]"'):
        cvzoo.export(small_model(), tmp_path / "served", format="litert")


def test_the_embedded_example_hears_notes(tmp_path):
    pytest.importorskip("ai_edge_litert")
    folder = tmp_path / "notes"
    cvzoo.export("musicnet_deep_complex_vd_chorales", folder, format="litert")
    rate = 11_000
    sound = melody.sound(rate)
    melody.write(tmp_path / "melody.wav", sound, rate)
    script = ROOT / "docs" / "embedded" / "hear_notes.py"
    # -I and a check: nothing but numpy and LiteRT is imported.
    code = (
        f"import runpy, sys; sys.argv[1:] = [{str(folder)!r}, "
        f"{str(tmp_path / 'melody.wav')!r}]; "
        f"runpy.run_path({str(script)!r}, run_name='__main__'); "
        "assert not {'tensorflow', 'keras', 'cvzoo'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    *lines, took, memory = done.stdout.splitlines()
    assert took.endswith(" a window of 93 ms") and "MiB of memory" in memory
    names = preset_files.read_manifest(
        catalogue.SHIPPED / "musicnet_deep_complex_vd_chorales"
    )["classes"]
    times = [float(line.split()[0]) for line in lines]
    played = melody.truth(np.array(times), names)
    right = [
        name in line.split()[2:]
        for line, row in zip(lines, played, strict=True)
        for name, is_played in zip(names, row, strict=True)
        if is_played
    ]
    assert np.mean(right) > 0.85
