"""`cvzoo run`: networks hear, see and recognise what files are known to hold."""

import json
import re
import sys
import wave

import numpy as np
import pytest
from sklearn.datasets import load_digits

import cvzoo
from cvzoo import catalogue, cli
from cvzoo.commands import running
from tests.helpers import small_model
from training.data import digits, radio

MUSIC = "musicnet_deep_complex_vd_chorales"
RADIO = "radio_net_complex_unit_ard_magnitude_radio"
DIGITS = "two_layer_dense_complex_vd_digits"
# Hertz of two notes, one after the other.
NOTES = {"A4": 440.0, "E5": 659.26}


def write_notes(path, rate, width=2):
    """A second of each note in a stereo wav file, by the standard library."""
    times = np.arange(rate) / rate
    fade = np.exp(-times) * np.minimum(1, np.minimum(times, 1 - times) / 0.02)
    tones = [
        fade * sum(np.sin(2 * np.pi * k * hertz * times) / k**1.5 for k in range(1, 6))
        for hertz in NOTES.values()
    ]
    one = np.concatenate(tones)
    scale = 0.2 * 2 ** (8 * width - 1) / np.abs(one).max()
    both = np.round(scale * np.stack([one, one], axis=1)).astype(f"<i{width}")
    with wave.open(str(path), "wb") as file:
        file.setparams((2, width, rate, 0, "NONE", ""))
        file.writeframes(both.tobytes())
    return path


def answer(capsys, *arguments):
    """What the command says, as data."""
    assert cli.main(["run", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def check_notes(found):
    """The long notes are those that were written, when they were."""
    long = [one for one in found["notes"] if one["end"] - one["start"] > 0.6]
    assert [one["name"] for one in long] == list(NOTES)
    for place, note in enumerate(long):
        assert abs(note["start"] - place) < 0.15
        assert abs(note["end"] - (place + 1)) < 0.15


@pytest.mark.parametrize(("rate", "width"), [(11_000, 2), (44_100, 4)])
def test_two_notes_are_heard_in_a_wav_file(rate, width, tmp_path, capsys):
    if rate != 11_000:
        pytest.importorskip("soxr")
    path = write_notes(tmp_path / "two.wav", rate, width)
    picture = tmp_path / "roll.png"
    found = answer(capsys, MUSIC, path, "--out", picture)
    check_notes(found)
    assert found["picture"] == str(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_notes_are_told_and_the_extra_is_named(
    tmp_path, capsys, monkeypatch
):
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.chdir(tmp_path)
    path = write_notes(tmp_path / "two.wav", 11_000)
    assert cli.main(["run", MUSIC, str(path)]) == 0
    printed = capsys.readouterr()
    assert 'no picture. Drawing needs matplotlib: pip install "cvzoo[plots]"' in (
        printed.err
    )
    assert "start     end  note" in printed.out and "A4" in printed.out
    assert "Picture" not in printed.out
    assert [one.name for one in tmp_path.iterdir()] == ["two.wav"]


def clean_signals(n=40, samples=1024):
    """Signals at 18 dB, their modulations those of few symbols' worth of doubt."""
    signals = radio.simulate(400, 7, samples)
    kept = (signals.snr == 18) & np.isin(signals.labels, [0, 6, 7])  # BPSK, GFSK, CPFSK
    labels = [radio.CLASSES[label] for label in signals.labels[kept]]
    return (signals.clean + signals.noise)[kept][:n], labels[:n]


def test_modulations_of_simulated_signals_are_recognised(tmp_path, capsys):
    signals, labels = clean_signals()
    np.save(tmp_path / "iq.npy", (1000 * signals).astype(np.complex64))
    found = answer(capsys, RADIO, tmp_path / "iq.npy")["found"]
    said = [one["classes"][0][0] for one in found]
    assert len(said) == len(labels) > 10
    assert (
        np.mean([left == right for left, right in zip(said, labels, strict=True)]) > 0.9
    )
    starts = [one["start"] for one in found[0]["windows"]]
    assert starts == list(range(0, 1024, 128))


def test_a_signal_is_told_of_by_windows_and_drawn(tmp_path, capsys):
    signals, labels = clean_signals(1)
    np.save(tmp_path / "iq.npy", np.stack([signals[0].real, signals[0].imag], -1))
    picture = tmp_path / "plane.png"
    options = [str(tmp_path / "iq.npy"), "--out", str(picture)]
    assert cli.main(["run", RADIO, *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(labels[0]) and lines[0].endswith("mean of 8 windows")
    assert lines[8].startswith("from       896 samples: ")
    assert lines[-1] == f"Picture: {picture}"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_mean_is_that_of_the_networks_probabilities(tmp_path, capsys):
    signals, _ = clean_signals(1)
    np.save(tmp_path / "iq.npy", signals[0])
    ((name, mean), *_) = answer(capsys, RADIO, tmp_path / "iq.npy")["found"][0][
        "classes"
    ]
    windows = signals[0].reshape(8, 128)
    windows = windows / np.sqrt(np.mean(np.abs(windows) ** 2, axis=1, keepdims=True))
    inputs = np.stack([windows.real, windows.imag], axis=-1)
    scores = cvzoo.from_preset(RADIO).predict(inputs, verbose=0)
    powers = np.exp(scores.astype(float))
    expected = (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)
    assert name == radio.CLASSES[expected.argmax()]
    assert mean == pytest.approx(expected.max(), abs=1e-4)


def test_digits_are_read(tmp_path, capsys):
    places = digits.indices("test")[:50]
    images = load_digits().images[places]  # 0 to 16
    np.save(tmp_path / "a.npy", np.round(images / 16 * 255).astype(np.uint8))
    found = answer(capsys, DIGITS, tmp_path / "a.npy")["found"]
    said = [int(one["classes"][0][0]) for one in found]
    assert np.mean(said == load_digits().target[places]) > 0.85
    assert cli.main(["run", DIGITS, str(tmp_path / "a.npy")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"image 0: {said[0]} ")
    assert lines[-1] == "… and 10 more; --json has all"


def test_a_folder_and_one_image_will_do(tmp_path, capsys):
    np.save(tmp_path / "a.npy", cvzoo.examples(DIGITS)[1, ..., 0])
    folder = catalogue.SHIPPED / DIGITS
    assert cli.main(["run", str(folder), str(tmp_path / "a.npy")]) == 0
    assert capsys.readouterr().out.startswith("1 98.1 %, ")


def test_networks_of_several_classes_at_once_name_the_probable_ones(tmp_path, capsys):
    model = small_model(inputs=16)
    folder = cvzoo.save_preset(
        model, tmp_path / "small", classes="abc", outputs="each class", compile=False
    )
    np.save(tmp_path / "a.npy", np.ones(32, complex))
    found = answer(capsys, folder, tmp_path / "a.npy")["found"][0]
    inputs = np.stack([np.ones((1, 16)), np.zeros((1, 16))], axis=-1)
    scores = model.predict(inputs, verbose=0)[0]
    expected = {name for name, score in zip("abc", scores, strict=True) if score >= 0.5}
    assert {name for name, _ in found["classes"]} == expected


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (RADIO, np.ones(100, np.complex64), "too short: the network takes 128 samples"),
        (RADIO, np.full(128, np.nan + 0j), "128 of 128 values that are NaN"),
        (DIGITS, np.ones((28, 28)), r"Images must be (8, 8, 1) or (8, 8)"),
        (MUSIC, np.ones(11_000), "a.npy is a .npy file; musicnet"),
    ],
)
def test_a_wrong_file_is_one_line_and_status_2(name, array, message, tmp_path, capsys):
    np.save(tmp_path / "a.npy", array)
    assert cli.main(["run", name, str(tmp_path / "a.npy")]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1
    assert printed.out == ""


@pytest.mark.parametrize(
    ("name", "begin", "message"),
    [
        (RADIO, b"RIFF....WAVE", "a.bin is a wav file; radio_net"),
        (DIGITS, b"\x89PNG\r\n", "is a PNG picture; .*PIL.Image.open"),
        (RADIO, bytes(64), "is of another type; .*numpy.fromfile"),
    ],
)
def test_files_of_another_type_are_told_apart(name, begin, message, tmp_path, capsys):
    (tmp_path / "a.bin").write_bytes(begin)
    assert cli.main(["run", name, str(tmp_path / "a.bin")]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_pictures_of_unknown_kinds_are_refused_before_anything_runs(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.ones(128, complex))
    arguments = ["run", RADIO, str(tmp_path / "a.npy"), "--out", "a.foo"]
    assert cli.main(arguments) == 2
    assert "`--out` must end in one of .png" in capsys.readouterr().err


def test_pictures_of_images_are_refused(tmp_path, capsys):
    assert cli.main(["run", DIGITS, "a.npy", "--out", str(tmp_path / "a.png")]) == 2
    assert "images are not drawn" in capsys.readouterr().err


def test_a_preset_that_does_not_say_what_scores_are_is_told(tmp_path, capsys):
    folder = cvzoo.save_preset(small_model(inputs=16), tmp_path / "small")
    np.save(tmp_path / "a.npy", np.ones(16, complex))
    assert cli.main(["run", str(folder), str(tmp_path / "a.npy")]) == 2
    assert "does not say what its scores are" in capsys.readouterr().err


def test_long_tables_end_with_how_many_are_left():
    assert running._shortened("ab") == ["a", "b"]
    assert running._shortened("x" * 1042)[-1].startswith("… and 1,002 more")
