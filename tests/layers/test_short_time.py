"""The short-time Fourier transform and its inverse."""

import keras
import numpy as np
import pytest
import scipy.signal
from keras import ops as kops

from cvzoo.layers import STFT, InverseSTFT, ToComplex
from cvzoo.ops.short_time import frame_grid, squared_window_sum
from tests.helpers import as_complex, check_layer, gradients, random_pair

# Lengths: prime, below one frame, one sample, multiples.
LENGTHS = [1, 3, 7, 13, 31, 32, 53]
FRAMES = {
    "halves": {"frame_length": 8},
    "odd": {"frame_length": 7, "frame_step": 3, "fft_length": 9},
    "thirds": {"frame_length": 10, "frame_step": 4, "fft_length": 16},
    "hamming": {"frame_length": 8, "frame_step": 8, "window": "hamming"},
    "every sample": {"frame_length": 5, "frame_step": 1, "scaling": "spectrum"},
    "symmetric": {"frame_length": 8, "periodic": False, "scaling": "density"},
}


def signal(*shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def by_loops(x, window, step, fft_length, before):
    """Frames at `i·step − before`, one discrete Fourier sum after another."""
    frames = []
    for start in range(-before, len(x) - before, step):
        values = [
            x[start + n] * window[n] if 0 <= start + n < len(x) else 0
            for n in range(len(window))
        ]
        n, k = np.arange(len(window)), np.arange(fft_length // 2 + 1)[:, None]
        frames.append(np.exp(-2j * np.pi * n * k / fft_length) @ values)
    return np.array(frames)


@pytest.mark.parametrize("length", LENGTHS)
def test_the_short_time_transform_is_the_sum_of_its_definition(length):
    x = signal(1, length)
    frames = -(-length // 3)
    before = max((frames - 1) * 3 + 7 - length, 0) // 2
    window = scipy.signal.get_window("hann", 7)
    expected = by_loops(x[0].astype(np.float64), window, 3, 9, before)
    found = as_complex(STFT(7, 3, 9)(x))
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_the_short_time_transform_is_scipys():
    # SciPy's first frame has its middle at sample 0, ours starts 2 samples before it.
    x = signal(64)
    transform = scipy.signal.ShortTimeFFT(
        scipy.signal.get_window("hann", 8), 4, fs=1, phase_shift=None
    )
    padded = np.concatenate([np.zeros(2), x, np.zeros(2)])
    expected = transform.stft(padded, k_offset=4)
    found = as_complex(STFT(8, 4)(x[None]))[0]
    np.testing.assert_allclose(found, expected.T[: len(found)], atol=1e-5)


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("length", LENGTHS)
def test_every_sample_comes_back(name, length):
    x = signal(2, length)
    frames = FRAMES[name]
    found = InverseSTFT(length, **frames)(STFT(**frames)(x))
    np.testing.assert_allclose(found, x, atol=1e-5)


@pytest.mark.parametrize("length", [13, 32, 53])
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("scaling", [None, "density", "spectrum"])
def test_the_inverse_undoes_kerass_layer(length, periodic, scaling):
    frames = {
        "frame_length": 8,
        "frame_step": 4,
        "fft_length": 16,
        "periodic": periodic,
        "scaling": scaling,
        "padding": "same",
    }
    x = signal(2, length, 1)
    spectrogram = keras.layers.STFTSpectrogram(mode="stft", **frames)(x)
    pair = ToComplex("concatenated")(spectrogram)
    ours = STFT(**frames)(x[..., 0])
    np.testing.assert_allclose(as_complex(ours), as_complex(pair), atol=1e-5)
    found = InverseSTFT(length, **frames)(pair)
    np.testing.assert_allclose(found, x[..., 0], atol=1e-5)


def test_frames_without_padding_are_kerass_too():
    x = signal(1, 21, 1)
    frames = {"frame_length": 6, "frame_step": 3, "fft_length": 8, "padding": "valid"}
    spectrogram = keras.layers.STFTSpectrogram(mode="stft", **frames)(x)
    pair = ToComplex("concatenated")(spectrogram)
    ours = STFT(**frames, periodic=False, scaling="density")(x[..., 0])
    np.testing.assert_allclose(as_complex(ours), as_complex(pair), atol=1e-5)


def test_channels_are_transformed_one_by_one():
    x = signal(2, 13, 3)
    layer, inverse = STFT(4), InverseSTFT(13, 4)
    pair = layer(x)
    for channel in range(3):
        alone = as_complex(layer(x[..., channel]))
        np.testing.assert_allclose(as_complex(pair)[..., channel], alone, atol=1e-6)
    np.testing.assert_allclose(inverse(pair), x, atol=1e-5)


def test_the_inverse_gives_the_signal_whose_transform_is_nearest():
    # Against the pseudoinverse of the transform's matrix, real and imaginary rows.
    pair = random_pair(1, 4, 5)
    window = np.sqrt(scipy.signal.get_window("hann", 8))
    before = (3 * 4 + 8 - 13) // 2
    columns = [by_loops(unit, window, 4, 8, before).ravel() for unit in np.eye(13)]
    matrix = np.array(columns).T
    # A middle frequency stands for its mirror image as well.
    doubled = np.tile(np.sqrt([1, 2, 2, 2, 1]), 4)
    matrix = matrix * doubled[:, None]
    rows = np.concatenate([matrix.real, matrix.imag])
    wanted = np.concatenate([part.ravel() * doubled for part in pair])
    expected = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    found = InverseSTFT(13, 8, window=window)(pair)
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("step", [1, 3, 5, 7])
@pytest.mark.parametrize("length", [1, 4, 7, 20, 53])
def test_weights_are_those_of_adding_windows_one_by_one(padding, step, length):
    window = signal(7).astype(np.float64)
    frames, before, _ = frame_grid(length, 7, step, padding)
    expected = np.zeros(100)
    for start in range(0, frames * step, step):
        expected[start : start + 7] += window**2
    found = squared_window_sum(window, length, step, padding)
    np.testing.assert_allclose(found, expected[before:][:length], atol=1e-12)


def test_the_weight_is_looked_at_only_where_the_shape_is_right(monkeypatch):
    layer = InverseSTFT(32, 8)
    monkeypatch.setattr(layer, "_scaled_window", None)
    with pytest.raises(ValueError, match=r"\(frames, bins\) = "):
        layer(random_pair(1, 3, 5))


@pytest.mark.parametrize("batch", [0, 1])
def test_short_time_transforms_of_small_batches(batch):
    x = np.zeros((batch, 13), np.float32)
    found = InverseSTFT(13, 4)(STFT(4)(x))
    assert tuple(found.shape) == (batch, 13)


def test_short_time_transforms_do_what_layers_do(tmp_path):
    check_layer(lambda: STFT(5, 2, 7, window=[1, 2, 3, 2, 1]), signal(2, 11), tmp_path)
    pair = random_pair(2, 6, 4, 2)
    check_layer(lambda: InverseSTFT(11, 5, 2, 7), pair, tmp_path)


def test_gradients_of_the_inverse_are_those_of_a_linear_map():
    pair = random_pair(1, 3, 3)
    layer = InverseSTFT(6, 4)
    found = gradients(lambda *parts: kops.sum(layer(parts)), *pair)
    for axis in (0, 1):
        slope = np.zeros((1, 3, 3))
        for place in np.ndindex(slope.shape):
            unit = [np.zeros((1, 3, 3), np.float32) for _ in range(2)]
            unit[axis][place] = 1
            slope[place] = np.sum(np.asarray(layer(tuple(unit))))
        np.testing.assert_allclose(found[axis], slope, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 0}, "`length` must be a positive integer"),
        ({"frame_step": 0}, "`frame_step` must be a positive integer"),
        ({"frame_step": 9}, "`frame_step` must be at most"),
        ({"fft_length": 7}, "`frame_step` must be at most"),
        ({"window": "kaiser"}, "`window` must be one of"),
        ({"window": [1.0]}, "must have `frame_length` values"),
        ({"scaling": "power"}, "`scaling` must be"),
        ({"padding": "reflect"}, "`padding` must be"),
    ],
)
def test_arguments_of_no_transform_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        InverseSTFT(**{"length": 32, "frame_length": 8, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"padding": "valid"}, "too little of 1 of the 32 samples, the first of them"),
        ({"padding": "valid", "window": None, "length": 33}, "sample 32"),
        ({"frame_step": 8}, "too little of"),
        ({"frame_length": 2}, "too little of"),
    ],
)
def test_what_cannot_be_inverted_is_refused(arguments, message):
    layer = InverseSTFT(**{"length": 32, "frame_length": 8, **arguments})
    frames, _, _ = frame_grid(
        layer.length, layer.frame_length, layer.frame_step, layer.padding
    )
    with pytest.raises(ValueError, match=message):
        layer(random_pair(1, frames, layer.bins))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((2, 3, 5), np.float32), "works on a pair"),
        (random_pair(2, 3, 5) * 2, "Received 4"),
        (random_pair(2, 4, 4), r"\(frames, bins\) = \(4, 5\)"),
        (random_pair(2, 20), r"\(frames, bins\) = \(4, 5\)"),
    ],
)
def test_the_inverse_refuses_what_is_no_transform(inputs, message):
    with pytest.raises(ValueError, match=message):
        InverseSTFT(16, 8)(inputs)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (random_pair(2, 16), "takes one real tensor"),
        (np.zeros((2, 16), np.complex64), "takes one real tensor"),
        (np.zeros(16, np.float32), r"\(batch, samples\)"),
        (np.zeros((2, 7), np.float32), "needs at least one frame of 8"),
    ],
)
def test_the_transform_refuses_what_is_no_real_signal(inputs, message):
    with pytest.raises(ValueError, match=message):
        STFT(8, padding="valid")(inputs)
    with pytest.raises(ValueError, match="known number of samples"):
        STFT(8)(keras.Input((None,)))
