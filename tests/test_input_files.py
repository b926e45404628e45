"""Files of users: what is read from them, and what is said of those that are wrong."""

import io
import struct
import sys
import wave

import numpy as np
import pytest

from cvzoo.input_files import InputFileError, arrays, kinds, sound

RATE = 8000


def wav(path, data, width=2, channels=1, rate=RATE):
    """A wav file of some bytes, by the standard library."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return path


# Sound


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_sound_of_all_widths_is_the_same(bits, tmp_path):
    values = [0.0, 0.5, -0.5, -1.0, 0.25]
    shift = 128 if bits == 8 else 0
    data = b"".join(
        (round(value * 2 ** (bits - 1)) + shift).to_bytes(
            bits // 8, "little", signed=bits > 8
        )
        for value in values
    )
    samples, rate = sound.read_wav(wav(tmp_path / "a.wav", data, bits // 8))
    assert rate == RATE and samples.dtype == np.float32
    np.testing.assert_array_equal(samples, values)


def test_channels_that_cancel_out_are_told_of(tmp_path):
    data = np.array([[100, -100]] * 50, "<i2")
    with pytest.raises(InputFileError, match="2 channels are averaged: they cancel"):
        sound.read_wav(wav(tmp_path / "a.wav", data, channels=2))


def test_channels_are_averaged(tmp_path):
    data = struct.pack("<4h", 16384, 0, -16384, -16384)
    samples, _ = sound.read_wav(wav(tmp_path / "a.wav", data, channels=2))
    np.testing.assert_array_equal(samples, [0.25, -0.5])


def whole_wav():
    file = io.BytesIO()
    wav_bytes = struct.pack("<100h", *range(100))
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes(wav_bytes)
    return bytearray(file.getvalue())


def float_wav():
    data = whole_wav()
    data[20:22] = struct.pack("<H", 3)
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no PCM wav file.*it ends too soon. Write it anew as PCM"),
        (b"ID3 what players call mp3" * 9, "does not start with RIFF"),
        (float_wav(), "unknown format: 3. Write it anew as PCM, for example: ffmpeg"),
        (whole_wav()[:30], "is no PCM wav file"),
        (whole_wav()[:17] + b"\xc4" + whole_wav()[18:], "is no PCM wav file"),
        (whole_wav()[:100], "cut off: 100 samples of 8,000 a second .* 28 are there"),
    ],
)
def test_what_is_no_whole_wav_file_is_told(data, message, tmp_path):
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(InputFileError, match=message):
        sound.read_wav(tmp_path / "a.wav")


def test_a_wav_file_without_samples_is_told(tmp_path):
    with pytest.raises(InputFileError, match="holds no sound: 0 samples of 8,000"):
        sound.read_wav(wav(tmp_path / "a.wav", b""))


@pytest.mark.parametrize("read", [sound.read_wav, arrays.read_npy])
def test_a_missing_file_and_a_folder_are_told(read, tmp_path):
    with pytest.raises(InputFileError, match="cannot be read: No such file"):
        read(tmp_path / "missing")
    with pytest.raises(InputFileError, match="cannot be read: Is a directory"):
        read(tmp_path)


def test_sound_of_another_rate_keeps_its_tone_and_length():
    pytest.importorskip("soxr")
    times = np.arange(44_100) / 44_100
    given = np.sin(2 * np.pi * 440 * times).astype(np.float32)
    found = sound.at_rate(given, 44_100, 11_000)
    assert len(found) == 11_000
    spectrum = np.abs(np.fft.rfft(found))
    assert spectrum.argmax() == 440


def test_without_soxr_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)
    samples = np.ones(10, np.float32)
    assert sound.at_rate(samples, 11_000, 11_000) is samples
    with pytest.raises(InputFileError, match=r'has 44,100.*"cvzoo\[sound\]"'):
        sound.at_rate(samples, 44_100, 11_000)


def test_the_loudest_sample_is_at_the_end_of_the_range():
    samples = np.array([0.1, -0.2], np.float32)
    np.testing.assert_allclose(sound.scaled(samples, (-0.9, 0.9)), [0.45, -0.9])
    assert sound.scaled(samples, None) is samples
    with pytest.raises(InputFileError, match="silent from its beginning"):
        sound.scaled(0 * samples, None)


def test_middles_of_windows_are_a_stride_apart():
    samples = np.arange(1, 21, dtype=np.float32)
    found = sound.windows(samples, 6, 4)
    np.testing.assert_array_equal(found[:, 3], [1, 5, 9, 13, 17])
    np.testing.assert_array_equal(found[0], [0, 0, 0, 1, 2, 3])
    np.testing.assert_array_equal(found[-1], [14, 15, 16, 17, 18, 19])


def test_sound_shorter_than_a_window_is_told():
    with pytest.raises(InputFileError, match="hears 6 samples at a time. Received: 5"):
        sound.windows(np.ones(5, np.float32), 6, 1)


# Arrays


class Runs:
    """What a pickle would run."""

    def __reduce__(self):
        return (print, ("it ran",))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([1, np.nan, np.inf]), "has 2 of 3 values that are NaN or infinite"),
        (np.zeros((0, 2)), r"must hold numbers. Received: float64 of \(0, 2\)"),
        (np.array(["text"]), "must hold numbers. Received: <U4"),
        (np.array([Runs()]), "cannot be read as a .npy file of numbers"),
    ],
)
def test_arrays_of_anything_but_finite_numbers_are_refused(
    array, message, tmp_path, capsys
):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(InputFileError, match=message):
        arrays.read_npy(tmp_path / "a.npy")
    assert capsys.readouterr().out == ""


def test_other_and_damaged_files_of_arrays_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(9.0))
    whole = (tmp_path / "a.npy").read_bytes()
    # A header that states a terabyte takes none.
    large = whole.replace(
        b"'shape': (9,), }" + 12 * b" ", b"'shape': (137438953472,), }"
    )
    assert len(large) == len(whole) - 1
    half = whole[:8] + b" " + whole[9:]  # A header that ends in the middle.
    for data in (b"", whole[:-1], whole[:30], b"text", large, half):
        (tmp_path / "b.npy").write_bytes(data)
        with pytest.raises(InputFileError, match="as a .npy file of numbers"):
            arrays.read_npy(tmp_path / "b.npy")
    np.savez(tmp_path / "c.npz", np.ones(2), np.ones(3))
    with pytest.raises(InputFileError, match="holds several arrays"):
        arrays.read_npy(tmp_path / "c.npz")


def noise(*shape):
    random = np.random.default_rng(0)
    return random.normal(size=shape) + 1j * random.normal(size=shape)


def test_windows_of_signals_have_unit_power_and_their_phase():
    given = 30 * noise(3, 21)
    found = arrays.signals(given, 10)
    assert found.shape == (3, 2, 10, 2) and found.dtype == np.float32
    again = found[..., 0] + 1j * found[..., 1]
    np.testing.assert_allclose(np.mean(np.abs(again) ** 2, axis=-1), 1, rtol=1e-6)
    ratio = given[:, :20].reshape(3, 2, 10) / again
    np.testing.assert_allclose(ratio, ratio[..., :1].real.repeat(10, -1), rtol=1e-5)


def test_signals_may_come_in_any_form():
    given = noise(2, 20).astype(np.complex64)
    expected = arrays.signals(given, 10)
    parts = np.stack([given.real, given.imag], axis=-1)
    np.testing.assert_allclose(arrays.signals(parts, 10), expected)
    np.testing.assert_allclose(arrays.signals(parts[0], 10), expected[:1])
    np.testing.assert_allclose(arrays.signals(given[1], 10), expected[1:])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones(20), r"must be \(samples, 2\).*float64 of \(20,\)"),
        (np.ones((20, 3)), r"must be \(samples, 2\)"),
        (np.ones((2, 2, 20), complex), r"must be \(samples,\) or \(signals, samples\)"),
        (np.array(1j), r"must be \(samples,\)"),
        (np.ones(9, complex), "too short: the network takes 10 samples.*Received: 9"),
        (np.zeros((1, 20), complex), "2 of 2 windows of 10 samples have no power"),
    ],
)
def test_arrays_that_are_no_signals_are_refused(array, message):
    with pytest.raises(InputFileError, match=message):
        arrays.signals(array, 10)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (3, 4, 5), (3, 4, 5, 1)])
def test_images_may_come_without_axes_of_one(shape):
    given = np.linspace(0, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    found = arrays.images(given, (4, 5, 1), (0, 1))
    assert found.shape == (given.size // 20, 4, 5, 1)
    np.testing.assert_array_equal(found.ravel(), given.ravel())


def test_bytes_are_shares_of_the_range():
    given = np.array([[0, 255]], np.uint8)
    found = arrays.images(given, (1, 2, 1), (-1, 1))
    np.testing.assert_array_equal(found.ravel(), [-1, 1])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((5, 4)), r"must be \(4, 5, 1\) or \(4, 5\), or several.*\(5, 4\)"),
        (np.ones((1, 1, 4, 5)), "must be"),
        (np.full((4, 5), 16.0), "from 0 to 1, or uint8.*float64 from 16 to 16"),
        (np.ones((4, 5), complex), "must be"),
    ],
)
def test_arrays_that_are_no_such_images_are_refused(array, message):
    with pytest.raises(InputFileError, match=message):
        arrays.images(array, (4, 5, 1), (0, 1))


# Kinds


def told(shape, rate=None, dtype="float32"):
    return {
        **{"name": "x", "shape": shape, "dtype": dtype},
        **{"meaning": "", "range": None, "sample_rate": rate},
    }


@pytest.mark.parametrize(
    ("one", "kind"),
    [
        (told([4096], rate=11_000), "sound"),
        (told([128, 2]), "signal"),
        (told([8, 8, 1]), "image"),
        (told([32, 32, 3]), "image"),
    ],
)
def test_shapes_tell_what_a_network_takes(one, kind):
    assert kinds.taken("small", [one]).kind == kind


@pytest.mark.parametrize(
    "inputs",
    [
        [told([4096])],
        [told([None, 2])],
        [told([6, 2], dtype="int32")],
        [told([8, 8, 5])],
        [told([2, 2]), told([2, 2])],
    ],
)
def test_networks_of_other_inputs_are_told_of(inputs):
    with pytest.raises(InputFileError, match=r"`cvzoo run` feeds.*Run it in Python"):
        kinds.taken("small", inputs)


def test_bytes_need_a_range_to_stand_for():
    pixels = np.full((8, 8, 1), 255, np.uint8)
    with pytest.raises(InputFileError, match="does not say the range of its inputs"):
        arrays.images(pixels, (8, 8, 1), None)
    np.testing.assert_array_equal(arrays.images(pixels, (8, 8, 1), [0, 2])[0], 2)
