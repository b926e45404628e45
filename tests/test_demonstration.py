"""`cvzoo demo`: what it prints and writes; and its melody."""

import sys
import wave

import numpy as np
import pytest

from cvzoo import catalogue, cli
from cvzoo.commands import demonstration, melody

NAMES = [f"{name}{octave}" for octave in range(1, 7) for name in melody.PITCH_CLASSES]


def test_the_demo_shows_every_preset(tmp_path, capsys):
    assert cli.main(["demo", "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in catalogue.preset_names():
        (line,) = [one for one in lines if one.startswith(f"{name} ") and "→" in one]
        assert len(line) <= 80
        assert float(line.split()[-1]) < 1e-4
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("constellation.png", "melody.wav", "piano_roll.png")
    ]
    for name in ("constellation.png", "piano_roll.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    text = "\n".join(lines)
    assert "0, 99.3 %           1, 95.0 % says two_layer_dense" in text
    share = float(text.partition("\nhears ")[2].partition(" %")[0])
    assert share > 90
    assert lines[-1].strip().startswith("cvzoo run NAME FILE")


def test_without_matplotlib_the_demo_goes_on(tmp_path, capsys, monkeypatch):
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    few = ["two_layer_dense_complex_vd_digits", "musicnet_deep_complex_vd_chorales"]
    monkeypatch.setattr(catalogue, "preset_names", lambda: few)
    monkeypatch.setattr(demonstration, "CALLS", 1)
    assert cli.main(["demo", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert 'pip install "cvzoo[plots]"' in printed.err
    assert "hears" in printed.out and "cvzoo run NAME FILE" in printed.out
    assert [path.name for path in tmp_path.iterdir()] == ["melody.wav"]


def test_digits_are_printed_as_they_are_drawn():
    image = np.zeros((2, 3, 1))
    image[0, 1], image[1, 2] = 1, 0.5
    assert demonstration._characters(image) == ["  @@  ", "    =="]


def test_the_melody_sounds_as_its_truth_says():
    rate = 11_000
    sound = melody.sound(rate)
    assert np.abs(sound).max() <= 1 and len(sound) == round(sum(melody.SECONDS) * rate)
    starts = np.cumsum((0, *melody.SECONDS[:-1]))
    for start, length, note in zip(starts, melody.SECONDS, melody.MELODY, strict=True):
        part = sound[round(start * rate) :][: round(length * rate)]
        spectrum = np.abs(np.fft.rfft(part, 8 * rate))
        hertz = 440 * 2 ** ((note - 69) / 12)
        # Between the bass, at most 131 hertz, and the note's own overtones.
        inside = spectrum[8 * 240 : 8 * 450].argmax() / 8 + 240
        assert abs(inside - hertz) < 5
        roll = melody.truth(np.array([start + length / 2]), NAMES)
        sounding = [name for name, on in zip(NAMES, roll[0], strict=True) if on]
        octave, place = divmod(note, 12)
        assert f"{melody.PITCH_CLASSES[place]}{octave - 1}" in sounding
        assert len(sounding) == 2


def test_the_melody_is_written_as_it_is(tmp_path):
    samples = np.array([0, 0.5, -1], np.float32)
    melody.write(tmp_path / "a.wav", samples, 11_000)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getframerate() == 11_000
        data = np.frombuffer(file.readframes(3), "<i2")
    np.testing.assert_allclose(data / 32767, samples, atol=2e-5)


def test_names_of_notes_are_found():
    assert NAMES.index("A4") == NAMES.index("C4") + 9
    with pytest.raises(ValueError):
        melody.truth(np.zeros(1), ["C4"])
